"""Names both programs must agree on, and that an array accepts each of them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arrays import names
from arrays.errors import ConfigError

UID = "bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"

# The rules of array-rest.md section 2, written a second time and another way than in names.py.
VOLUME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
HOST = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def accepted(check: object, text: str) -> bool:
    try:
        assert check(text) == text      # type: ignore[operator]
        return True
    except ConfigError:
        return False


# Volumes

def test_a_claim_gets_one_name_for_ever() -> None:
    """The PV is named for the claim's UID, the volume for the PV and the prefix: 22 + 5 + 36 = 63."""
    assert names.pv_name(UID) == f"pvc-{UID}"
    assert names.volume_name("k8s", names.pv_name(UID)) == f"k8s-pvc-{UID}"
    assert len(names.volume_name("x" * 22, names.pv_name(UID))) == 63


@pytest.mark.parametrize("prefix", ["k8s", "k8s_xxx", "purenewsolutions", "9", "a" * 22])
def test_prefixes_that_serve(prefix: str) -> None:
    assert names.check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["", "a" * 23, "k8s-prod", "_k8s", "k8s.a", "k8s/x", "ümlaut", "a b", "k8s\n"])
def test_prefixes_that_would_make_names_an_array_refuses(prefix: str) -> None:
    with pytest.raises(ConfigError, match="namespace.pure"):
        names.check_prefix(prefix)


@pytest.mark.parametrize("volume, ours", [
    ("k8s-pvc-1", True), ("pod1::k8s-pvc-1", True), ("vg1/k8s-pvc-1", True), ("k8s-pvc-1.snap", True),
    ("K8S-pvc-1", False), ("k8s", False), ("k8sx-pvc-1", False), ("k8s_x-pvc-1", False), ("oracle", False),
    ("k8s-x::oracle", False), ("k8s-vg/oracle", False)])
def test_only_names_with_our_prefix_are_ours(volume: str, ours: bool) -> None:
    assert names.is_ours(volume, "k8s") is ours


def test_without_a_prefix_nothing_is_ours() -> None:
    assert not names.is_ours("-pvc-1", "")


def test_pods_and_groups_stand_before_a_name() -> None:
    assert names.base_name("pod1::x") == names.base_name("vg1/x") == names.base_name("x") == "x"
    assert names.pod_of("pod1::x") == "pod1"
    assert names.pod_of("x") == ""
    assert names.in_pod("pod1", "x") == "pod1::x"
    assert names.in_pod("", "x") == "x"


@pytest.mark.parametrize("name", ["a", "x" * 63, "a_b-c", "1a", "pod1::" + "x" * 63, "vg1/x", "A-1"])
def test_volume_names_an_array_takes(name: str) -> None:
    assert names.check_volume_name(name) == name


@pytest.mark.parametrize("name", [
    "", "x" * 64, "-a", "a-", "_a", "1", "12-34", "a.b", "a b", "a%2fb", "../array", "a/b/c", "::a", "p::", "/a", "v/",
    "p-::a", "a?x=1", "a#b", "ä", "a\n", "pod1::a::b::c d"])
def test_volume_names_an_array_would_refuse_or_misread(name: str) -> None:
    with pytest.raises(ConfigError):
        names.check_volume_name(name)


@given(st.one_of(st.text(max_size=70), st.from_regex(VOLUME, fullmatch=True),
                 st.text("aB1-_.", min_size=1, max_size=66)))
def test_names_are_judged_by_the_rules_of_purity(text: str) -> None:
    if "/" not in text and "::" not in text:
        assert accepted(names.check_volume_name, text) == bool(VOLUME.fullmatch(text))
    assert accepted(names.check_file_system_name, text) == bool(VOLUME.fullmatch(text))
    assert accepted(names.check_host_name, text) == bool(HOST.fullmatch(text))


@pytest.mark.parametrize("name, legal", [("daily-1", True), ("1", True), ("", False), ("a.b", False), ("-a", False),
                                         ("a_b", False), ("x" * 63, True), ("x" * 64, False)])
def test_suffixes(name: str, legal: bool) -> None:
    assert accepted(names.check_suffix, name) is legal
    assert accepted(names.check_snapshot_name, f"vol.{name}") is legal


@pytest.mark.parametrize("name", ["vol", ".a", "vol.a.b", "a b.c"])
def test_names_that_are_no_snapshots(name: str) -> None:
    with pytest.raises(ConfigError):
        names.check_snapshot_name(name)


