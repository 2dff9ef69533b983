"""The controller process: two real-time threads, and a main thread that starts, watches, stops."""

from edgectl.controller.runtime import Runtime, RuntimeOptions

__all__ = ["Runtime", "RuntimeOptions"]
