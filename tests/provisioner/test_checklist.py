"""The checklist and the crash and race matrix of provisioner.md, point by point, and the tests that prove each.

A point without a test, or a test that is gone, fails here. `bench:` names a row of `make bench`.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BENCH = HERE.parent / "bench" / "provisioner.py"

POINTS = {
    1: "claims::test_the_annotation_is_the_order_to_work served_claims::test_others_claims_are_not_touched",
    2: "claims::test_the_annotation_is_the_order_to_work",
    3: "served_claims::test_others_claims_are_not_touched",
    4: "races::test_r2_a_stale_claim_that_was_bound_is_not_served served_claims::test_a_bound_claim_is_not_served",
    5: "claims::test_the_beta_class_annotation_beats_the_field",
    6: "served_claims::test_a_missing_class_is_waited_for",
    7: "served_claims::test_wait_for_first_consumer",
    8: "claims::test_both_names_of_the_selected_node_are_read",
    9: "served_claims::test_what_cannot_be_served_is_refused_once",
    10: "served_claims::test_a_source_that_is_not_ours_is_left_alone copies::test_a_claim_of_another_namespace_is_no_source",
    11: "claims::test_access_modes provisioning::test_a_file_claim_for_many_nodes",
    12: "selectors::test_arrays_by_label array_choice::test_no_array_with_the_label_is_explained_until_one_has_it",
    13: "served_claims::test_a_claim_under_deletion_is_not_begun",
    14: "provisioning::test_a_claim_is_bound_to_a_volume_named_for_it",
    15: "manifest::test_a_block_pv_in_full",
    16: "manifest::test_a_block_pv_in_full",
    17: "claims::test_the_size_is_at_least_what_was_asked provisioning::test_the_pv_reports_the_real_size",
    18: "manifest::test_access_decides_about_preemption",
    19: "provisioning::test_the_reclaim_policy_is_the_classs classes::test_no_policy_means_delete",
    20: "provisioning::test_limits_and_options_of_the_class",
    21: "provisioning::test_no_secret_anywhere observation::test_metrics_after_one_provision_one_failure_and_one_delete",
    22: "manifest::test_the_pv_meets_its_claims_selector",
    23: "nodes::test_affinity_names_labels_that_the_array_has nodes::test_a_pv_says_which_nodes_reach_it",
    24: "crashes::test_c1_killed_before_the_array_was_called crashes::test_c2_killed_while_waiting_for_the_answer "
        "crashes::test_c3_killed_between_volume_and_pv crashes::test_c4_killed_before_the_answer",
    25: "observation::test_c5_a_volume_left_by_a_crash_is_reported",
    26: "crashes::test_c6_the_claim_vanishes_while_its_volume_is_made "
        "copy_crashes::test_c6_the_claim_goes_while_a_write_of_its_copy_is_unknown",
    27: "crashes::test_c4_the_api_stored_the_pv_and_did_not_say_so "
        "races::test_r2_a_pv_of_that_name_that_is_somebody_elses_is_left "
        "races::test_r2_a_pv_of_that_name_that_is_being_deleted_is_waited_for",
    28: "crashes::test_a_destroyed_namesake_is_recovered",
    29: "races::test_r5_a_retry_asks_where_the_volume_may_be races::test_r5_an_array_that_may_have_it_is_waited_for",
    30: "crashes::test_c8_killed_between_copy_and_limits crashes::test_c9_killed_while_a_file_system_is_made "
        "copy_crashes::test_c8_killed_at_each_boundary_of_a_copy",
    31: "races::test_r2_a_stale_claim_that_was_bound_and_deleted_leaves_nothing",
    32: "races::test_r3_a_claim_of_the_same_name_is_another_claim",
    33: "deletion::test_what_a_pv_needs",
    34: "deletion::test_retain_keeps_volume_and_pv_and_lets_go",
    35: "races::test_r8_the_policy_changes_in_the_last_moment",
    36: "races::test_r13_a_namespace_goes_with_its_pod_still_mounting",
    37: "deletion::test_a_volume_that_is_gone_is_deleted",
    38: "deletion::test_the_class_is_not_needed_to_delete",
    39: "deletion::test_an_array_that_left_pure_json_is_named",
    40: "races::test_r7_a_pv_deleted_while_bound_waits_for_its_claim",
    41: "deletion::test_a_pv_of_the_original_driver_is_deleted",
    42: "deletion::test_one_destroy_for_all_events",
    43: "deletion::test_pvs_of_others_are_never_touched manifest::test_pvs_of_others_are_not_even_seen",
    44: "deletion::test_finalizers_with_the_rights_there_are",
    45: "growth::test_a_larger_request_grows_the_volume_and_writes_nothing_else",
    46: "growth::test_the_node_was_first growth::test_a_failure_is_told_and_repeated",
    47: "leader::test_c13_of_two_replicas_one_acts_and_the_other_takes_over leader::test_the_lead_is_given_up_at_the_end",
    48: "leader::test_a_leader_cut_off_stops_and_exits "
        "leader::test_a_lead_that_cannot_be_renewed_ends_before_another_may_begin "
        "backend::test_nothing_is_changed_without_the_lead",
    49: "leader::test_the_first_leads_and_says_so_in_both_locks "
        "leader::test_with_the_published_charts_role_the_endpoints_lock_is_enough",
    50: "load::test_a_burst_is_served_by_the_same_threads_and_the_lead_is_kept",
    51: "observation::test_a_dead_thread_ends_the_program",
    52: "informer::test_a_silent_stream_is_noticed informer::test_410_leads_to_a_new_list_and_what_was_missed_is_told",
    53: "informer::test_bookmarks_move_the_version_so_that_compaction_costs_no_list",
    54: "kube::test_a_renewed_token_is_read_again_and_no_worker_sees_a_401",
    55: "kube::test_429_is_obeyed",
    56: "bench:CPU of the list bench:resident memory",
    57: "bench:claims/s, array 30 ms kube::test_a_rate_is_kept",
    58: "races::test_r12_a_hanging_array_does_not_slow_the_others",
    59: "bench:PVs and claims ÷ with",
    60: "load::test_connections_are_kept",
    61: "observation::test_metrics_after_one_provision_one_failure_and_one_delete",
    62: "events::test_one_object_gets_25_events_at_most_in_a_burst",
    63: "provisioning::test_runs_on_old_and_new_clusters_without_configuration",
    64: "array_choice::test_one_bad_entry_does_not_stop_the_others "
        "observation::test_a_bad_entry_is_named_by_readiness_and_takes_nobody_out",
}
MATRIX = [*(f"c{number}" for number in range(1, 14)), *(f"r{number}" for number in range(1, 15))]


@cache
def functions_of(room: str) -> frozenset[str]:
    """The test functions of tests/provisioner/test_<room>.py."""
    tree = ast.parse((HERE / f"test_{room}.py").read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def test_all_64_points_are_here() -> None:
    assert sorted(POINTS) == list(range(1, 65))


@pytest.mark.parametrize("number", POINTS)
def test_a_point_has_tests_that_exist(number: int) -> None:
    tests = re.findall(r"(\w+)::(\w+)", POINTS[number])
    rows = re.findall(r"bench:(.+?)(?= \w+::| bench:|$)", POINTS[number])
    assert tests or rows
    for room, name in tests:
        assert name in functions_of(room), f"point {number}: test_{room}.py has no {name}"
    for row in rows:
        assert row in BENCH.read_text(), f"point {number}: no row of the bench says {row!r}"


@pytest.mark.parametrize("row", MATRIX)
def test_a_row_of_the_matrix_is_found_by_its_id(row: str) -> None:
    found = [name for path in HERE.glob("test_*.py") for name in functions_of(path.stem.removeprefix("test_"))
             if name.startswith(f"test_{row}_")]
    assert found, f"no test is called test_{row}_…"
