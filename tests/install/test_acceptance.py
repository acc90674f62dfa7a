"""The acceptance cases of installing, administering and migrating, each with the tests that hold it.

The cases are given in the field's words (install, update, uninstall, reports, the way to CSI). A test that is renamed or
taken out fails here, and so does one whose docstring no longer says which case it holds.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

INSTALL, RENDER, UNINSTALL = "install/test_install.py", "install/test_render.py", "install/test_uninstall.py"
DAEMON, MIGRATE = "daemonset/test_daemon.py", "provisioner/test_admin_migrate.py"
ADMIN, IMPORT = "provisioner/test_admin.py", "provisioner/test_admin_import.py"
PROVISION, CHOICE = "provisioner/test_provisioning.py", "provisioner/test_array_choice.py"

CASES: dict[str, tuple[str, ...]] = {
    # Install, dry run, update
    "AT-01": (f"{INSTALL}::test_an_install_makes_everything_and_tells_of_each_node",),
    "AT-02": (f"{INSTALL}::test_a_dry_run_prints_all_of_it_and_changes_nothing",),
    "AT-03": (f"{INSTALL}::test_values_without_arrays_are_refused",),
    "AT-04": (f"{RENDER}::test_set_wins_and_its_two_forms_are_one",),
    "AT-05": (f"{RENDER}::test_the_defaults_are_the_published_ones",),
    "AT-06": (f"{RENDER}::test_a_workloads_own_placement_wins_over_the_deprecated_one",),
    "AT-07": ("daemonset/test_manifests.py::test_classes_are_the_charts",),
    "AT-08": (f"{INSTALL}::test_an_install_makes_everything_and_tells_of_each_node",),
    "AT-09": (f"{RENDER}::test_only_the_class_pure_follows_the_values",),
    "AT-10": (f"{INSTALL}::test_openshift_uses_oc_throughout_and_grants_the_scc",),
    "AT-11": (f"{INSTALL}::test_a_second_array_reaches_the_secret_and_touches_no_pod",
              f"{DAEMON}::test_a_changed_secret_reaches_the_node_within_a_turn",
              f"{CHOICE}::test_a_new_array_is_used_without_a_restart"),
    "AT-12": (f"{CHOICE}::test_no_array_with_the_label_is_explained_until_one_has_it",),
    "AT-13": (f"{INSTALL}::test_another_prefix_needs_a_word",),
    "AT-14": (f"{RENDER}::test_a_values_file_of_the_6x_releases_is_understood",),
    "AT-15": (f"{RENDER}::test_what_cannot_be_is_refused_by_its_place", f"{RENDER}::test_the_longest_prefix_is_taken"),
    "AT-16": (f"{INSTALL}::test_a_missing_namespace_is_said_before_anything_is_applied",),
    "AT-17": (f"{INSTALL}::test_what_cannot_be_asked_ends_with_2_and_says_why",
              f"{INSTALL}::test_help_and_version_end_with_0"),
    # A volume found from its PV
    "AT-66": ("flex/test_block_attach.py::test_a_volume_of_the_original_driver_is_found_by_asking_the_fleet",),
    # Uninstall and the way to CSI
    "AT-67": (f"{UNINSTALL}::test_everything_of_ours_goes_and_nothing_else",),
    "AT-68": (f"{UNINSTALL}::test_an_install_after_it_meets_nothing",),
    "AT-69": (f"{UNINSTALL}::test_twice_or_with_nothing_there_is_no_mistake", f"{UNINSTALL}::test_a_dry_run_only_lists"),
    "AT-70": (f"{UNINSTALL}::test_pods_that_use_volumes_are_named",),
    "AT-71": (f"{UNINSTALL}::test_a_pure_json_becomes_values_and_installs_as_it_is",),
    "AT-72": (f"{INSTALL}::test_kubelets_own_plugin_directory_is_compared",),
    "AT-73": (f"{MIGRATE}::test_list_shows_flex_pvs_only_and_who_uses_them",),
    "AT-74": (f"{MIGRATE}::test_pods_that_run_stop_it_and_the_plan_keeps_their_replicas",),
    "AT-75": (f"{MIGRATE}::test_the_whole_way",),
    "AT-76": (f"{MIGRATE}::test_a_pv_that_is_not_retained_is_not_deleted", f"{MIGRATE}::test_the_whole_way"),
    "AT-77": (f"{MIGRATE}::test_cleanup_destroys_exactly_its_own_snapshots", f"{MIGRATE}::test_the_whole_way"),
    "AT-78": (f"{MIGRATE}::test_the_whole_way",),
    # Reports and extras
    "AT-79": (f"{ADMIN}::test_orphans_are_ours_and_without_pv", f"{IMPORT}::test_orphans_are_destroyed_and_nothing_else"),
    "AT-80": (f"{ADMIN}::test_show_tells_capacity_reduction_and_load",),
    "AT-81": (f"{IMPORT}::test_a_claims_volume_is_told_in_full",),
    "AT-82": (f"{ADMIN}::test_snapshot_create_and_delete", f"{ADMIN}::test_a_claim_from_a_snapshot"),
    "AT-83": (f"{IMPORT}::test_a_volume_is_imported_as_it_is",),
    "AT-84": (f"{ADMIN}::test_check_reports_each_array_by_endpoint_and_cause",),
    "AT-85": (f"{INSTALL}::test_no_token_reaches_a_command_line_or_the_output", f"{PROVISION}::test_no_secret_anywhere",
              "daemonset/test_installer.py::test_configuration_is_for_root_alone_and_goes_with_the_driver"),
}


@cache
def held(file: str) -> dict[str, set[str]]:
    """Test -> the cases its docstring names ("AT-75 to AT-78" names four)."""
    found = {}
    for node in ast.walk(ast.parse((TESTS / file).read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            text = ast.get_docstring(node) or ""
            spans = re.findall(r"AT-(\d+)(?: to AT-(\d+))?", text)
            found[node.name] = {f"AT-{number:02d}" for first, last in spans
                                for number in range(int(first), int(last or first) + 1)}
    return found


@pytest.mark.parametrize("case", CASES)
def test_each_case_is_held_by_tests_that_name_it(case: str) -> None:
    for file, _, name in (test.partition("::") for test in CASES[case]):
        assert name in held(file), f"{case}: {file} has no {name}"
        assert case in held(file)[name], f"{case}: the docstring of {name} does not name it"


def test_no_case_is_left_out() -> None:
    assert [int(case[3:]) for case in CASES] == [*range(1, 18), *range(66, 86)]
