"""The FlexVolume driver: one call-out, one JSON answer."""
