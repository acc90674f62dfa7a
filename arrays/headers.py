"""Answers of http.client whose headers are split at their colons, not parsed as an e-mail's.

All that was asked of Kubernetes and of an array for a claim came with a seventh less CPU so: http.client runs the e-mail
parser for each answer, who looks for encodings, attachments and faults that headers of HTTP do not have.
"""

import http.client
from http.client import HTTPException, HTTPMessage, HTTPResponse, LineTooLong
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

_LONGEST, _MOST = 65_536, 100       # bytes of a line, and lines, beyond which no server means well; http.client's own


def parse_headers(file: "BinaryIO", *_: "Any", **__: "Any") -> HTTPMessage:
    """What http.client.parse_headers gives: the lines before an empty one, by name. A folded one goes on the one before."""
    lines: list[bytes] = []
    while (line := file.readline(_LONGEST + 1)) not in (b"\r\n", b"\n", b""):
        lines.append(line)
        if len(line) > _LONGEST:
            raise LineTooLong("header line")
        if len(lines) > _MOST:
            raise HTTPException(f"got more than {_MOST} headers")
    text = b"".join(lines).decode("iso-8859-1").replace("\r\n", "\n")
    found = HTTPMessage()
    for header in text.replace("\n ", "  ").replace("\n\t", "  ").split("\n"):
        name, colon, value = header.partition(":")
        if colon:
            found[name] = value.strip()
    return found


class Response(HTTPResponse):
    """Set it as a connection's `response_class`. Its `begin` is http.client's code, which finds this parse_headers there."""

    begin = FunctionType(HTTPResponse.begin.__code__, {**vars(http.client), "parse_headers": parse_headers})
    begin.__kwdefaults__ = HTTPResponse.begin.__kwdefaults__
