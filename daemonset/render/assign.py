"""`--set` as helm reads it: "a.b=c,d.e=f", lists "{x,y}", places in lists "a[0].b=c", null takes a key away. Pure.

The types are helm's (helm.sh/helm pkg/strvals): true, false, null and integers without leading zeros; all else is text.
A backslash makes the next character a plain one: "1.2.3.4\\,1.2.3.5" is one value.
"""

import re
from collections.abc import Iterator
from typing import Any

from arrays.errors import ConfigError

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_STEP = re.compile(r"((?:[^\\.\[\]]|\\.)+)((?:\[[0-9]+\])*)")
_LONGEST_LIST = 1000


def assign(values: dict[str, Any], text: str) -> None:
    """Put the assignments of one --set into `values`; ConfigError names the one that cannot be read."""
    for part in _split(text, ","):
        if part:
            _assign_one(values, part)


def _assign_one(values: dict[str, Any], part: str) -> None:
    key, equals, value = part.partition("=")
    steps = _steps(key, part)
    if not equals:
        raise ConfigError(f"--set {part}: write key=value")
    place: Any = values
    for step, following in zip(steps, steps[1:]):
        place = _inside(place, step, [] if isinstance(following, int) else {}, part)
    _put(place, steps[-1], _value(value), part)


def _steps(key: str, part: str) -> list[str | int]:
    """["a", 0, "b"] of "a[0].b"."""
    steps: list[str | int] = []
    for piece in _split(key, "."):
        found = _STEP.fullmatch(piece)
        if not found:
            raise ConfigError(f"--set {part}: {key!r} is no key: write it like flasharray.sanType or arrays.FlashArrays[0]")
        steps.append(_plain(found[1]))
        steps += [int(index) for index in re.findall(r"[0-9]+", found[2])]
    if any(isinstance(step, int) and step >= _LONGEST_LIST for step in steps):
        raise ConfigError(f"--set {part}: no list here is that long")
    return steps


def _inside(place: Any, step: str | int, empty: Any, part: str) -> Any:
    """What is at `step`, made now if there is nothing; another kind of thing there is replaced, as helm does."""
    if isinstance(step, int):
        _lengthen(place, step, part)
        found = place[step]
    else:
        found = place.get(step)
    if not isinstance(found, type(empty)):
        found = empty
        place[step] = found
    return found


def _put(place: Any, step: str | int, value: Any, part: str) -> None:
    if isinstance(step, int):
        _lengthen(place, step, part)
    elif value is None:
        place.pop(step, None)
        return
    place[step] = value


def _lengthen(place: Any, index: int, part: str) -> None:
    if not isinstance(place, list):
        raise ConfigError(f"--set {part}: there is no list to put [{index}] into")
    place += [None] * (index + 1 - len(place))


def _value(text: str) -> Any:
    if text.startswith("{") and text.endswith("}"):
        return [_scalar(item) for item in _split(text[1:-1], ",")] if text != "{}" else []
    return _scalar(text)


def _scalar(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        return None
    return int(text) if _INTEGER.fullmatch(text) else _plain(text)


def _split(text: str, mark: str) -> Iterator[str]:
    """Parts between `mark`s; not inside braces, and not after a backslash."""
    part, depth, escaped = "", 0, False
    for letter in text:
        if letter == mark and depth == 0 and not escaped:
            yield part
            part = ""
            continue
        if not escaped:
            depth += (letter == "{") - (letter == "}")
        escaped = letter == "\\" and not escaped
        part += letter
    yield part


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
