"""FlashArray rules that hold for every input and every order of calls, without a network: names, sizes, LUNs, life."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulator import rules
from simulator.clock import Clock
from simulator.monitor import Monitor
from simulator.planes import Plane
from simulator.refusal import Refusal
from simulator.rest import flasharray
from simulator.rest.call import parameters
from simulator.rest.http import Request, split
from simulator.state.array import ArrayState
from simulator.switches import FlashArraySwitches

MiB, PiB = 1 << 20, 1 << 50


class Books(Plane):
    """A plane that keeps accounts: which serials have bytes, who is shown what; wrong orders are errors."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[str, int] = {}
        self.shown: dict[tuple[str, int], str] = {}

    def create(self, array: str, serial: str, size: int) -> None:
        assert serial not in self.sizes
        self.sizes[serial] = size

    def resize(self, serial: str, size: int) -> None:
        assert serial in self.sizes
        self.sizes[serial] = size

    def copy(self, source: str, serial: str, size: int) -> None:
        assert self.sizes[source] and self.sizes[serial] == size

    def remove(self, serial: str) -> None:
        del self.sizes[serial]

    def show(self, array: str, initiator: str, lun: int, serial: str) -> None:
        assert (initiator, lun) not in self.shown and serial in self.sizes
        self.shown[initiator, lun] = serial

    def hide(self, array: str, initiator: str, lun: int, serial: str) -> None:
        assert self.shown.pop((initiator, lun)) == serial


class Array:
    """A FlashArray without network, and one session with it."""

    def __init__(self) -> None:
        self.plane, self.clock = Books(), Clock()
        self.state = ArrayState("fa1", capacity=PiB, clock=self.clock, plane=self.plane, monitor=Monitor(),
                                switches=FlashArraySwitches(session_seconds=1e12), portals=["192.0.2.11:3260"])
        key, _ = self.state.sessions.login(self.state.sessions.users[0].token) or ("", None)
        self._headers = {"Cookie": f"session={key}"}

    def call(self, method: str, path: str, **body: Any) -> Any:
        """The JSON of an answer; None for a refusal."""
        request = Request(method, "1.19", path, "", self._headers, json.dumps(body).encode())
        reply = flasharray.answer(self.state, request)
        assert reply.status in (200, 400), (method, path, reply)
        return json.loads(reply.body) if reply.status == 200 else None


@given(st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9_-]{0,66}", fullmatch=True))
@example("a" * 63)
@example("a" * 64)
@example("a\n")
def test_names_agree_with_the_rule_in_words(name: str) -> None:
    """1-63 of letters, digits, "-" and "_"; both ends alphanumeric; at least one letter (points 16, 44)."""
    ascii_only = all(character.isascii() for character in name)
    legal = (1 <= len(name) <= 63 and ascii_only and all(c.isalnum() or c in "-_" for c in name)
             and name[0].isalnum() and name[-1].isalnum() and any(c.isalpha() for c in name))
    assert _accepts(rules.check_volume_name, name) == legal
    assert _accepts(lambda each: rules.check_name(each, "Host"), name) == (legal and "_" not in name)


def _accepts(check: Any, value: Any) -> bool:
    try:
        check(value)
    except Refusal:
        return False
    return True


@given(st.integers(-PiB, 6 * PiB) | st.integers(-4, 1 << 43).map(lambda number: number * 512))
def test_sizes_in_bytes(size: int) -> None:
    """Point 15: what is taken is kept, but for tiny ones."""
    legal = 0 < size <= 4 * PiB and size % 512 == 0
    assert _accepts(lambda value: rules.size(value, "", round_up_small=True), size) == legal
    assert _accepts(lambda value: rules.size(value, "", round_up_small=False), size) == (legal and size >= MiB)
    if legal:
        assert rules.size(size, "", round_up_small=True) == max(size, MiB)


@given(st.integers(1, 5000), st.sampled_from("KMGTPkmgtp"))
def test_sizes_in_words(number: int, unit: str) -> None:
    in_bytes = number << 10 * ("KMGTP".index(unit.upper()) + 1)
    assert rules.amount(f"{number}{unit}") == in_bytes == rules.amount(in_bytes) == rules.amount(str(in_bytes))


@given(st.one_of(st.none(), st.booleans(), st.floats(), st.lists(st.integers()), st.text()))
def test_sizes_that_are_none(value: object) -> None:
    if not (isinstance(value, str) and re.fullmatch("[0-9]+[KMGTPkmgtp]?", value)):
        assert rules.amount(value) is None


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(
    st.characters(exclude_categories=["Cs"]))))
def test_body_and_query_say_the_same(given_: dict[str, str]) -> None:
    """Point 10."""
    assert parameters(urlencode(given_), b"") == given_ == parameters("", json.dumps(given_).encode())


