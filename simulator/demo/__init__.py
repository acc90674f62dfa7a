"""`make demo`: claim to data on pretend arrays, with the real provisioner and the real driver; see story.py."""
