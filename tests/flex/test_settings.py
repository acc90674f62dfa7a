"""Settings: the environment, else the file beside the executable, else the chart's defaults."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.errors import ConfigError
from flex import settings
from flex.settings import Settings


def test_defaults_are_the_charts() -> None:
    chart = Settings({})
    assert (chart.san_type, chart.prefix, chart.fs_type, chart.create_options) == ("ISCSI", "k8s", "xfs", "-q")
    assert (chart.mount_options, chart.allowed_cidrs) == ((), ())
    assert (chart.login_timeout, chart.preempt_grace, chart.no_path_grace) == (20.0, 60.0, 600.0)
    assert (chart.preempt, chart.attach, chart.debug) == (True, False, False)


def test_the_environment_wins_over_the_file(plugin: Path) -> None:
    (plugin / ".settings.json").write_text(json.dumps({"PURE_K8S_NAMESPACE": "file", "PURE_DEFAULT_BLOCK_FS_TYPE": "ext4"}))
    read = settings.read(str(plugin / "flex"), {"PURE_K8S_NAMESPACE": "hand"})
    assert (read.prefix, read.fs_type, read.san_type) == ("hand", "ext4", "ISCSI")


def test_the_bundle_keeps_its_script_one_folder_below_the_executable(plugin: Path) -> None:
    (plugin / ".flex-rt-0123456789ab").mkdir()
    (plugin / ".settings.json").write_text('{"PURE_K8S_NAMESPACE": "bundle"}')
    assert settings.read(str(plugin / ".flex-rt-0123456789ab" / "main.pyc"), {}).prefix == "bundle"


def test_the_file_may_hold_plain_json_values(plugin: Path) -> None:
    """A person writes true, 20 or a list; values.yaml has all of these."""
    (plugin / ".settings.json").write_text(json.dumps({
        "PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT": False, "PURE_ISCSI_LOGIN_TIMEOUT": 20, "PURE_FLEX_ATTACH": "True",
        "PURE_DEFAULT_BLOCK_MNT_OPT": ["discard"], "UNKNOWN": {"x": 1}}))
    read = settings.read(str(plugin / "flex"), {})
    assert (read.preempt, read.login_timeout, read.attach, read.mount_options) == (False, 20.0, True, ("discard",))


def test_only_the_environment_moves_the_machine(plugin: Path) -> None:
    (plugin / ".settings.json").write_text('{"PURE_FLEX_ROOT": "/elsewhere"}')
    assert settings.read(str(plugin / "flex"), {}).paths.mountinfo == "/proc/self/mountinfo"
    assert settings.read(str(plugin / "flex"), {"PURE_FLEX_ROOT": "/r/"}).paths.mountinfo == "/r/proc/self/mountinfo"


@pytest.mark.parametrize("written", ["", "{", "[1]", "\xff"])
def test_a_file_that_cannot_be_read_is_named_once_it_is_needed(plugin: Path, written: str) -> None:
    file = plugin / ".settings.json"
    file.write_bytes(written.encode("latin-1"))
    read = settings.read(str(plugin / "flex"), {"PURE_DEFAULT_BLOCK_FS_TYPE": "ext4"})
    assert read.fs_type == "ext4"               # the environment has it
    assert read.attach is False                 # init works
    with pytest.raises(ConfigError, match=f"{file} cannot be used: "):
        read.prefix


def test_a_folder_in_the_files_place_is_named(plugin: Path) -> None:
    (plugin / ".settings.json").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        settings.read(str(plugin / "flex"), {}).prefix


def test_the_fleet_is_where_the_environment_says_or_beside_the_driver_or_in_etc(plugin: Path) -> None:
    executable = str(plugin / "flex")
    assert settings.read(executable, {}).fleet_file == "/etc/pure/pure.json"
    (plugin / ".pure.json").write_text("{}")
    assert settings.read(executable, {}).fleet_file == str(plugin / ".pure.json")
    assert settings.read(executable, {"PURE_DISCOVERY_CONF": "/x/pure.json"}).fleet_file == "/x/pure.json"


@pytest.mark.parametrize("text, seconds", [("20", 20), ("20sec", 20), ("20s", 20), ("20 sec", 20), ("1.5", 1.5), ("0", 0)])
def test_seconds_in_every_form(text: str, seconds: float) -> None:
    assert Settings({"PURE_ISCSI_LOGIN_TIMEOUT": text}).login_timeout == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "1m", "20secs"])
def test_other_seconds_are_a_complaint_that_names_the_setting(text: str) -> None:
    with pytest.raises(ConfigError, match="PURE_ISCSI_LOGIN_TIMEOUT=.*write seconds"):
        Settings({"PURE_ISCSI_LOGIN_TIMEOUT": text}).login_timeout


@pytest.mark.parametrize("text, flag", [
    ("true", True), ("True", True), ("yes", True), ("1", True), ("false", False), ("OFF", False)])
def test_flags_in_every_form(text: str, flag: bool) -> None:
    assert Settings({"PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT": text}).preempt is flag


def test_another_flag_is_a_complaint_and_init_still_works() -> None:
    names = ("PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT", "PURE_FLEX_ATTACH", "PURE_FLEX_DEBUG")
    wrong = Settings({name: "maybe" for name in names})
    with pytest.raises(ConfigError, match="PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT='maybe': write true or false"):
        wrong.preempt
    assert (wrong.attach, wrong.debug) == (False, True)


@pytest.mark.parametrize("text", ["fc", "FC", "Fc", " fc "])
def test_the_san_type_has_no_case(text: str) -> None:
    assert Settings({"PURE_FLASHARRAY_SAN_TYPE": text}).san_type == "FC"


def test_another_san_type_is_a_complaint() -> None:
    with pytest.raises(ConfigError, match="PURE_FLASHARRAY_SAN_TYPE='NVME': write ISCSI or FC"):
        Settings({"PURE_FLASHARRAY_SAN_TYPE": "nvme"}).san_type


@pytest.mark.parametrize("text, words", [("", ()), ("discard", ("discard",)), ("discard,noatime", ("discard", "noatime")),
                                         ("10.0.0.0/24, 10.1.0.0/16", ("10.0.0.0/24", "10.1.0.0/16"))])
def test_lists_have_commas_or_blanks(text: str, words: tuple[str, ...]) -> None:
    assert Settings({"PURE_DEFAULT_BLOCK_MNT_OPT": text}).mount_options == words
    assert Settings({"PURE_ISCSI_ALLOWED_CIDRS": text}).allowed_cidrs == words


@given(st.dictionaries(st.sampled_from(sorted(settings.DEFAULTS)), st.text()))
def test_any_value_is_read_or_complained_of_by_name(values: dict[str, str]) -> None:
    read = Settings(values)
    for name in ("san_type", "prefix", "allowed_cidrs", "login_timeout", "preempt", "preempt_grace", "no_path_grace",
                 "fs_type", "create_options", "mount_options", "attach", "debug", "fleet_file"):
        try:
            getattr(read, name)
        except ConfigError as error:
            assert "PURE_" in str(error) or "namespace.pure" in str(error)
