"""What both programs must agree on: errors, units, names, the fleet, and the two kinds of array."""

__version__ = "3.0.0"
