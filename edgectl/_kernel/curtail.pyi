"""What gives way. Nothing of it is visible from Python."""
