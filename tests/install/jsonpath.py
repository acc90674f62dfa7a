"""kubectl's JSONPath, as far as install.sh uses it: fields, [n], [*], [?(@.a=="b")], {range}…{end}, text between.

Written from https://kubernetes.io/docs/reference/kubectl/jsonpath/; what is missing prints as nothing, as in `kubectl get`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_PIECE = re.compile(r"\{([^}]*)\}|([^{]+)")
_STEP = re.compile(r'\.((?:\\.|[^.\[\\])+)|\[(\d+)\]|(\[\*\])|\[\?\(@((?:\.[^=.]+)+)=="([^"]*)"\)\]')


def evaluate(template: str, root: Any) -> str:
    """What `-o jsonpath=template` prints of `root`."""
    pieces = [(braced, text) for braced, text in _PIECE.findall(template)]
    return "".join(_pieces(iter(pieces), root))


def _pieces(pieces: Iterator[tuple[str, str]], root: Any) -> Iterator[str]:
    for braced, text in pieces:
        if text:
            yield text
        elif braced == "end":
            return
        elif braced.startswith("range "):
            body = list(_until_end(pieces))
            for item in select(braced[6:], root):
                yield from _pieces(iter(body), item)
        elif braced.startswith('"'):
            yield json.loads(braced)
        else:
            yield " ".join(_printed(found) for found in select(braced, root))


def _until_end(pieces: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    depth = 1
    for piece in pieces:
        depth += piece[0].startswith("range ") - (piece[0] == "end")
        if not depth:
            return
        yield piece
    raise ValueError("range without end")


def select(path: str, root: Any) -> list[Any]:
    """All that `path` (".items[*].metadata.name") points at."""
    found, place = [root], 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise ValueError(f"this is no JSONPath that is known here: {path[place:]}")
        field, index, every, filtered, wanted = step.groups()
        if field is not None:
            key = field.replace("\\", "")
            found = [one[key] for one in found if isinstance(one, dict) and one.get(key) is not None]
        elif index is not None:
            found = [one[int(index)] for one in found if len(one) > int(index)]
        else:
            found = [item for one in found for item in one if every or wanted in select(filtered, item)]
        place = step.end()
    return found


def _printed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
