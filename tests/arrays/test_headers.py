"""Headers of answers: the same as http.client reads them, where servers write them as they should; and no endless ones."""

import io
import http.client
import string
from http.client import HTTPException, LineTooLong

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.headers import Response, parse_headers

NAMES = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=30)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=60).map(str.strip)


def read(text: bytes) -> list[tuple[str, str]]:
    return parse_headers(io.BytesIO(text)).items()


@given(st.lists(st.tuples(NAMES, VALUES), max_size=20))
def test_what_http_client_reads_is_read(headers: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("iso-8859-1") + b"\r\nbody"
    assert read(text) == headers == http.client.parse_headers(io.BytesIO(text)).items()


def test_what_comes_after_them_is_left() -> None:
    file = io.BytesIO(b"A: 1\r\n\r\nbody: 2\r\n")
    parse_headers(file)
    assert file.read() == b"body: 2\r\n"


def test_each_is_found_in_any_case_also_when_it_comes_twice() -> None:
    found = parse_headers(io.BytesIO(b"Set-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n"))
    assert found["SET-COOKIE"] == "a=1" and found.get_all("Set-Cookie") == ["a=1", "b=2"] and found["Other"] is None


@pytest.mark.parametrize("text, headers", [
    (b"A:1\nB:\t 2 \n\n", [("A", "1"), ("B", "2")]),                             # line ends of Unix, and blanks
    (b"A: 1\r\nno header\r\nB: 2\r\n\r\n", [("A", "1"), ("B", "2")]),
    (b"A: 1", [("A", "1")]),                                                # the connection broke off
    (b"A: 1\r\n \r\nB: 2\r\n\r\n", [("A", "1"), ("B", "2")]),                # a line of blanks is not the end
])
def test_odd_ones(text: bytes, headers: list[tuple[str, str]]) -> None:
    assert read(text) == headers


def test_one_folded_onto_the_next_line_is_one() -> None:
    """RFC 7230 3.2.4: it is out of use, and to be understood."""
    (name, value), other = read(b"A: 1,\r\n 2\r\nB: 3\r\n\r\n")
    assert (name, value.split(), other) == ("A", ["1,", "2"], ("B", "3"))


@pytest.mark.parametrize("text, error", [
    (b"A: " + b"1" * 65_536, LineTooLong), (b"A: 1\r\n" * 101, HTTPException),
    (b"A: 1\r\n" + b" 2\r\n" * 100, HTTPException)])
def test_there_is_an_end_to_them(text: bytes, error: type[HTTPException]) -> None:
    with pytest.raises(error):
        read(text)


def test_an_answer_is_read_as_http_client_reads_it() -> None:
    """Status, length, and whether the connection stays: what `begin` makes of the headers."""
    class Wire:
        def makefile(self, _: str) -> io.BytesIO:
            return io.BytesIO(b"HTTP/1.1 100 Continue\r\n\r\n"
                              b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbodyrest")

    ours, theirs = Response(Wire()), http.client.HTTPResponse(Wire())       # type: ignore[arg-type]
    ours.begin()
    theirs.begin()
    assert (ours.status, ours.reason, ours.will_close, ours.read()) == (201, "Created", True, b"body")
    assert vars(ours).keys() == vars(theirs).keys() and ours.headers.items() == theirs.headers.items()
