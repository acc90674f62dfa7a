"""Small reads below /sys that take "not there (any more)" for an answer: entries come and go while we look."""

import os


def read(path: str) -> str:
    """The text of an attribute without white space around it; "" when it is not there or its device just went away."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def entries(directory: str, start: str = "") -> list[str]:
    """The names in `directory` that begin with `start`, sorted; none when it is not there."""
    try:
        return sorted(name for name in os.listdir(directory) if name.startswith(start))
    except OSError:
        return []


def number(text: str) -> int | None:
    """A decimal number, or None when `text` is not one."""
    try:
        return int(text, 10)
    except ValueError:
        return None
