"""What importing costs each call-out (packaging.md section 4): modules that a call must not pay for are named."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from flex import verbs
from tests.flex.blocks import GiB, block, hurry
from tests.flex.driver import Driver, argument, checked, options

CALL = """
import sys
sys.path[:0] = {places!r}
from flex import cli
status = cli.main(sys.argv[2:], sys.argv[1], 2)
print(status, *sys.modules)
"""

NEEDLESS = {"typing", "dataclasses", "inspect", "contextlib", "logging", "subprocess", "click", "pathlib",
            "signal", "requests", "urllib3", "queue", "traceback", "asyncio", "encodings.idna"}
WITH_NOTHING_TO_DO = NEEDLESS | {"json", "re", "enum", "collections", "functools", "threading", "purestorage",
                                 "arrays.fleet", "arrays.flasharray"}


def imported(flex: Driver, *words: object) -> set[str]:
    """Call the driver in a bare interpreter; all modules loaded there in the end."""
    flex.install()
    program = CALL.format(places=[str(Path(verbs.__file__).parents[1]), sysconfig.get_path("purelib")])
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program, flex.executable, *map(argument, words)],
                          env=flex.environment, capture_output=True, timeout=30, text=True)
    status, *modules = done.stdout.split()
    assert status == "0" and checked(done.stderr.encode())
    return set(modules)


@pytest.mark.parametrize("words", [
    ["init"], ["getvolumename", "{}"], ["mount"], ["unmount", "/nowhere/pvc-1"]], ids=" ".join)
def test_calls_with_nothing_to_do_import_little(bare: Driver, words: list[str]) -> None:
    """Their budget is a bare interpreter's start."""
    modules = imported(bare, *words)
    assert modules & WITH_NOTHING_TO_DO == set()
    assert words[0] == "unmount" or "os" not in modules


def test_a_block_volume_comes_and_goes_without_the_dear_modules(flex: Driver, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    hurry(node)
    came = imported(flex, "mount", pod / "pvc-1", block())
    assert node.mounts and {"arrays.purestorage_session", "http.client"} <= came
    went = imported(flex, "unmount", pod / "pvc-1")
    assert not node.mounts and array.connections("k8s-pvc-1") == {} and "http.client" in went
    assert (came | went) & NEEDLESS == set()


def test_a_file_volume_comes_and_goes_without_arrays_and_the_dear_modules(
        flex: Driver, node: Any, blade: Any, pod: Path) -> None:
    blade.add_file_system("k8s-pvc-1", GiB)
    came = imported(flex, "mount", pod / "pvc-1", options(
        backend="file", volume="k8s-pvc-1", array=blade.endpoint, nfs=f"{blade.nfs_endpoint}:/k8s-pvc-1"))
    assert node.mounts
    went = imported(flex, "unmount", pod / "pvc-1")
    assert not node.mounts
    assert (came | went) & {*NEEDLESS, "json", "http.client", "arrays.flashblade"} == set()