@given(st.binary(max_size=30))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        assert isinstance(parameters("", body), dict)
    except Refusal as refusal:
        assert "JSON" in refusal.msg


@pytest.mark.parametrize("target, parts", [
    ("/api/1.19/volume/v1?pending=true", ("1.19", "volume/v1", "pending=true")),
    ("/api/api_version", ("", "api_version", "")), ("/api/login", ("", "login", "")), ("/", ("", "", "")),
    ("/api/1.7", ("1.7", "", "")), ("/nonsense", ("", "nonsense", ""))])
def test_urls_are_taken_apart(target: str, parts: tuple[str, str, str]) -> None:
    assert split(target) == parts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["connect", "disconnect"]), st.integers(0, 7),
                          st.none() | st.integers(1, 9)), max_size=40))
def test_luns_are_the_lowest_free(steps: list[tuple[str, int, int | None]]) -> None:
    """Points 46, 47, 50, whatever was connected and disconnected before."""
    array = Array()
    array.call("POST", "host/h1", iqnlist=["iqn.1993-08.org.debian:01:a"])
    for number in range(8):
        array.call("POST", f"volume/v{number}", size=MiB)
    luns: dict[int, int] = {}
    for what, number, lun in steps:
        path = f"host/h1/volume/v{number}"
        if what == "disconnect":
            assert (array.call("DELETE", path) is not None) == (luns.pop(number, None) is not None)
            continue
        answer = array.call("POST", path, **({"lun": lun} if lun else {}))
        expected = lun or next(free for free in range(1, 4096) if free not in luns.values())
        if number in luns or expected in luns.values():
            assert answer is None
        else:
            assert answer["lun"] == expected
            luns[number] = expected
    assert {lun for _, lun in array.plane.shown} == set(luns.values())


@dataclass
class Model:
    """What should be true of one volume."""

    name: str
    size: int
    serial: str
    destroyed: bool = False
    luns: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, bool] = field(default_factory=dict)     # suffix -> destroyed by itself


NAMES = st.sampled_from(["a1", "b1", "A1", "bad.name"])
SUFFIXES = st.sampled_from(["s1", "s1", "s2"])
HOSTS = ("h1", "h2")
SIZES = st.integers(1, 8).map(lambda number: number * MiB)


