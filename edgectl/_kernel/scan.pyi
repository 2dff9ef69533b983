"""No Python door: edgectl._kernel.kernel holds it."""
