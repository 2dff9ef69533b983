"""Sheets made from the cause-and-effect table: the matrix and the factory acceptance test."""
