"""No Python door: the scan uses it compiled."""
