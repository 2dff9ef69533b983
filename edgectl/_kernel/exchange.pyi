"""No Python door: the link uses it compiled."""
