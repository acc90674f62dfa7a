"""For all tests: other work on the machine is no failure, so no property has a deadline of its own."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
