"""Proportional sharing over a network of buses: C alone, reached through carbon."""
