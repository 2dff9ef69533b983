"""No Python door: the fieldbus uses it compiled."""
