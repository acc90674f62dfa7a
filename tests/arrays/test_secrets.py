"""No token reaches a repr, a message, a log line or a stream, whatever goes wrong."""

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from arrays.entries import FlashArrayEntry, FlashBladeEntry
from arrays.errors import PureError
from arrays.flasharray import FlashArray
from arrays.flashblade import FlashBlade
from arrays.units import GiB
from simulator.fleet import Simulator
from simulator.flasharray import FlashArray as PretendArray
from simulator.flashblade import FlashBlade as PretendBlade
from tests.arrays.conftest import array_entry, blade_entry

FAULTS: list[dict[str, Any]] = [
    {}, {"status": 400, "body": "{echo}"}, {"status": 401, "body": '[{"msg": "bad token {echo}", "ctx": "{echo}"}]'},
    {"status": 403, "body": '{"msg": "{echo}"}'}, {"status": 500, "body": '{"errors": [{"message": "{echo}"}]}'},
    {"status": 302, "body": "{echo}"}, {"body": "<html>{echo}</html>"}, {"body": '"{echo}'}, {"reset": True},
    {"hang": True}]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Everything a test collects; at its end the logs (at debug) and both streams are added and searched."""
    caplog.set_level(logging.DEBUG)
    found: list[str] = []
    yield found
    secrets, found[:] = found[:], found[1:]
    found += [record.getMessage() for record in caplog.records] + [*capfd.readouterr()]
    for text in found:
        assert secrets[0] not in text
    assert len(found) > 5


def _everything(error: BaseException) -> list[str]:
    """What a handler could print of an error: its words, its repr, its fields and its traceback."""
    return [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, fault)) or "none")
@pytest.mark.parametrize("path", ["api_version", "auth/session", "volume/*"])
def test_a_flasharray_s_token(sim: Simulator, pretend: PretendArray, told: list[str], fault: dict[str, Any],
                              path: str) -> None:
    told.append(pretend.token)
    pretend.faults.add(path=path, **_echoing(fault, pretend.token))
    entry = array_entry(sim, pretend)
    array = FlashArray(entry, read_timeout=0.1)
    for call in (lambda: array.create_volume("v", GiB), lambda: array.volume("v"), lambda: array.destroy_volume("v")):
        try:
            told.append(repr(call()))
        except PureError as error:
            told += _everything(error)
    told += [repr(array), str(array), repr(entry), repr(array._session), repr(array._session._logins._login)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, fault)) or "none")
@pytest.mark.parametrize("path", ["api_version", "login", "file-systems"])
def test_a_flashblade_s_token(sim: Simulator, pretend_blade: PretendBlade, told: list[str], fault: dict[str, Any],
                              path: str) -> None:
    told.append(pretend_blade.token)
    pretend_blade.faults.add(path=path, **_echoing(fault, pretend_blade.token))
    entry = blade_entry(sim, pretend_blade)
    blade = FlashBlade(entry, read_timeout=0.1)
    for call in (lambda: blade.create_file_system("v", GiB, rules="*(rw)"), lambda: blade.file_system("v"),
                 lambda: blade.destroy_file_system("v")):
        try:
            told.append(repr(call()))
        except PureError as error:
            told += _everything(error)
    told += [repr(blade), str(blade), repr(entry), repr(blade._session), repr(blade._session._logins._login)]


def _echoing(fault: dict[str, Any], token: str) -> dict[str, Any]:
    """The fault with the token in its body: an array, or what stands before it, that repeats what it was sent."""
    return {key: value.replace("{echo}", token) if isinstance(value, str) else value for key, value in fault.items()}


def test_entries_keep_their_token_to_themselves() -> None:
    for entry in (FlashArrayEntry("1.2.3.4", "secret-1"), FlashBladeEntry("1.2.3.6", "T-secret-1", "1.2.3.7")):
        for text in (repr(entry), str(entry), f"{entry}", "%s" % entry, repr([entry]), repr({"a": entry})):
            assert "secret-1" not in text
        with pytest.raises(AttributeError) as error:
            entry.token = "secret-2"
        assert "secret" not in str(error.value)
