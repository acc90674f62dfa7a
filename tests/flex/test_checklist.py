"""The checklist of call-outs, point by point, and the tests that hold each: flexvolume-protocol.md section 10."""

import ast
from pathlib import Path

import pytest

TABLE = {
    1: "test_protocol.test_a_whole_life_is_told_in_one_object_a_call test_cli.test_no_arguments_at_all_is_a_failure "
       "test_cli.test_whatever_is_asked_the_answer_is_one_object",
    2: "test_cli.test_whatever_is_asked_the_answer_is_one_object",
    3: "test_protocol.test_a_whole_life_is_told_in_one_object_a_call",
    4: "test_protocol.test_a_failure_ends_with_status_0_in_a_process_too",
    5: "test_protocol.test_no_answer_and_no_log_holds_a_secret test_find.test_no_token_is_in_any_message",
    6: "test_protocol.test_an_error_text_of_any_bytes_is_told test_request.test_bytes_that_are_no_utf8_become_valid_json",
    7: "test_cli.test_a_signal_ends_the_call_with_a_failure test_cli.test_a_bug_is_a_failure_without_its_traceback "
       "test_cli.test_the_disk_being_full_is_told test_cli.test_an_unwritable_log_changes_nothing",
    8: "test_command.test_a_daemon_that_keeps_the_pipes_does_not_keep_us "
       "test_cli.test_what_libraries_print_reaches_the_log_and_not_kubelet",
    9: "test_cli.test_unknown_calls_are_not_supported",
    10: "test_cli.test_a_wrong_number_of_arguments_is_a_failure_that_says_the_right_one "
        "test_cli.test_malformed_options_are_a_failure",
    11: "test_cli.test_unknown_calls_are_not_supported test_protocol.test_attach_calls_are_not_supported",
    12: "test_cli.test_a_process_with_an_empty_environment_and_no_path_answers test_cli.test_closed_streams_do_no_harm",
    13: "test_cli.test_init_tells_all_five_capabilities",
    14: "test_cli.test_init_needs_no_config_and_writes_nothing",
    15: "test_protocol.test_a_thousand_inits_change_nothing test_cli.test_fifty_inits_at_once",
    16: "test_cli.test_init_needs_no_config_and_writes_nothing",
    18: "test_request.test_unknown_keys_and_escapes_are_taken_as_they_come",
    19: "test_request.test_an_empty_fs_type_is_the_settings",
    20: "test_protocol.test_read_only_is_read_only",
    21: "test_request.test_both_keys_of_the_group_are_understood",
    22: "test_request.test_a_missing_name_is_the_last_element_of_the_directory",
    23: "test_protocol.test_a_kubelet_of_1_6_sends_no_pod",
    24: "test_request.test_secrets_are_decoded_and_shown_nowhere test_request.test_what_cannot_be_used_is_named",
    25: "test_protocol.test_options_without_the_pvs_own_crash_nothing",
    26: "test_attachment.test_isattached_takes_both_orders",
    27: "test_attachment.test_detach_takes_a_pv_name_and_a_device "
        "test_attachment.test_detach_of_what_nobody_knows_is_success",
    28: "test_attachment.test_the_whole_family_by_kubelet_itself test_expand.test_the_device_argument_is_not_believed",
    29: "test_file.test_mount_shows_the_export_and_asks_no_array "
        "test_block_mount.test_a_blank_volume_is_connected_formatted_and_mounted",
    30: "test_file.test_a_mount_that_fails_and_is_there_is_taken_away test_file.test_an_export_that_is_not_there "
        "test_block_mount.test_a_mount_that_fails_gives_everything_back",
    31: "test_file.test_a_repeated_mount_adds_no_layer "
        "test_block_mount.test_a_repeated_mount_is_success_and_asks_nobody",
    32: "test_file.test_another_volume_on_the_directory_is_left_alone "
        "test_block_mount.test_a_directory_with_another_volume_is_refused_and_left_as_it_is",
    33: "test_file.test_the_directory_may_be_there_or_not test_protocol.test_kubelets_root_may_be_anywhere",
    34: "test_block_contents.test_raw_data_that_blkid_calls_nothing_is_never_formatted "
        "test_block_contents.test_a_device_that_cannot_be_read_is_never_taken_for_blank "
        "test_block_contents.test_a_file_system_of_another_type_is_refused_naming_both",
    35: "test_protocol.test_two_pods_mount_one_volume_at_once",
    36: "test_protocol.test_nobody_waits_for_a_volume_that_waits "
        "test_block_parallel.test_twenty_volumes_are_mounted_and_given_back_at_once",
    37: "test_file.test_a_dark_server_is_named_in_time test_cli.test_a_call_that_forgets_the_time_is_cut",
    38: "test_protocol.test_a_mount_killed_at_any_step_is_finished_by_its_repeat "
        "test_protocol.test_an_unmount_killed_at_any_step_is_finished_by_its_repeat "
        "test_block_cuts.test_a_mount_killed_at_any_boundary_is_finished_by_its_repeat "
        "test_block_cuts.test_an_unmount_killed_at_any_boundary_is_finished_by_its_repeat",
    39: "test_protocol.test_kubelets_root_may_be_anywhere test_file.test_a_slash_at_the_end_names_the_same_directory "
        "test_mounts.test_a_kubelet_folder_behind_a_link_is_found",
    40: "test_file.test_what_is_mounted_is_written_down_first "
        "test_block_mount.test_what_it_stands_for_is_written_down_without_secrets",
    41: "test_protocol.test_a_mount_that_mounts_nothing_is_no_success",
    42: "test_file_unmount.test_unmount_needs_the_directory_only",
    43: "test_protocol.test_unmount_of_what_was_never_mounted",
    44: "test_file_unmount.test_unmount_after_a_reboot "
        "test_block_mount.test_after_a_reboot_the_unmount_of_a_pod_that_is_gone_gives_the_volume_back",
    45: "test_file_unmount.test_unmount_when_the_state_is_lost "
        "test_block_unmount.test_without_a_record_the_volume_is_found_from_the_mount_table",
    46: "test_file_unmount.test_stacked_mounts_are_all_taken_away test_block_unmount.test_stacked_mounts_are_all_removed",
    47: "test_file_unmount.test_unmount_needs_the_directory_only test_block_unmount.test_ten_repeats_give_the_same_success",
    48: "test_file_unmount.test_files_in_the_unmounted_directory_are_left_and_reported",
    49: "test_file_unmount.test_a_dead_server_does_not_keep_the_pod test_file_unmount.test_a_stale_export_is_unmounted "
        "test_file_unmount.test_a_dead_server_that_no_force_moves_is_unmounted_lazily",
    50: "test_file_unmount.test_a_busy_mount_is_a_failure_until_it_is_free "
        "test_block_unmount.test_a_busy_directory_is_told_and_a_repeat_succeeds test_mounts.test_who_keeps_a_mount_busy",
    51: "test_protocol.test_two_pods_mount_one_volume_at_once "
        "test_block_unmount.test_a_mount_elsewhere_that_is_no_pods_is_told "
        "test_block_unmount.test_a_map_that_somebody_holds_is_told_and_a_repeat_finishes",
    52: "test_protocol.test_one_pod_leaves_while_another_comes "
        "test_block_parallel.test_a_mount_never_loses_its_device_to_another_pods_unmount",
    53: "test_file_unmount.test_unmount_ten_times test_block_unmount.test_ten_repeats_give_the_same_success",
    54: "test_block_stale.test_devices_are_deleted_by_wwid_and_only_just_verified "
        "test_block_stale.test_a_lun_that_is_reused_at_once_gets_the_right_volume",
    55: "test_attachment.test_the_whole_family_by_kubelet_itself",
    56: "test_attachment.test_the_whole_family_by_kubelet_itself "
        "test_attachment.test_detach_of_what_nobody_knows_is_success",
    57: "test_protocol.test_attach_calls_are_not_supported",
    58: "test_attachment.test_the_whole_family_by_kubelet_itself",
    59: "test_expand.test_the_array_the_paths_the_map_and_the_file_system_grow "
        "test_expand.test_repeats_and_smaller_sizes_change_nothing test_expand.test_the_device_argument_is_not_believed",
    60: "test_protocol.test_attach_calls_are_not_supported "
        "test_expand.test_the_array_the_paths_the_map_and_the_file_system_grow",
}

# What a unit test cannot show, and where it is shown.
ELSEWHERE = {
    17: "the bundle's tests: init in a root without shell and C library",
    61: "daemonset", 62: "daemonset", 63: "daemonset", 64: "daemonset", 65: "daemonset", 66: "daemonset",
}


def functions_in(module: str) -> set[str]:
    tree = ast.parse((Path(__file__).with_name(f"{module}.py")).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("point", sorted(TABLE))
def test_each_point_is_tested_where_the_table_says(point: int) -> None:
    for name in TABLE[point].split():
        module, _, function = name.partition(".")
        assert function in functions_in(module)


def test_no_point_is_forgotten() -> None:
    assert sorted([*TABLE, *ELSEWHERE]) == list(range(1, 67))
