"""What arrays say when they say no: every text and form known (array-rest.md section 3 and 4.5)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays import refusals
from arrays.errors import NotFound, PureError, Refused, TokenRefused, Unreachable, Unusable
from arrays.refusals import Declined, said

FA = "FlashArray 1.2.3.4"


def row(text: str, about: str = "v") -> str:
    return json.dumps([{"msg": text, "ctx": about}])


def error(text: str, status: int = 400) -> PureError:
    return Declined(status, "BAD REQUEST", row(text)).error(FA, "destroy", "volume v")


@pytest.mark.parametrize("body, words", [
    (row("Volume does not exist."), "Volume does not exist."),
    (row("The specified IQN is already in use.", "iqn.x:1"), "The specified IQN is already in use. (iqn.x:1)"),
    ('{"pure_err_key": "err.friendly", "pure_err_code": 1, "msg": "Host does not exist.", "ctx": "V"}',
     "Host does not exist."),
    ('{"pure_err_key": "ERR_KEY", "pure_err_code": 1}', "ERR_KEY"),
    ('[{"msg": "One.", "ctx": "v"}, {"msg": "Two.", "ctx": "v"}]', "One.; Two."),
    ('{"errors": [{"code": 0, "message": "File system does not exist.", "context": "v"}]}',
     "File system does not exist."),
    ('{"error": [{"code": 0, "message": "File system does not exist."}]}', "File system does not exist."),
    ('"Just a text."', "Just a text."), ("Just a\n text.", "Just a text."), ("", ""), ("null", ""), ("[]", ""),
    ("[1, null]", ""), ("{}", ""), ('{"errors": []}', ""), ("<html><body>x</body></html>", ""),
    ('{"msg": null, "ctx": null}', ""), ("x" * 1000, "x" * 300 + "..."),
])
def test_the_words_are_found_in_every_form_of_body(body: str, words: str) -> None:
    assert said(body, "volume v") == words


@given(st.text(max_size=60) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                                               st.sampled_from(["msg", "ctx", "errors", "error", "message"]), inner,
                                               max_size=3)).map(json.dumps))
def test_no_body_surprises_the_reader(body: str) -> None:
    assert len(said(body, "volume v")) <= refusals.SHOWN + 3


@pytest.mark.parametrize("text", [
    "Volume does not exist.", "Host does not exist.", "Snapshot does not exist.", "No such volume or snapshot.",
    "Volume has been deleted.", "VOLUME DOES NOT EXIST", "File system not found."])
def test_what_is_missing_is_not_found(text: str) -> None:
    found = error(text)
    assert isinstance(found, NotFound) and str(found) == f"FlashArray 1.2.3.4 has no volume v: {text}"
    assert refusals.is_gone(found)


@pytest.mark.parametrize("test, text", [
    (refusals.is_pending, "Volume has been destroyed."), (refusals.is_pending, "Protection group has been destroyed."),
    (refusals.is_pending, "Volume snapshot has been destroyed. It can be recovered by purevol recover and eradicated "
     "by purevol eradicate."),
    (refusals.is_there, "Volume already exists."), (refusals.is_there, "Host already exists."),
    (refusals.is_there, "Connection already exists"), (refusals.is_there, "Connection already exists."),
    (refusals.is_in_use, "The specified IQN is already in use."),
    (refusals.is_in_use, "The specified WWN is already in use."),
    (refusals.is_disconnected, "Volume v is not connected to host h."),
    (refusals.is_disconnected, "Connection does not exist."), (refusals.is_disconnected, "Host does not exist."),
    (refusals.is_disconnected, "Volume has been destroyed."), (refusals.is_disconnected, "Volume has been deleted."),
    (refusals.is_about_host, "Host does not exist."),
])
def test_texts_of_all_releases(test: object, text: str) -> None:
    found = error(text)
    assert isinstance(found, Refused) and test(found)       # type: ignore[operator]


def test_what_is_destroyed_is_not_found_by_who_wants_to_use_it() -> None:
    found = error("Volume has been destroyed.")
    assert isinstance(found, NotFound) and refusals.is_pending(found)


@pytest.mark.parametrize("text", [
    "Maximum number of volumes is reached", "Volume limit reached.", "Eradication is disabled.",
    "Volume cannot be deleted due to existing connections.", "Invalid combination of parameters specified.",
    "Host cannot be deleted due to existing connections.", "no space", "No such command."])
def test_what_is_only_refused(text: str) -> None:
    """None of these may look as if the work were done already."""
    found = error(text)
    assert isinstance(found, Refused) and not isinstance(found, NotFound)
    assert str(found) == f"FlashArray 1.2.3.4 refused to destroy volume v: {text}"
    assert not (refusals.is_gone(found) or refusals.is_pending(found) or refusals.is_disconnected(found)
                or refusals.is_there(found) or refusals.is_in_use(found))


@pytest.mark.parametrize("status, kind, sentence", [
    (401, TokenRefused, "refused the API token to destroy volume v: check APIToken in pure.json"),
    (403, TokenRefused, "refused the API token to destroy volume v: its user lacks the role storage_admin"),
    (404, Unusable, "cannot be used: it does not know the call to destroy volume v (404 R): is it being upgraded?"),
    (405, Unusable, "cannot be used: it does not know the call to destroy volume v (405 R): is it being upgraded?"),
    (409, Refused, "refused to destroy volume v: 409 R"),
    (429, Unreachable, "cannot be reached: it is busy and asks for fewer calls (429 R)"),
    (450, Unusable,
     "cannot be used: it no longer accepts the version of REST it offers (450 R): is it being upgraded?"),
    (500, Unreachable, "cannot be reached: it answered 500 R"),
    (503, Unreachable, "cannot be reached: it answered 503 R"),
    (302, Unreachable, "cannot be reached: it answered 302 R: is this an array's management address?"),
    (204, Unreachable, "cannot be reached: it answered 204 R: is this an array's management address?"),
])
def test_each_status_has_its_error(status: int, kind: type[PureError], sentence: str) -> None:
    found = Declined(status, "R", "").error(FA, "destroy", "volume v")
    assert type(found) is kind and str(found) == f"FlashArray 1.2.3.4 {sentence}"


def test_a_vanished_rest_is_not_a_vanished_volume() -> None:
    """REST 1.x says 400 for a missing object: a 404 means that the API itself is gone, and nothing was deleted."""
    assert not isinstance(error("Not found.", 404), Refused)


def test_the_array_s_own_words_are_kept() -> None:
    found = Declined(500, "Server Error", row("Database is down.")).error(FA, "list", "ports")
    assert str(found) == "FlashArray 1.2.3.4 cannot be reached: it answered 500 Server Error: Database is down. (v)"
    assert "storage_admin" not in str(Declined(403, "", row("Only admins may.")).error(FA, "list", "volume v"))


@pytest.mark.parametrize("status, kind", [(400, TokenRefused), (401, TokenRefused), (403, TokenRefused),
                                          (429, Unreachable), (500, Unreachable), (450, Unusable)])
def test_at_log_in(status: int, kind: type[PureError]) -> None:
    assert type(Declined(status, "R", "").at_login(FA)) is kind
