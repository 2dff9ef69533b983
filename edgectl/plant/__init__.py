"""The simulated campus: physics in one place, served on the wire and in process.

See docs/plant.md.
"""
