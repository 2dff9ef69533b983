"""Compiled kernel: sources in ext/, contracts here."""
