"""pure.json: every way to write it that is accepted, and every way to get it wrong."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays import fleet
from arrays.entries import FlashArrayEntry, FlashBladeEntry
from arrays.errors import ConfigError
from arrays.fleet import Fleet

FA_TOKEN = "a526a4c6-18b0-a8c9-1afa-3499293574bb"
FB_TOKEN = "T-c4925090-c9bf-4033-8537-d24ee5669135"
ARRAY = {"MgmtEndPoint": "1.2.3.4", "APIToken": FA_TOKEN, "Labels": {"rack": "22", "env": "prod"}}
BLADE = {"MgmtEndPoint": "1.2.3.6", "APIToken": FB_TOKEN, "NfsEndPoint": "1.2.3.7", "Labels": {"rack": "7b"}}


def parse(*arrays: Any, blades: Any = None) -> Fleet:
    return fleet.parse(json.dumps({"FlashArrays": list(arrays), "FlashBlades": blades if blades is not None else []}))


def array(**changes: Any) -> dict[str, Any]:
    """ARRAY with changes; None takes a key away."""
    return {key: value for key, value in {**ARRAY, **changes}.items() if value is not None}


def blade(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**BLADE, **changes}.items() if value is not None}


def complaint(*arrays: Any, blades: Any = None) -> str:
    """The one complaint about a file that has a good array beside what is given."""
    found = parse(*arrays, array(MgmtEndPoint="1.2.3.99"), blades=blades)
    assert [entry.name for entry in found.flash_arrays] == ["1.2.3.99"] and not found.flash_blades
    assert len(found.complaints) == 1, found.complaints
    return found.complaints[0]


# What is accepted

def test_the_file_of_the_documentation() -> None:
    found = parse(ARRAY, array(MgmtEndPoint="1.2.3.5", Labels=None), blades=[BLADE])
    assert found == Fleet(
        [FlashArrayEntry("1.2.3.4", FA_TOKEN, {"rack": "22", "env": "prod"}), FlashArrayEntry("1.2.3.5", FA_TOKEN)],
        [FlashBladeEntry("1.2.3.6", FB_TOKEN, "1.2.3.7", {"rack": "7b"})])
    assert found.flash_arrays[0].name == "1.2.3.4" and found.flash_arrays[0].verify is False


def test_arrays_are_found_by_their_endpoint() -> None:
    found = parse(ARRAY, blades=[BLADE])
    assert found.flash_array("1.2.3.4") is found.flash_arrays[0]
    assert found.flash_blade("1.2.3.6") is found.flash_blades[0]
    assert found.flash_array("1.2.3.6") is None and found.flash_blade("1.2.3.4") is None


def test_the_chart_has_it_all_below_arrays() -> None:
    lists = {"FlashArrays": [ARRAY], "FlashBlades": [BLADE]}
    assert fleet.parse(json.dumps({"arrays": lists})) == fleet.parse(json.dumps(lists)) == fleet.check(lists)


@pytest.mark.parametrize("lists", [{"FlashArrays": [ARRAY]}, {"FlashArrays": [ARRAY], "FlashBlades": None},
                                   {"FlashArrays": [ARRAY], "FlashBlades": []}])
def test_either_list_may_be_absent_or_empty(lists: dict[str, Any]) -> None:
    assert len(fleet.check(lists).flash_arrays) == 1
    assert fleet.check({"FlashBlades": [BLADE]}).flash_arrays == ()


def test_nfs_end_point_in_both_spellings() -> None:
    """C-04: the 6.x chart writes NFSEndPoint."""
    six = blade(NfsEndPoint=None, NFSEndPoint="1.2.3.7")
    both = blade(NFSEndPoint="1.2.3.7")
    assert parse(blades=[six]) == parse(blades=[both]) == parse(blades=[BLADE])


@pytest.mark.parametrize("value, verify", [
    (True, True), (False, False), (None, False), ("true", True), ("False", False), ("TRUE ", True),
    ("/etc/pure/ca.pem", "/etc/pure/ca.pem")])
def test_certificates_are_looked_at_by_choice(value: Any, verify: bool | str) -> None:
    assert parse(array(VerifyTLS=value)).flash_arrays[0].verify == verify


def test_labels_are_compared_as_text() -> None:
    found = parse(array(Labels={"rack": 22, "ssd": True, "u": 1.5, "none": ""})).flash_arrays[0]
    assert found.labels == {"rack": "22", "ssd": "true", "u": "1.5", "none": ""}


@pytest.mark.parametrize("pods", [["pod1", "pod2"], "pod1,pod2", "pod1, pod2", ["pod1", "pod2", "pod1"]])
def test_replication_pods(pods: Any) -> None:
    assert parse(array(ReplicationPods=pods)).flash_arrays[0].replication_pods == ("pod1", "pod2")


@pytest.mark.parametrize("written, endpoint", [
    ("1.2.3.4", "1.2.3.4"), (" 1.2.3.4 ", "1.2.3.4"), ("https://1.2.3.4/", "1.2.3.4"), ("127.0.0.1:8443",) * 2,
    ("fa.example.com",) * 2, ("fd00::1", "[fd00::1]"), ("[fd00::1]:8443",) * 2, ("[fd00::1]",) * 2])
def test_endpoints(written: str, endpoint: str) -> None:
    assert parse(array(MgmtEndPoint=written)).flash_arrays[0].endpoint == endpoint


def test_a_token_may_stand_in_a_file_or_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{FA_TOKEN}\n")
    lists = {"FlashArrays": [array(APIToken={"file": str(tmp_path / "token")})],
             "FlashBlades": [blade(APIToken={"env": "FB_TOKEN"})]}
    found = fleet.check(lists, environment={"FB_TOKEN": FB_TOKEN})
    assert (found.flash_arrays[0].token, found.flash_blades[0].token) == (FA_TOKEN, FB_TOKEN)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "pure.json"
    path.write_text(json.dumps({"FlashArrays": [ARRAY]}), encoding="utf-8-sig")
    assert fleet.load(str(path)).flash_arrays[0].name == "1.2.3.4"


# A bad entry is left out and named; the others work

@pytest.mark.parametrize("entry, words", [
    ({}, "FlashArrays[0]: add MgmtEndPoint and APIToken"),
    (array(APIToken=None), "FlashArrays[0]: add APIToken"),
    (array(MgmtEndPoint=""), "FlashArrays[0]: add MgmtEndPoint"),
    ({"MgmtEndPoint": "1.2.3.4", "ApiToken": FA_TOKEN}, "add APIToken (write ApiToken as APIToken)"),
    (array(APIToken=12), "FlashArrays[0]: APIToken: is a number, not a text"),
    (array(APIToken="  "), "FlashArrays[0]: APIToken: is empty"),
    (array(APIToken="two words"), "APIToken: has characters in it that no token has"),
    (array(APIToken="to\nken"), "APIToken: has characters in it that no token has"),
    (array(APIToken="tökén"), "APIToken: has characters in it that no token has"),
    (array(APIToken="\ud800"), "APIToken: has characters in it that no token has"),
    (array(APIToken=["x"]), "APIToken: is a list, not a text"),
    (array(APIToken={"file": "/nowhere/token"}), "APIToken: /nowhere/token cannot be read: No such file"),
    (array(APIToken={"env": "NO_SUCH_NAME"}), "APIToken: the environment has no NO_SUCH_NAME"),
    (array(APIToken={"vault": "x"}), "APIToken: write the token"),
    (array(APIToken={}), "APIToken: write the token"),
    (array(APIToken={"file": FA_TOKEN}), "APIToken: write a token as it is"),
    (array(MgmtEndPoint=4), "MgmtEndPoint: is a number, not a text"),
    (array(MgmtEndPoint="1.2.3.4/api"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint="http://1.2.3.4"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint="user:pw@1.2.3.4"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint="1.2.3.4:0"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint="1.2.3.4:99999"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint="1.2.3.4:x"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint="[fd00::1"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint="[]:443"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint="two names"), "MgmtEndPoint: is no address"),
    (array(MgmtEndPoint=FA_TOKEN), "MgmtEndPoint: looks like an API token"),
    (array(Labels=["x"]), "Labels: is a list, not an object"),
    (array(Labels={"a": None}), "Labels: a: is null, not a text"),
    (array(Labels={"a": {"b": "c"}}), "Labels: a: is an object, not a text"),
    (array(VerifyTLS="yes"), "VerifyTLS: write true, false or the full path of a CA file"),
    (array(VerifyTLS=1), "VerifyTLS: write true, false or the full path of a CA file"),
    (array(VerifyTls=True), "FlashArrays[0]: write VerifyTls as VerifyTLS"),
    (array(verify_tls="/etc/ca.pem"), "FlashArrays[0]: write verify_tls as VerifyTLS"),
    (array(VerifyTLS="true", verifyTLS=True), "FlashArrays[0]: write verifyTLS as VerifyTLS"),
    (array(VerfiyTLS=True), "FlashArrays[0]: write VerfiyTLS as VerifyTLS"),
    (array(VerifySSL=True), "FlashArrays[0]: write VerifySSL as VerifyTLS"),
    (array(ReplicationPods={"a": 1}), "ReplicationPods: write a list"),
    (array(ReplicationPods=[1]), "ReplicationPods: write a list"),
    (array(ReplicationPods=["bad.name"]), "ReplicationPods: 'bad.name' cannot be"),
    ("1.2.3.4", "FlashArrays[0]: is a text, not an object"),
    (None, "FlashArrays[0]: is null, not an object"),
    ([], "FlashArrays[0]: is a list, not an object"),
    (False, "FlashArrays[0]: is true or false, not an object"),
])
def test_a_bad_entry_is_named_by_its_place_and_left_out(entry: Any, words: str) -> None:
    said = complaint(entry)
    assert said.startswith("pure.json: ") and words in said


@pytest.mark.parametrize("entry, words", [
    (blade(NfsEndPoint=None), "FlashBlades[0]: add NfsEndPoint"),
    (blade(VerifyTls=True), "FlashBlades[0]: write VerifyTls as VerifyTLS"),
    (blade(NFSEndPoint="1.2.3.8"), "FlashBlades[0]: NfsEndPoint and NFSEndPoint differ"),
    (blade(NfsEndPoint="1.2.3.7:2049"), "NfsEndPoint: is no address"),
    (blade(NfsEndPoint=FB_TOKEN), "NfsEndPoint: looks like an API token"),
])
def test_a_bad_flashblade_is_named_by_its_place_and_left_out(entry: Any, words: str) -> None:
    assert words in complaint(blades=[entry])


@pytest.mark.parametrize("found, words", [
    ({}, "FlashBlades: is an object, not a list of arrays"), ("x", "FlashBlades: is a text, not a list of arrays")])
def test_a_list_that_is_none(found: Any, words: str) -> None:
    assert words in complaint(blades=found)


def test_an_array_written_twice_counts_once() -> None:
    found = parse(ARRAY, array(MgmtEndPoint="https://1.2.3.4"), blades=[BLADE, blade(MgmtEndPoint="1.2.3.4")])
    assert [entry.name for entry in found.flash_arrays] == ["1.2.3.4"] and len(found.flash_blades) == 1
    assert found.complaints == ("pure.json: FlashArrays[1]: MgmtEndPoint is that of FlashArrays[0] already",
                                "pure.json: FlashBlades[1]: MgmtEndPoint is that of FlashArrays[0] already")


@pytest.mark.parametrize("again", ["1.2.3.4:443", "https://1.2.3.4:443/", "1.2.3.4."])
def test_an_array_is_the_same_with_its_usual_port(again: str) -> None:
    found = parse(ARRAY, array(MgmtEndPoint=again))
    assert len(found.flash_arrays) == 1 and "is that of FlashArrays[0] already" in found.complaints[0]
    assert len(parse(ARRAY, array(MgmtEndPoint="1.2.3.4:8443")).flash_arrays) == 2


def test_a_key_written_twice_is_named() -> None:
    """json keeps the last one and says nothing: which token did the writer mean?"""
    good = json.dumps(BLADE)
    text = ('{"FlashArrays": [{"MgmtEndPoint": "1.2.3.4", "APIToken": "a", "APIToken": "b"},'
            ' {"MgmtEndPoint": "1.2.3.5", "APIToken": "a", "Labels": {"env": "dev", "env": "prod"}}],'
            f' "FlashBlades": [{good}]}}')
    assert fleet.parse(text).complaints == ("pure.json: FlashArrays[0]: APIToken is written twice: keep one of them",
                                            "pure.json: FlashArrays[1]: Labels: env is written twice: keep one of them")


def test_swapped_tokens_are_noticed_without_being_shown() -> None:
    """FlashBlade tokens begin with T-; the entries stay, since the array itself has the last word."""
    found = parse(array(APIToken=FB_TOKEN), blades=[blade(APIToken=FA_TOKEN)])
    assert len(found.flash_arrays) == len(found.flash_blades) == 1
    assert len(found.complaints) == 2 and all("swapped" in said for said in found.complaints)
    assert FA_TOKEN not in str(found.complaints) and FB_TOKEN not in str(found.complaints)


def test_unknown_keys_are_said_to_be_left_out() -> None:
    found = fleet.check({"FlashArrays": [array(Lables={"a": "b"})], "Flasharrays": []})
    assert found.complaints == (
        "pure.json: Flasharrays is not known here: arrays belong in FlashArrays and FlashBlades",
        "pure.json: FlashArrays[0]: Lables is not known here and was left out")


# A file that cannot be used at all

@pytest.mark.parametrize("text, words", [
    ("", "is empty"), (" \n", "is empty"), ("{", "is not JSON"), ("FlashArrays:\n- x", "is not JSON"),
    ('{"FlashArrays": []}}', "is not JSON"), ("[" * 100_000, "is not JSON"), ("1" * 5000, "is not JSON"),
    ("[]", "is a list, not an object"), ("null", "is null, not an object"), ('"x"', "is a text, not an object"),
    ("{}", "names no array"), ('{"FlashArrays": [], "FlashBlades": []}', "names no array"),
    ('{"arrays": 7}', "arrays: is a number, not an object"), ('{"arrays": null}', "names no array"),
    ('{"arrays": {}, "FlashArrays": []}', 'both at the top and below "arrays"'),
    ('{"FlashArrays": [], "FlashArrays": []}', "FlashArrays is written twice"),
    ('{"arrays": {"FlashArrays": [], "FlashArrays": []}}', "arrays: FlashArrays is written twice"),
    ('{"FlashArrays": [{}]}', "FlashArrays[0]: add MgmtEndPoint and APIToken"),
])
def test_a_useless_file_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        fleet.parse(text)
    assert str(error.value).startswith("pure.json: ") and words in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/pure.json: cannot be read: No such file or directory"):
        fleet.load(f"{tmp_path}/nowhere/pure.json")


def test_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        fleet.load(str(tmp_path))


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pure.json"
    path.write_bytes(b'{"FlashArrays": [{"MgmtEndPoint": "\xfc"}]}')
    with pytest.raises(ConfigError, match="is not UTF-8 text: byte 35"):
        fleet.load(str(path))


def test_a_token_file_that_holds_something_else(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(os.urandom(16) + b"\xff")
    assert "holds no token" in complaint(array(APIToken={"file": str(path)}))


# Whatever is written

_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                         st.sampled_from(["MgmtEndPoint", "APIToken", "NfsEndPoint", "Labels", "VerifyTLS",
                                          "ReplicationPods", "x", "file", "env"]), inner, max_size=5), max_leaves=12)


@given(st.dictionaries(st.sampled_from(["FlashArrays", "FlashBlades", "arrays", "y"]),
                       st.lists(_JSON, max_size=3) | _JSON, max_size=3))
def test_no_json_surprises_the_reader(data: Any) -> None:
    try:
        found = fleet.check(data)
    except ConfigError as error:
        assert str(error).startswith("pure.json: ")
    else:
        assert found.flash_arrays or found.flash_blades
        assert fleet.parse(json.dumps(data)) == found


@given(st.text(max_size=50))
def test_no_text_surprises_the_reader(text: str) -> None:
    with pytest.raises(ConfigError):
        fleet.parse(text)


@given(st.sampled_from(["MgmtEndPoint", "APIToken", "NfsEndPoint", "Labels", "VerifyTLS", "Other"]),
       st.sampled_from([FA_TOKEN, FB_TOKEN]), st.sampled_from(["{}", " {}!", "{}\n\x07", "/{}/", "[{}"]))
def test_a_token_in_any_field_is_never_repeated(field: str, token: str, form: str) -> None:
    entry = {**BLADE, field: form.format(token)}
    found = fleet.check({"FlashArrays": [ARRAY], "FlashBlades": [entry]})
    assert token not in str(found.complaints)


# The entries

def test_an_entry_cannot_be_changed_and_compares_by_value() -> None:
    one, other = parse(ARRAY).flash_arrays[0], parse(ARRAY).flash_arrays[0]
    assert one == other and hash(one) == hash(other) and one != parse(array(Labels={})).flash_arrays[0]
    assert one != FlashBladeEntry("1.2.3.4", FA_TOKEN, "1.2.3.7")
    with pytest.raises(AttributeError):
        one.token = "x"
    with pytest.raises(AttributeError):
        del one.token


def test_a_fleet_compares_by_value() -> None:
    assert parse(ARRAY) == parse(ARRAY) != parse(array(MgmtEndPoint="1.2.3.5"))
    assert hash(parse(ARRAY)) == hash(parse(ARRAY)) and parse(ARRAY) != "x"


def test_no_repr_shows_a_token() -> None:
    found = parse(ARRAY, blades=[BLADE])
    for shown in (repr(found), str(found), f"{found.flash_arrays}", repr(found.flash_blades[0])):
        assert FA_TOKEN not in shown and FB_TOKEN not in shown
    assert repr(found.flash_arrays[0]) == ("FlashArrayEntry('1.2.3.4', labels={'rack': '22', 'env': 'prod'}, "
                                           "verify=False)")
