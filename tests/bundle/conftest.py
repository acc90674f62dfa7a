"""The bundle that `make bundle` built, put where kubelet would run it, and small roots to run it in. Root is needed."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
BUNDLE = CHECKOUT / "dist" / f"bundle-{platform.machine()}"
PLUGIN = "usr/libexec/kubernetes/kubelet-plugins/volume/exec/pure~flex"


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The folder with `flex` and its runtime."""
    assert (BUNDLE / "flex").exists(), "no bundle: make bundle builds it"
    return BUNDLE


@pytest.fixture(scope="session")
def runtime(bundle: Path) -> Path:
    return next(bundle.glob(".flex-rt-*"))


class Root:
    """A root file system with the driver in kubelet's plugin directory and /proc and /dev, and little or nothing else.

    `runner` is what runs programs of another processor (tests/arm64).
    """

    def __init__(self, path: Path, bundle: Path, runner: tuple[str, ...] = ()) -> None:
        self.path, self.runner = path, runner
        shutil.copytree(bundle, path / PLUGIN)
        for name in ("proc", "dev", "tmp", "etc", "run", "var/lib", "var/log", "root"):
            (path / name).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--rbind", "/dev", path / "dev"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", path / "proc"], check=True)

    def close(self) -> None:
        for name in ("proc", "dev"):
            subprocess.run(["umount", "--lazy", self.path / name], check=False)

    def flex(self, *argv: str, environment: dict[str, str] | None = None, prepare: str = "",
             closed: tuple[int, ...] = (), before_exec: Callable[[], None] | None = None,
             status: tuple[int, ...] = (0,)) -> tuple[dict[str, object], str]:
        """Run the driver in this root; its JSON and what it said on stderr. `prepare`: shell lines run before, outside."""
        command = [*self.runner, "/usr/sbin/chroot", str(self.path), f"/{PLUGIN}/flex", *argv]
        if prepare:
            command = ["/usr/bin/unshare", "--mount", "sh", "-ec", f'{prepare}\nexec "$@"', "sh", *command]

        def begin() -> None:
            for fd in closed:
                os.close(fd)
            if before_exec is not None:
                before_exec()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment or {},
                              stdin=subprocess.DEVNULL, preexec_fn=begin, check=False)
        assert done.returncode in status, done
        return json.loads(done.stdout), done.stderr


@pytest.fixture
def root(tmp_path: Path, bundle: Path) -> Iterator[Root]:
    """A root with no libc, no shell and no Python: what a driver can count on at the least."""
    made = Root(tmp_path / "root", bundle)
    yield made
    made.close()


@pytest.fixture
def busybox_root(root: Root) -> Root:
    """The same with a static busybox as /bin/sh."""
    (root.path / "bin").mkdir()
    shutil.copy("/bin/busybox", root.path / "bin/sh")
    return root


@pytest.fixture
def interpreter(runtime: Path) -> Callable[..., str]:
    """Run Python code with the bundle's own interpreter; its stdout."""
    def run(code: str, *argv: str) -> str:
        done = subprocess.run([runtime / "ld.so", "--inhibit-cache", "--library-path", runtime / "so",
                               runtime / "bin/python3.11", "-I", "-S", "-B", "-c", code, *argv],
                              capture_output=True, text=True, timeout=120, env={}, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run
