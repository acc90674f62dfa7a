"""What the lab has to show, line by line, and the tests in tests/lab that show it; the names are held to exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.lab.__main__ import failed_in

LAB = Path(__file__).resolve().parent / "lab"

SCENARIOS = {
    # A FlashArray's volumes
    "mount, a second pod, unmount in any order, repeated calls":
        "block::test_file_systems_keep_their_data block::test_two_pods_of_a_node_share_a_volume "
        "block::test_unmount_of_what_was_never_mounted_is_done",
    "crossed calls, two pods at once":
        "cut::test_mount_while_the_other_pod_unmounts cut::test_two_pods_of_one_volume_at_once",
    "read-only": "block::test_read_only_mounts_write_nothing",
    "ext4, xfs, btrfs with options of mkfs and mount": "block::test_file_systems_keep_their_data "
        "block::test_another_file_system_than_asked_for_is_refused_and_kept",
    "fsGroup": "block::test_the_group_of_a_pod_is_left_to_kubelet",
    "discard": "block::test_discarded_blocks_are_given_back",
    "a move from a living writer": "move::test_a_living_writer_loses_no_byte",
    "a move from a dead node, which comes back": "move::test_a_dead_node_is_preempted_after_the_grace",
    "preemption off": "move::test_preemption_off_is_refused_naming_the_host",
    "LUN numbers": "luns::test_lun_above_255 luns::test_a_lun_reused_at_once_is_not_taken_for_the_old_volume "
        "luns::test_a_lun_reused_while_the_old_device_is_in_use_goes_elsewhere",
    "deleted behind our back": "luns::test_a_volume_deleted_behind_our_back_can_be_unmounted",
    "portals by CIDR": "paths::test_portals_outside_the_allowed_networks_are_not_used "
        "paths::test_no_allowed_portal_is_an_error_that_names_the_networks",
    "dead portals": "paths::test_one_dead_portal_at_login paths::test_all_portals_dead",
    "a path lost and back under I/O": "paths::test_a_path_lost_and_restored_under_io "
        "paths::test_mount_and_unmount_with_one_cable_pulled",
    "the target restarts": "paths::test_the_target_restarts_under_io",
    "CHAP": "paths::test_chap",
    "a reboot in the middle": "move::test_a_reboot_in_the_middle",
    "friendly names, find_multipaths in every mode": "multipath::test_modes_and_names "
        "multipath::test_debians_default_without_any_configuration",
    "multipathd not running, not installed":
        "multipath::test_multipathd_not_running multipath::test_multipath_not_installed",
    "growing, online and at mount; never shrinking": "resize::test_online resize::test_at_mount",
    # A FlashBlade's file systems
    "NFSv3 and v4.1, two nodes at once": "file::test_two_nodes_at_once "
        "machine::test_an_export_is_mounted_by_two_nodes file::test_a_mount_repeated_is_one_mount",
    "export rules": "file::test_export_rules_that_exclude_the_node_are_a_failure_that_names_the_export "
        "file::test_read_only_rules_are_a_read_only_mount",
    "the server is gone":
        "file::test_a_dark_server_does_not_hold_the_unmount file::test_a_dark_server_fails_the_mount_in_time "
        "file::test_a_dark_server_costs_the_other_pod_nothing file::test_an_export_that_vanished_can_be_unmounted",
    # The rest
    "the attach family": "attach::test_a_life_by_the_attach_family attach::test_off_the_family_is_not_supported",
    "Fibre Channel over FCoE": "fc::test_attach_over_two_fabrics_without_iscsi fc::test_a_path_lost_and_back_and_a_move",
    "killed at every step boundary": "cut::test_mount_and_unmount_cut_at_each_step "
        "cut::test_a_mount_given_up_after_a_cut_leaves_nothing",
    "the array's management away": "cut::test_the_arrays_management_away_at_unmount",
    "many volumes at once": "cut::test_many_volumes_at_once",
    "a hung device": "multipath::test_a_hung_device_does_not_hold_the_unmount",
    "flex doctor": "doctor::test_a_whole_node_has_nothing_to_mend doctor::test_everything_missing_has_a_line_of_its_own "
        "doctor::test_addresses_that_do_not_answer doctor::test_what_is_set_up_badly_is_warned_about",
    "the bundle, and kubelet in a container": "container::test_the_bundle container::test_kubelet_in_a_container",
    "the lab itself": "machine::test_data_moves_between_nodes_over_two_paths_and_grows",
    # The twelve facts of node-attach.md. Somebody else's LUNs are in use through all tests (conftest.py, _used).
    "1 blank is proven by reading zeros": "block::test_a_volume_of_random_bytes_is_never_formatted "
        "block::test_a_volume_that_cannot_be_read_is_never_formatted",
    "2 nobody is logged out": "paths::test_node_records",
    "3 discovery resets records": "paths::test_a_discovery_by_somebody_else_is_put_right",
    "4 a login to a dead portal": "paths::test_one_dead_portal_at_login",
    "5 a scan over a dead path": "paths::test_mount_and_unmount_with_one_cable_pulled",
    "6 exit 15 is no session": "paths::test_a_login_under_way_is_no_session",
    "7 a LUN number reused": "luns::test_a_lun_reused_at_once_is_not_taken_for_the_old_volume",
    "8 find_multipaths strict": "multipath::test_modes_and_names",
    "9 the WWID is read by address": "luns::test_lun_above_255 cut::test_many_volumes_at_once",
    "10 a map in use for a moment": "block::test_a_map_that_is_open_for_a_moment_longer",
    "11 queueing blocks": "multipath::test_a_hung_device_does_not_hold_the_unmount",
    "12 few processes": "block::test_no_process_more_than_needed",
}


@cache
def functions_of(room: str) -> frozenset[str]:
    """The test functions of tests/lab/test_<room>.py."""
    tree = ast.parse((LAB / f"test_{room}.py").read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_has_tests_that_exist(scenario: str) -> None:
    tests = re.findall(r"(\w+)::(\w+)", SCENARIOS[scenario])
    assert tests
    for room, name in tests:
        assert name in functions_of(room), f"{scenario}: tests/lab/test_{room}.py has no {name}"


def test_each_test_of_the_lab_is_named_by_a_scenario() -> None:
    rooms = [path.stem.removeprefix("test_") for path in LAB.glob("test_*.py")]
    named = set(re.findall(r"\w+::\w+", " ".join(SCENARIOS.values())))
    assert {f"{room}::{name}" for room in rooms for name in functions_of(room)} == named


def test_what_failed_in_the_lab_is_found_in_what_it_tells() -> None:
    """For its second try: each test once, whichever of its phases failed, and no line of its output."""
    told = "==== tests/lab/test_block.py::test_one[in the last MiB] (call)\nE  ==== no (call) here\n" \
           "==== tests/lab/test_block.py::test_one[in the last MiB] (teardown)\n==== tests/lab/test_fc.py::two (setup)\n"
    assert failed_in(told) == ["tests/lab/test_block.py::test_one[in the last MiB]", "tests/lab/test_fc.py::two"]
