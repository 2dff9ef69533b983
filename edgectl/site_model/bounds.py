"""Bounds of the kernel's tables, as its .pxd files declare them. A test compares the two."""

POINTS_MAX = 65536  # process_image.pxd
DEVICES_MAX = 1024
BLOCKS_MAX = 4096
OUTPUTS_MAX = 256
LINKS_MAX = 1024  # fieldbus.pxd
PROBES_MAX = 4096
INTERLOCKS_MAX = 1024  # interlock.pxd
CAUSES_MAX = 2048
EFFECTS_MAX = 4096
GROUPS_MAX = 64
TIERS_MAX = 4
MONITORS_MAX = 256  # monitor.pxd
INPUTS_MAX = 1024
CURVES_MAX = 64  # overload.pxd
STORAGES_MAX = 16  # network.pxd
LOADS_MAX = 64
GENERATORS_MAX = 8
BUSES_MAX = 64
FEEDERS_MAX = 128
PV_MAX = 64  # dispatch.pxd
HEARTBEATS_MAX = 64
SLICES_OF_CAPACITY = 128  # inventory.pxd