@pytest.mark.parametrize("uid", ["", "a b", "-a", "a/b", "../../x"])
def test_what_is_no_uid_makes_no_pv(uid: str) -> None:
    with pytest.raises(ConfigError):
        names.pv_name(uid)


# Hosts

@pytest.mark.parametrize("node", ["node1", "sn1-pool-c07-08", "a" * 63])
def test_a_node_whose_name_an_array_takes_keeps_it(node: str) -> None:
    assert names.host_name(node) == node


def test_a_dotted_node_gets_a_likeness_and_a_mark() -> None:
    """FQDNs are common as node names, and a dot is illegal in a host's name."""
    assert re.fullmatch(r"sn1-pool-c07-08-puretec-purestorage-com-h[0-9a-f]{9}",
                        names.host_name("sn1-pool-c07-08.puretec.purestorage.com"))


@given(st.text(max_size=260))
@example("...")
@example("123")
@example("a" * 64)
@example("\udcff")
def test_every_node_gets_a_legal_and_stable_host_name(node: str) -> None:
    name = names.host_name(node)
    assert HOST.fullmatch(name)
    assert names.host_name(node) == name
    assert names.host_name(name) == name


@given(st.text("ab.-A", max_size=6), st.text("ab.-A", max_size=6))
@example("a.b", "a-b")
@example("Node", "node")
@example("a" * 63 + "b", "a" * 63 + "c")
def test_two_nodes_never_share_a_host(one: str, other: str) -> None:
    """Arrays compare names without case."""
    assert (names.host_name(one).lower() == names.host_name(other).lower()) == (one == other)


# Devices and exports

def test_a_serial_and_its_wwid() -> None:
    """The device of features.md 2.4: /dev/mapper/3624a9370bde00b13de084ce300012f55."""
    assert names.wwid("BDE00B13DE084CE300012F55") == "3624a9370bde00b13de084ce300012f55"
    assert names.naa("BDE00B13DE084CE300012F55") == "naa.624a9370bde00b13de084ce300012f55"
    assert names.serial("3624a9370bde00b13de084ce300012f55") == "BDE00B13DE084CE300012F55"


@given(st.text("0123456789ABCDEF", min_size=24, max_size=24))
def test_serial_and_wwid_are_the_same_thing(serial: str) -> None:
    assert names.serial(names.wwid(serial)) == names.serial(names.naa(serial)) == serial
    assert names.is_wwid(names.wwid(serial)) and names.is_wwid(f"{names.naa(serial)}\n")


@pytest.mark.parametrize("text", [
    "", "360000000000000000e00000000010001", "3624a9370", "3624a9370bde00b13de084ce300012f5",
    "3624a9370bde00b13de084ce300012f5g", "624a9370bde00b13de084ce300012f55", "naa.5000c500a1b2c3d4", "t10.ATA disk"])
def test_a_foreign_device_is_not_taken_for_ours(text: str) -> None:
    """Nodes boot from disks of other makers too."""
    assert not names.is_wwid(text)
    with pytest.raises(ConfigError, match="not the WWID"):
        names.serial(text)


@pytest.mark.parametrize("serial", ["", "BDE0", "Z" * 24, "BDE00B13DE084CE300012F555"])
def test_what_is_no_serial_has_no_wwid(serial: str) -> None:
    with pytest.raises(ConfigError, match="serial"):
        names.wwid(serial)


@pytest.mark.parametrize("endpoint, export", [
    ("1.2.3.7", "1.2.3.7:/k8s-pvc-1"), ("nfs.example.com", "nfs.example.com:/k8s-pvc-1"),
    ("fd00::7", "[fd00::7]:/k8s-pvc-1"), ("[fd00::7]", "[fd00::7]:/k8s-pvc-1")])
def test_exports(endpoint: str, export: str) -> None:
    assert names.export(endpoint, "k8s-pvc-1") == export
    assert names.split_export(export) == (export.removesuffix(":/k8s-pvc-1"), "/k8s-pvc-1")


@pytest.mark.parametrize("text", ["", "1.2.3.7", "/x", ":/x", "1.2.3.7:x"])
def test_what_is_no_export(text: str) -> None:
    with pytest.raises(ConfigError):
        names.split_export(text)
