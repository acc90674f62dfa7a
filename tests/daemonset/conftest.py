"""A node's plugin directory, bundles small enough to build in a test, and a daemon for them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemonset.daemon import Daemon, Status
from daemonset.installer import Bundle, Wanted
from daemonset.settings import Settings, read

ARRAYS = {"FlashArrays": [{"MgmtEndPoint": "1.2.3.4", "APIToken": "a526a4c6-18b0-a8c9-1afa-3499293574bb"}]}


@pytest.fixture
def plugin_dir(tmp_path: Path) -> Path:
    """kubelet's volume plugin directory, not made yet."""
    return tmp_path / "node/exec"


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Path]:
    """build("1"): a bundle whose driver answers `init` with Success and its version, from a file of its runtime.

    Like the real one, the launcher cannot work without the runtime that it names.
    """
    def made(version: str) -> Path:
        folder = tmp_path / f"bundle-{version}"
        runtime = folder / f".flex-rt-{version}"
        (runtime / "lib").mkdir(parents=True)
        (runtime / "lib/answer").write_text('{"status": "Success", "message": "%s"}\n' % version)
        (runtime / "main").write_text('#!/bin/sh\nread -r line < "${0%/*}/lib/answer" && echo "$line"\n')
        (runtime / "main").chmod(0o755)
        (folder / "flex").write_text(f'#!/bin/sh\nexec "${{0%/*}}/.flex-rt-{version}/main" "$@"\n')
        return folder
    return made


@pytest.fixture
def wanted(build: Callable[[str], Path]) -> Callable[[str], Wanted]:
    """wanted("1"): bundle 1 with a fleet and no settings."""
    return lambda version: Wanted(Bundle.at(build(version)), json.dumps(ARRAYS).encode(), b"{}\n")


@pytest.fixture
def settings(tmp_path: Path, plugin_dir: Path, build: Callable[[str], Path]) -> Settings:
    """A daemon's settings on a node of which it can see the (empty) mount table."""
    arrays = tmp_path / "secret/pure.json"
    arrays.parent.mkdir()
    arrays.write_text(json.dumps(ARRAYS))
    (tmp_path / "mountinfo").write_text("")
    given = read(str(plugin_dir), environment={"PURE_DISCOVERY_CONF": str(arrays), "PURE_FLEX_BUNDLE": str(build("1")),
                                               "PURE_NODE_MOUNTINFO": str(tmp_path / "mountinfo"),
                                               "PURE_NODE_STATE": str(tmp_path / "state"),
                                               "PURE_K8S_NAMESPACE": "k8s"})
    return replace(given, interval=0.02, scratch=tmp_path)


@pytest.fixture
def daemon(settings: Settings) -> Daemon:
    """A daemon that has not looked yet."""
    return Daemon(settings, Status())
