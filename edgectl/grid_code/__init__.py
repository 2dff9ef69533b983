"""Grid codes as data: what a device is set to against what it shall be set to, and V/f windows."""
