"""Puts the driver and its configuration on every node and keeps them right."""
