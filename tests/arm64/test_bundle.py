"""What tests/bundle asks of a bundle, asked of the one for arm64.

Left out is what an emulator cannot show: times, an old kernel's calls, closed streams, a missing /proc.
"""

# pytest collects what is imported; the fixtures are those of this folder's conftest.py.
from tests.bundle.test_bundle import (INIT, simulator, test_each_call_and_its_errors_are_one_json_object,  # noqa: F401
                                      test_every_library_is_inside, test_every_shipped_module_imports,
                                      test_find_shows_one_driver, test_host_names_resolve,
                                      test_host_names_resolve_by_dns, test_is_small,
                                      test_licences_and_components_are_shipped, test_nothing_is_written_beside_the_driver,
                                      test_runs_on_a_root_with_nothing_in_it, test_tls_is_verified_with_the_given_ca,
                                      test_tls_refuses_another_ca, test_tls_refuses_by_the_bundles_own_list)

import subprocess
from pathlib import Path

from tests.bundle.conftest import Root


def test_all_of_it_is_for_arm64(bundle: Path) -> None:
    """No program or library of this machine's got in."""
    programs = [path for path in bundle.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert bundle / "flex" in programs and len(programs) > 30
    for path in programs:
        assert "AArch64" in subprocess.run(["readelf", "-h", path], capture_output=True, text=True, check=True).stdout


def test_doctor_speaks(root: Root) -> None:
    """click's half of the driver too."""
    reply, errors = root.flex("doctor", "-o", "json", status=(1,))
    assert "multipathd" in str(reply) and errors == ""