class VolumeLife(RuleBasedStateMachine):
    """Any order of calls on a few volumes, against a model that fits on a page."""

    @initialize()
    def begin(self) -> None:
        self.array = Array()
        self.model: dict[str, Model] = {}
        self.serials: set[str] = set()
        for host in HOSTS:
            self.array.call("POST", f"host/{host}", iqnlist=[f"iqn.1993-08.org.debian:01:{host}"])

    def live(self, name: str) -> Model | None:
        volume = self.model.get(name.lower())
        return volume if volume and not volume.destroyed else None

    def add(self, name: str, size: int, answer: Any) -> None:
        assert answer["name"] == name and answer["size"] == size and answer["serial"] not in self.serials
        self.serials.add(answer["serial"])
        self.model[name.lower()] = Model(name, size, answer["serial"])

    @rule(name=NAMES, size=SIZES)
    def create(self, name: str, size: int) -> None:
        answer = self.array.call("POST", f"volume/{name}", size=size)
        if name.lower() in self.model or "." in name:
            assert answer is None
        else:
            self.add(name, size, answer)

    @rule(name=NAMES, source=NAMES)
    def clone(self, name: str, source: str) -> None:
        answer = self.array.call("POST", f"volume/{name}", source=source)
        origin = self.live(source)
        if origin is None or name.lower() in self.model or "." in name:
            assert answer is None
        else:
            self.add(name, origin.size, answer)
            assert answer["source"] == origin.name

    @rule(name=NAMES)
    def destroy(self, name: str) -> None:
        volume = self.live(name)
        answer = self.array.call("DELETE", f"volume/{name}")
        if volume is None or volume.luns:
            assert answer is None
        else:
            assert answer == {"name": volume.name}
            volume.destroyed = True

    @rule(name=NAMES)
    def recover(self, name: str) -> None:
        volume = self.model.get(name.lower())
        answer = self.array.call("PUT", f"volume/{name}", action="recover")
        if volume is None or not volume.destroyed:
            assert answer is None
        else:
            assert answer == {"name": volume.name}
            volume.destroyed = False

    @rule(name=NAMES)
    def eradicate(self, name: str) -> None:
        volume = self.model.get(name.lower())
        answer = self.array.call("DELETE", f"volume/{name}", eradicate=True)
        if volume is None or not volume.destroyed:
            assert answer is None
        else:
            del self.model[name.lower()]

    @rule(name=NAMES, new=NAMES)
    def rename(self, name: str, new: str) -> None:
        volume = self.live(name)
        answer = self.array.call("PUT", f"volume/{name}", name=new)
        if volume is None or "." in new or new.lower() in self.model and new.lower() != name.lower():
            assert answer is None
        else:
            assert answer == {"name": new}
            del self.model[name.lower()]
            volume.name = new
            self.model[new.lower()] = volume

    @rule(name=NAMES, size=SIZES)
    def grow(self, name: str, size: int) -> None:
        volume = self.live(name)
        answer = self.array.call("PUT", f"volume/{name}", size=size)
        if volume is None or size < volume.size:
            assert answer is None
        else:
            assert answer == {"name": volume.name, "size": size}
            volume.size = size

    @rule(name=NAMES, suffix=SUFFIXES)
    def snapshot(self, name: str, suffix: str) -> None:
        volume = self.live(name)
        answer = self.array.call("POST", "volume", snap=True, source=[name], suffix=suffix)
        if volume is None or suffix in volume.snapshots:
            assert answer is None
        else:
            assert answer[0]["name"] == f"{volume.name}.{suffix}" and answer[0]["serial"] not in self.serials
            self.serials.add(answer[0]["serial"])
            volume.snapshots[suffix] = False

    @rule(name=NAMES, suffix=SUFFIXES)
    def destroy_snapshot(self, name: str, suffix: str) -> None:
        volume = self.live(name)
        answer = self.array.call("DELETE", f"volume/{name}.{suffix}")
        if volume is None or volume.snapshots.get(suffix, True):
            assert answer is None
        else:
            volume.snapshots[suffix] = True

    @rule(name=NAMES, host=st.sampled_from(HOSTS), lun=st.none() | st.integers(1, 3))
    def connect(self, name: str, host: str, lun: int | None) -> None:
        volume = self.live(name)
        used = {each.luns[host] for each in self.model.values() if host in each.luns}
        answer = self.array.call("POST", f"host/{host}/volume/{name}", **({"lun": lun} if lun else {}))
        if volume is None or host in volume.luns or lun in used:
            assert answer is None
        else:
            expected = lun or min({1, 2, 3, 4, 5} - used)
            assert answer == {"name": host, "vol": volume.name, "lun": expected}
            volume.luns[host] = expected

    @rule(name=NAMES, host=st.sampled_from(HOSTS))
    def disconnect(self, name: str, host: str) -> None:
        volume = self.live(name)
        answer = self.array.call("DELETE", f"host/{host}/volume/{name}")
        assert (answer is not None) == (volume is not None and volume.luns.pop(host, None) is not None)

    @precondition(lambda self: any(volume.destroyed for volume in self.model.values()))
    @rule()
    def a_day_passes(self) -> None:
        """Destroyed volumes end, and snapshots destroyed by themselves."""
        self.array.clock.advance(86_401)
        self.model = {name: volume for name, volume in self.model.items() if not volume.destroyed}
        for volume in self.model.values():
            volume.snapshots = {suffix: False for suffix, gone in volume.snapshots.items() if not gone}

    @invariant()
    def lists_agree(self) -> None:
        rows = self.array.call("GET", "volume", pending=True)
        assert {(row["name"], row["size"], row["serial"], row["time_remaining"] is not None) for row in rows} == {
            (volume.name, volume.size, volume.serial, volume.destroyed) for volume in self.model.values()}
        live = {volume.name for volume in self.model.values() if not volume.destroyed}
        assert {row["name"] for row in self.array.call("GET", "volume")} == live

    @invariant()
    def snapshots_agree(self) -> None:
        shown = {row["name"] for row in self.array.call("GET", "volume", snap=True)}
        assert shown == {f"{volume.name}.{suffix}" for volume in self.model.values() if not volume.destroyed
                         for suffix, gone in volume.snapshots.items() if not gone}

    @invariant()
    def connections_agree_from_both_sides(self) -> None:
        expected = {(host, volume.name, lun) for volume in self.model.values() for host, lun in volume.luns.items()}
        by_host = {(row["name"], row["vol"], row["lun"]) for host in HOSTS
                   for row in self.array.call("GET", f"host/{host}/volume")}
        by_volume = {(row["host"], row["name"], row["lun"]) for row in self.array.call("GET", "volume", connect=True)}
        assert by_host == by_volume == expected

    @invariant()
    def the_plane_has_what_the_array_has(self) -> None:
        """No bytes leak, none are missing; initiators see exactly the connections."""
        sizes = {volume.serial: volume.size for volume in self.model.values()}
        assert {serial: size for serial, size in self.array.plane.sizes.items() if serial in sizes} == sizes
        snapshots = sum(len(volume.snapshots) for volume in self.model.values())
        assert len(self.array.plane.sizes) == len(sizes) + snapshots
        assert self.array.plane.shown == {(f"iqn.1993-08.org.debian:01:{host}", lun): volume.serial
                                          for volume in self.model.values() for host, lun in volume.luns.items()}


VolumeLife.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestVolumeLife = VolumeLife.TestCase
