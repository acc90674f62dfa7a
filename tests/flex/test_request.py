"""kubelet's options become a MountRequest, whatever order, version or person they come from."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.errors import ConfigError
from flex import jsontext, request
from flex.request import MountRequest
from flex.settings import Settings
from tests.flex.driver import argument, options

DIRECTORY = "/var/lib/kubelet/pods/uid-1/volumes/pure~flex/pvc-1"


def parse(given: Any = None, directory: str = DIRECTORY, **settings: str) -> MountRequest:
    text = given if isinstance(given, str) else argument(options() if given is None else given)
    return request.parse(directory, text, Settings(settings))


def test_a_pv_of_ours() -> None:
    wanted = parse(options("pvc-1", fs_type="ext4", backend="block", namespace="dev", volume="pod1::dev-pvc-1",
                           array="1.2.3.4", mountOptions="discard,noatime", createOptions="-q -m 0",
                           access="ReadWriteOncePod"))
    assert wanted == MountRequest(
        DIRECTORY, "pvc-1", "pod1::dev-pvc-1", "block", array="1.2.3.4", fs_type="ext4",
        mount_options=("discard", "noatime"), create_options="-q -m 0", access="ReadWriteOncePod", prefix="dev",
        pod="shop/web-0")
    assert wanted.single_host


def test_a_pv_of_the_original_driver_is_named_for_prefix_and_pv() -> None:
    wanted = parse(options("pvc-2"), PURE_K8S_NAMESPACE="prod")
    assert (wanted.volume, wanted.backend, wanted.array, wanted.imported) == ("prod-pvc-2", "", "", False)
    assert wanted.single_host                   # a missing `access` means ReadWriteOnce


def test_reconstructed_options_hold_no_option_of_the_pv() -> None:
    wanted = parse({"kubernetes.io/fsType": "", "kubernetes.io/readwrite": "rw", "kubernetes.io/pvOrVolumeName": "pvc-1"})
    assert wanted.volume == "k8s-pvc-1"


def test_a_missing_name_is_the_last_element_of_the_directory() -> None:
    """Kubernetes 1.6.0 sent no kubernetes.io/pvOrVolumeName."""
    assert parse({}).pv == "pvc-1"
    assert parse({}, DIRECTORY + "/").volume == "k8s-pvc-1"


def test_an_empty_fs_type_is_the_settings() -> None:
    assert parse().fs_type == "xfs"
    assert parse(PURE_DEFAULT_BLOCK_FS_TYPE="Ext4").fs_type == "ext4"
    assert parse(options(fs_type="btrfs")).fs_type == "btrfs"


@pytest.mark.parametrize("given, read_only", [
    ({}, False), ({"kubernetes.io/readwrite": "ro"}, True), ({"kubernetes.io/readwrite": "rw"}, False),
    ({"access": "ReadOnlyMany"}, True), ({"access": "ReadWriteMany"}, False)])
def test_read_only(given: dict[str, str], read_only: bool) -> None:
    assert parse(given).read_only is read_only


@pytest.mark.parametrize("key", ["kubernetes.io/fsGroup", "kubernetes.io/mounterArgs.FsGroup"])
def test_both_keys_of_the_group_are_understood(key: str) -> None:
    assert parse({key: "1000"}).fs_group == "1000"
    assert parse({}).fs_group == ""


def test_default_mount_options_are_for_block_and_make_way_for_the_pvs() -> None:
    chart = {"PURE_DEFAULT_BLOCK_MNT_OPT": "discard, noatime"}
    assert parse(options(backend="block"), **chart).mount_options == ("discard", "noatime")
    assert parse(options(backend="block", mountOptions="nodiratime"), **chart).mount_options == ("nodiratime",)
    assert parse(options(backend="block", mountOptions=""), **chart).mount_options == ()
    assert parse(options(backend="file", nfs="192.0.2.7:/k8s-pvc-1"), **chart).mount_options == ()


def test_default_mkfs_options_make_way_for_the_pvs() -> None:
    assert parse(PURE_DEFAULT_BLOCK_FS_OPT="-q -K").create_options == "-q -K"
    assert parse(options(createOptions="-q")).create_options == "-q"


def test_a_volume_without_our_prefix_is_imported() -> None:
    assert parse(options(volume="oracle-1")).imported
    assert not parse(options(volume="pod1::k8s-old")).imported


def test_an_export_makes_it_a_file_volume() -> None:
    wanted = parse(options(nfs="[2001:db8::7]:/k8s-pvc-1"))
    assert (wanted.backend, wanted.nfs, wanted.single_host) == ("file", "[2001:db8::7]:/k8s-pvc-1", False)


def test_unknown_keys_and_escapes_are_taken_as_they_come() -> None:
    wanted = parse('{ "unknown/key":"\\u0026\\u003c" , "volume" : "k8s-a", "kubernetes.io/new": 1, "flag": true}\n')
    assert wanted.volume == "k8s-a"


def test_secrets_are_decoded_and_shown_nowhere() -> None:
    wanted = parse({"kubernetes.io/secret/user": b64encode(b"no-token-at-all").decode()})
    assert wanted.secrets == {"user": "no-token-at-all"}
    assert "no-token" not in repr(wanted)


@pytest.mark.parametrize("given, complaint", [
    ({"kubernetes.io/secret/key": "%%not-a-secret"}, "kubernetes.io/secret/key is not in standard base64"),
    ({"kubernetes.io/secret/key": "YWJj-_=="}, "kubernetes.io/secret/key is not in standard base64"),
    ({"backend": "tape"}, "option backend: 'tape' is neither block nor file"),
    ({"nfs": "no-colon"}, "option nfs: 'no-colon' is no NFS export"),
    ({"nfs": "-o evil:/x"}, "option nfs"),
    ({"nfs": "192.0.2.7:/a b"}, "option nfs"),
    ({"volume": "../x"}, "option volume: "),
    ({"volume": "a" * 64}, "option volume: "),
    ({"backend": "file", "volume": "pod::x"}, "option volume: "),
    ({"namespace": "b-d"}, "option namespace: "),
    ({"kubernetes.io/fsType": "xfs; reboot"}, "kubernetes.io/fsType: "),
    ({"kubernetes.io/pvOrVolumeName": "a/b"}, "kubernetes.io/pvOrVolumeName: "),
    ({"mountOptions": "ro\nrw"}, "option mountOptions: "),
    ({"createOptions": "\x1b"}, "option createOptions: "),
    ({"volume": ["x"]}, "option volume: a text is needed"),
])
def test_what_cannot_be_used_is_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(json.dumps(given))
    assert complaint in str(refusal.value)
    assert "not-a-secret" not in str(refusal.value)


@pytest.mark.parametrize("text", [
    "", "{", "[]", "1", "{} x", '{"a":"b","a":"c"}', '{"a":Infinity}', "{'a': 'b'}", "[" * 9000])
def test_what_is_no_object_is_a_complaint(text: str) -> None:
    with pytest.raises(ConfigError, match="the options are no JSON object: "):
        parse(text)


@pytest.mark.parametrize("directory", ["", "x", "/", "///", "a/b", "/a\0b"])
def test_what_is_no_directory_of_kubelets_is_a_complaint(directory: str) -> None:
    with pytest.raises(ConfigError, match="is not a directory of kubelet's"):
        parse({}, directory)


@pytest.mark.parametrize("given, size", [("", 0), ("0", 0), ("2147483648", 2 ** 31)])
def test_sizes_are_decimal_bytes(given: str, size: int) -> None:
    assert request.size(given, "the new size") == size


@pytest.mark.parametrize("given", ["1Gi", "-1", "1.5", "٣", " 1"])
def test_other_sizes_are_a_complaint(given: str) -> None:
    with pytest.raises(ConfigError, match="the new size"):
        request.size(given, "the new size")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(JSON)
def test_our_reader_reads_what_json_writes(value: Any) -> None:
    assert jsontext.parse(f" {json.dumps(value)}\n") == value
    assert jsontext.parse(json.dumps(value, ensure_ascii=False)) == value


@given(st.text())
def test_our_reader_takes_what_json_takes(text: str) -> None:
    try:
        wanted = json.loads(text)
    except ValueError:
        wanted = ValueError
    if wanted is ValueError or text.strip() in ("NaN", "Infinity", "-Infinity"):     # which are Python's, not JSON's
        with pytest.raises(ValueError):
            jsontext.parse(text)
    else:
        assert jsontext.parse(text) == wanted


@given(st.dictionaries(st.text(), st.text() | st.booleans() | st.integers() | st.none()))
def test_json_reads_what_our_writer_writes(values: dict[str, Any]) -> None:
    told = jsontext.render(values)
    assert json.loads(told) == values
    assert told.isascii() and "\n" not in told


@given(st.binary())
def test_bytes_that_are_no_utf8_become_valid_json(raw: bytes) -> None:
    """argv holds bytes; Python carries bad ones as lone surrogates, which strict readers of JSON refuse."""
    told = json.loads(jsontext.render({"message": raw.decode("utf-8", "surrogateescape")}))
    told["message"].encode("utf-8")


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none()), st.text())
def test_options_are_parsed_or_complained_of(given: dict[str, Any], pv: str) -> None:
    try:
        wanted = parse(json.dumps({"kubernetes.io/pvOrVolumeName": pv, **given}))
    except ConfigError as error:
        assert str(error)
    else:
        assert wanted.volume


@given(st.sampled_from(["backend", "namespace", "volume", "array", "nfs", "mountOptions", "createOptions", "access",
                        "kubernetes.io/fsType", "kubernetes.io/readwrite", "kubernetes.io/secret/x"]), st.text())
def test_any_option_may_hold_rubbish(key: str, value: str) -> None:
    try:
        wanted = parse(json.dumps({key: value}))
    except ConfigError:
        return
    assert not any(letter in word for letter in "\n\0" for word in (wanted.nfs, wanted.fs_type, *wanted.mount_options))
