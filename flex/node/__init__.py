"""The machine we run on, one tool a module; command.py is the only door to subprocess."""
