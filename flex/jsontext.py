"""JSON without the module `json`, whose import costs a call-out as much as all the rest of it (it compiles patterns).

The interpreter's own scanner and string writer, which `json` uses too, are enough for what the driver reads and writes.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class _Rules:
    """What the scanner asks for: strict strings, plain numbers, and no key twice."""

    strict = True
    object_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> object:
        raise ValueError(f"{name} is not JSON")

    @staticmethod
    def object_pairs_hook(pairs: "list[tuple[str, object]]") -> "dict[str, object]":
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
        return found


def parse(text: str) -> object:
    """The value that `text` is in JSON; ValueError says what is wrong with it."""
    from _json import make_scanner
    text = text.strip(" \t\r\n")
    try:
        value, end = make_scanner(_Rules)(text, 0)    # type: ignore[arg-type]  # reads attributes
    except StopIteration as stop:
        raise ValueError(f"not JSON at character {stop.value}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if end != len(text):
        raise ValueError(f"something follows the JSON at character {end}")
    return value


def parse_object(text: str) -> "dict[str, object]":
    """The object that `text` is in JSON; ValueError when it is something else."""
    value = parse(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def render(values: "Mapping[str, object]") -> str:
    """A JSON object in one line, plain ASCII; values are texts, numbers, booleans, None, and mappings of such."""
    return "{" + ", ".join(f"{_text(key)}: {_value(value)}" for key, value in values.items()) + "}"


def _value(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return render(value)
    return _text(str(value))


def _text(text: str) -> str:
    """Bytes that were no UTF-8 travel in Python as lone surrogates; JSON may not hold them, so they become "?"."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'      # most texts; `init` need not load the writer
    from _json import encode_basestring_ascii
    return encode_basestring_ascii(text.encode("utf-8", "replace").decode())
