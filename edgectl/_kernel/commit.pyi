"""No Python door: dispatch and scan use it compiled."""
