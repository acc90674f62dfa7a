"""One FlashBlade: its file systems, whatever version of REST it speaks."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from arrays.entries import FlashBladeEntry
from arrays.errors import ConfigError, NotFound, Refused, TokenRefused, Unreachable, Unusable, VolumeDiffers
from arrays.flashblade import FlashBlade, Identity
from arrays.units import GiB, TiB
from simulator.fleet import Simulator
from simulator.flashblade import FlashBlade as PretendBlade
from tests.arrays.conftest import blade_entry
from tests.arrays.odd_server import Asked, Odd, serving

NAME = "k8s-pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"
RULES = "*(rw,no_root_squash)"
VERSIONS = [("1.3",), ("1.5",), ("1.6",), ("1.9",), ("1.11",), ("1.12", "2.0")]


# Log-in

def test_the_first_call_logs_in_and_the_next_does_not(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    assert blade.name == pretend_blade.endpoint and blade.who == f"FlashBlade {pretend_blade.endpoint}"
    assert repr(blade) == f"FlashBlade('{pretend_blade.endpoint}')" and pretend_blade.requests == []
    blade.identity()
    blade.identity()
    assert [request.path for request in pretend_blade.requests] == ["api_version", "login", "arrays", "arrays"]


@pytest.mark.parametrize("status", [401, 403])
def test_an_expired_session_costs_one_log_in(pretend_blade: PretendBlade, blade: FlashBlade, status: int) -> None:
    """Clients have seen both."""
    pretend_blade.switches.expired_status = status
    blade.identity()
    pretend_blade.expire_sessions()
    assert blade.create_file_system(NAME, GiB, rules=RULES).name == NAME
    pretend_blade.faults.add(path="arrays", status=status, body="")
    with pytest.raises(TokenRefused):
        blade.identity()


def test_a_token_the_array_does_not_know(sim: Simulator, pretend_blade: PretendBlade) -> None:
    blade = FlashBlade(blade_entry(sim, pretend_blade, "T-c4925090-c9bf-4033-8537-d24ee5669135"))
    with pytest.raises(TokenRefused) as error:
        blade.space()
    assert str(error.value) == (f"FlashBlade {pretend_blade.endpoint} refused the API token to log in: Invalid API "
                                "token.")


def test_a_log_in_without_a_session() -> None:
    body = b'{"versions": ["1.12"]}'
    with serving(lambda asked: Odd(body=body)) as endpoint:
        with pytest.raises(Unreachable, match="it logs in without giving a session"):
            FlashBlade(FlashBladeEntry(endpoint, "T-x", "192.0.2.1")).space()


def test_an_upgrade_under_a_live_client_is_followed(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    blade.identity()
    pretend_blade.switches.versions = ("1.3", "1.8")
    assert blade.identity().name == pretend_blade.name
    pretend_blade.switches.versions = ("2.0", "2.9")
    with pytest.raises(Unusable, match="it offers only REST 2.0 to 2.9"):
        blade.identity()


def test_a_blade_that_is_too_old(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.switches.versions = ("1.0", "1.2")
    with pytest.raises(Unusable, match="its newest version of REST is 1.2, and 1.3 is needed"):
        blade.space()


def test_a_closed_client_stays_closed(blade: FlashBlade) -> None:
    blade.identity()
    blade.close()
    assert blade.closed
    with pytest.raises(Unreachable, match="closed its connection"):
        blade.identity()


def test_sixteen_threads_share_one_client(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    def work(number: int) -> int:
        if number == 20:
            pretend_blade.expire_sessions()
        return blade.create_file_system(f"fs{number}", (number + 1) * GiB, rules=RULES).size

    with ThreadPoolExecutor(16) as crowd:
        assert list(crowd.map(work, range(60))) == [(number + 1) * GiB for number in range(60)]


# The array

def test_identity_and_space(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.capacity, pretend_blade.used = 10 * TiB, 5 * TiB
    assert blade.identity() == Identity(pretend_blade.name, pretend_blade.state.id, "3.2.0")
    assert (blade.space().capacity, blade.space().used, blade.space().fullness) == (10 * TiB, 5 * TiB, 0.5)


def test_counting(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    """Destroyed ones count until they are eradicated."""
    for number in range(3):
        pretend_blade.add_file_system(f"fs{number}")
    pretend_blade.destroy_file_system("fs0")
    assert blade.count() == 3
    pretend_blade.faults.add(path="file-systems", body='{"items": [{"name": "x", "destroyed": true}]}')
    assert blade.count() == 1


def test_exports(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    assert blade.export(NAME) == f"{pretend_blade.nfs_endpoint}:/{NAME}"


# File systems

@pytest.mark.parametrize("versions", VERSIONS, ids=lambda versions: versions[0])
def test_the_life_of_a_file_system_in_every_version(pretend_blade: PretendBlade, blade: FlashBlade,
                                                    versions: tuple[str, ...]) -> None:
    """Fields differ: hard_limit_enabled from 1.4, v3 and v4.1 apart from 1.6; the pretend array refuses newer ones."""
    pretend_blade.switches.versions = versions
    made = blade.create_file_system(NAME, GiB, rules=RULES, snapshot_directory=True)
    assert (made.size, made.rules, made.nfs_enabled, made.snapshot_directory) == (GiB, RULES, True, True)
    there = pretend_blade.file_system(NAME)
    assert (there.v3, there.v4_1) == (True, versions[0] not in ("1.3", "1.5"))
    assert there.hard_limit is (versions[0] != "1.3")
    assert blade.create_file_system(NAME, GiB, rules=RULES) == made
    assert blade.grow_file_system(NAME, 2 * GiB).size == 2 * GiB
    blade.destroy_file_system(NAME)
    blade.destroy_file_system(NAME)
    assert blade.find_file_system(NAME) is None
    destroyed = blade.file_system(NAME, pending=True)
    assert destroyed.destroyed and 86000 < destroyed.time_remaining <= 86400 and not destroyed.nfs_enabled
    assert blade.recover_file_system(NAME).nfs_enabled and not blade.file_system(NAME).destroyed
    blade.destroy_file_system(NAME)
    blade.eradicate_file_system(NAME)
    blade.eradicate_file_system(NAME)
    assert pretend_blade.file_systems == {}


@pytest.mark.parametrize("v3, v4_1", [(True, False), (False, True)])
def test_one_version_of_nfs_only(pretend_blade: PretendBlade, blade: FlashBlade, v3: bool, v4_1: bool) -> None:
    blade.create_file_system(NAME, GiB, rules=RULES, v3=v3, v4_1=v4_1)
    assert (pretend_blade.file_system(NAME).v3, pretend_blade.file_system(NAME).v4_1) == (v3, v4_1)


def test_a_namesake_of_another_size_is_not_touched(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.add_file_system(NAME, GiB)
    with pytest.raises(VolumeDiffers, match=f"has file system {NAME} with 1GiB, and 2GiB was asked for"):
        blade.create_file_system(NAME, 2 * GiB, rules=RULES)


def test_a_copy_is_not_taken_for_an_empty_file_system(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    """An attempt before was to copy; the claim does not ask for that data any more."""
    blade.create_file_system("origin", GiB, rules=RULES)
    blade.snapshot("origin", "s")
    blade.copy_snapshot("origin.s", NAME, GiB, rules=RULES)
    with pytest.raises(VolumeDiffers, match="with a copy of origin, and an empty file system was asked for"):
        blade.create_file_system(NAME, GiB, rules="*(ro)")
    assert pretend_blade.file_system(NAME).rules == RULES


def test_an_adopted_file_system_is_exported_as_asked_for(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.add_file_system(NAME, GiB, rules="10.0.0.0/8(ro)", v3=False, v4_1=False)
    found = blade.create_file_system(NAME, GiB, rules=RULES)
    assert found.nfs_enabled and found.rules == pretend_blade.file_system(NAME).rules == RULES


def test_a_destroyed_namesake_is_left_to_the_caller(blade: FlashBlade) -> None:
    blade.create_file_system(NAME, GiB, rules=RULES)
    blade.destroy_file_system(NAME)
    with pytest.raises(Refused, match="a destroyed file system keeps that name until it is eradicated"):
        blade.create_file_system(NAME, GiB, rules=RULES)


def test_a_full_array_refuses_in_its_own_words(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.switches.file_system_limit = 0
    with pytest.raises(Refused, match=f"refused to create file system {NAME}: .*limit"):
        blade.create_file_system(NAME, GiB, rules=RULES)


def test_a_file_system_never_shrinks(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.add_file_system("large", 2 * GiB)
    pretend_blade.add_file_system("unlimited", 0)
    assert blade.grow_file_system("large", GiB).size == 2 * GiB
    assert blade.grow_file_system("unlimited", GiB).size == 0
    assert not [request for request in pretend_blade.requests if request.method == "PATCH"]


def test_what_is_not_there(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    assert blade.find_file_system(NAME) is None
    blade.destroy_file_system(NAME)
    blade.eradicate_file_system(NAME)
    for call in (blade.file_system, blade.recover_file_system, lambda name: blade.grow_file_system(name, GiB)):
        with pytest.raises(NotFound, match=f"has no file system {NAME}"):
            call(NAME)


def test_it_goes_away_between_a_look_and_a_change(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.add_file_system("other", GiB)
    listed = f'{{"items": [{{"name": "{NAME}", "provisioned": 1024}}]}}'
    dead = f'{{"items": [{{"name": "{NAME}", "destroyed": true}}]}}'
    pretend_blade.faults.add(method="GET", path="file-systems", body=listed, times=1)
    with pytest.raises(NotFound, match=f"has no file system {NAME}: File system does not exist."):
        blade.grow_file_system(NAME, GiB)
    pretend_blade.faults.add(method="GET", path="file-systems", body=dead, times=1)
    blade.eradicate_file_system(NAME)


@pytest.mark.parametrize("method, call", [
    ("PATCH", lambda blade: blade.destroy_file_system(NAME)),
    ("PATCH", lambda blade: blade.grow_file_system(NAME, TiB)),
    ("DELETE", lambda blade: blade.eradicate_file_system("dead"))])
def test_changes_an_array_refuses(pretend_blade: PretendBlade, blade: FlashBlade, method: str, call: object) -> None:
    pretend_blade.add_file_system(NAME, GiB)
    pretend_blade.add_file_system("dead", GiB)
    pretend_blade.destroy_file_system("dead")
    pretend_blade.faults.add(method=method, status=400,
                             body='{"errors": [{"code": 0, "message": "Not now.", "context": "x"}]}')
    with pytest.raises(Refused, match="Not now."):
        call(blade)         # type: ignore[operator]


def test_a_live_file_system_is_not_eradicated(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.add_file_system(NAME, GiB)
    with pytest.raises(Refused, match=f"refused to eradicate file system {NAME}: it is not destroyed"):
        blade.eradicate_file_system(NAME)
    assert NAME in pretend_blade.file_systems


def test_a_live_file_system_is_recovered_already(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.add_file_system(NAME, GiB)
    assert not blade.recover_file_system(NAME).destroyed


def test_lists_come_in_pages_and_by_pattern(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    pretend_blade.switches.page_size = 10
    for number in range(25):
        pretend_blade.add_file_system(f"k8s-{number:02}")
    pretend_blade.add_file_system("other")
    pretend_blade.destroy_file_system("k8s-00")
    assert len(blade.file_systems()) == 25 and len(blade.file_systems(pending=True)) == 26
    assert len(blade.file_systems("k8s-*", pending=True)) == 25


@pytest.mark.parametrize("name", ["", "a'b", "a b", "x" * 64, "a,b", "pod::a"])
def test_names_that_would_reach_another_object_are_not_sent(pretend_blade: PretendBlade, blade: FlashBlade,
                                                            name: str) -> None:
    for call in (blade.file_system, blade.destroy_file_system, blade.eradicate_file_system, blade.recover_file_system,
                 lambda name: blade.grow_file_system(name, GiB),
                 lambda name: blade.create_file_system(name, GiB, rules=RULES)):
        with pytest.raises(ConfigError):
            call(name)
    if name:
        with pytest.raises(ConfigError):
            blade.file_systems(f"{name}'")
    with pytest.raises(ConfigError, match="would mean without limit"):
        blade.create_file_system(NAME, 0, rules=RULES)
    assert pretend_blade.requests == []


@pytest.mark.parametrize("odd", [Odd(body=b""), Odd(body=b"{}"), Odd(body=b"[]"), Odd(body=b'{"items": null}')])
def test_an_answer_without_a_list_is_no_empty_list(odd: Odd) -> None:
    """Whoever is told that there is no such file system takes it for gone: its PV is deleted, and it stays for ever."""
    with serving(_blade({"": odd})) as endpoint:
        with pytest.raises(Unreachable, match="without the list"):
            FlashBlade(FlashBladeEntry(endpoint, "T-x", "192.0.2.1")).find_file_system(NAME)


def test_the_last_page_is_the_one_without_a_token() -> None:
    """What a filter leaves out may be a whole page, with the file system that is looked for on the next."""
    pages = {"": _page([], "a"), "a": _page([], "b"), "b": _page([{"name": NAME, "provisioned": GiB}], None)}
    with serving(_blade(pages)) as endpoint:
        found = FlashBlade(FlashBladeEntry(endpoint, "T-x", "192.0.2.1")).find_file_system(NAME)
        assert found and found.size == GiB


def test_a_live_file_system_is_found_before_a_destroyed_one_of_its_name() -> None:
    """Whether a name stays reserved nobody says; taken for destroyed, the live one would outlast its PV."""
    gone = {"name": NAME, "provisioned": GiB, "destroyed": True, "time_remaining": 60_000}
    with serving(_blade({"": _page([gone, {**gone, "destroyed": False, "time_remaining": None}], None)})) as endpoint:
        found = FlashBlade(FlashBladeEntry(endpoint, "T-x", "192.0.2.1")).find_file_system(NAME, pending=True)
        assert found and not found.destroyed


def test_pages_that_never_end_are_an_error() -> None:
    with serving(_blade({"": _page([], "a"), "a": _page([], "b"), "b": _page([], "a")})) as endpoint:
        with pytest.raises(Unreachable, match="the same page again"):
            FlashBlade(FlashBladeEntry(endpoint, "T-x", "192.0.2.1")).find_file_system(NAME)


@pytest.mark.parametrize("odd", [Odd(body=b""), Odd(body=b"{}"), Odd(body=b'{"items": []}')])
def test_a_change_that_is_answered_with_nothing_may_be_repeated(odd: Odd) -> None:
    """The connection broke off after the first line of the answer."""
    with serving(_blade({"": odd})) as endpoint:
        blade = FlashBlade(FlashBladeEntry(endpoint, "T-x", "192.0.2.1"))
        for call in (lambda: blade.create_file_system(NAME, GiB, rules=RULES), lambda: blade.snapshot(NAME, "s")):
            with pytest.raises(Unreachable, match="did not tell what became of"):
                call()


def _page(items: list[dict[str, object]], following: str | None) -> Odd:
    return Odd(body=json.dumps({"items": items, "pagination_info": {"continuation_token": following}}).encode())


def _blade(pages: dict[str, Odd]) -> Callable[[Asked], Odd]:
    """A FlashBlade that answers each list with the page of the token it is asked with."""
    def answer(asked: Asked) -> Odd:
        if asked.path == "/api/api_version":
            return Odd(body=b'{"versions": ["1.12"]}')
        if asked.path == "/api/login":
            return Odd(headers=(("Content-Type", "application/json"), ("x-auth-token", "s")))
        return pages["".join(parse_qs(urlsplit(asked.path).query).get("token", []))]
    return answer
