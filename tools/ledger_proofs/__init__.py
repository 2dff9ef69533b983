"""Attacks and crashes: what the ledger claims of itself, tried."""
