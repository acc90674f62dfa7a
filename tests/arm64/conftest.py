"""The fixtures of tests/bundle, on emulated arm64."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.arm64 import debian
from tests.bundle.conftest import Root

CHECKOUT = debian.CHECKOUT


@pytest.fixture(scope="session")
def bundle() -> Path:
    """Built now: what it is made of is in this checkout."""
    return debian.bundle(CHECKOUT / "dist")


@pytest.fixture(scope="session")
def runtime(bundle: Path) -> Path:
    return next(bundle.glob(".flex-rt-*"))


@pytest.fixture
def root(tmp_path: Path, bundle: Path) -> Iterator[Root]:
    """An arm64 node with no libc, no shell and no Python."""
    made = Root(tmp_path / "root", bundle, debian.RUNNER)
    yield made
    made.close()


@pytest.fixture
def interpreter(runtime: Path) -> Callable[..., str]:
    """Run Python code with the bundle's own interpreter; its stdout."""
    def run(code: str, *argv: str) -> str:
        done = subprocess.run([*debian.RUNNER, runtime / "ld.so", "--inhibit-cache", "--library-path", runtime / "so",
                               runtime / "bin/python3.11", "-I", "-S", "-B", "-c", code, *argv],
                              capture_output=True, text=True, timeout=240, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                              check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run
