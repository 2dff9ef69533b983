"""A controller for the power and carbon of a data centre."""
