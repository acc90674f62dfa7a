"""One lab for all tests of a run: three guests, pretend arrays with real data, two nodes with the driver on them."""

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab import foreign
from tests.lab.arrays import Arrays, FlashArray, FlashBlade
from tests.lab.guest.machine import GuestFailed
from tests.lab.lab import Lab, last
from tests.lab.node import Node

# Waits that a person at a desk would shorten too; each test that is about one of them sets it itself.
FAILURES = last("failures.txt")
SETTINGS = {"PURE_ISCSI_LOGIN_TIMEOUT": "5", "PURE_FLEX_DEBUG": "true"}


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three machines that answer; their serial logs are kept in .cache/lab when they go."""
    FAILURES.unlink(missing_ok=True)
    nodes = int(os.environ.get("PURE_LAB_NODES", "2"))
    with Lab(nodes, kept="PURE_LAB_KEEP" in os.environ) as lab:
        try:
            yield lab
        finally:
            lab.keep_consoles()


@pytest.fixture(scope="session")
def nodes(lab: Lab, arrays: Arrays) -> list[Node]:
    """Two nodes with their daemons running, LUNs of somebody else in use, and the driver installed."""
    nodes = [Node(guest, number, SETTINGS) for number, guest in enumerate(lab.nodes, 1)]
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(lambda node: find(arrays, node) if lab.found else prepare(arrays, node, fresh=True), nodes))
    lab.after_boot = lambda node: prepare(arrays, node, fresh=False)
    return nodes


def prepare(arrays: Arrays, node: Node, fresh: bool) -> None:
    """All a node needs after a boot."""
    node.prepare()
    if fresh:
        foreign.make(arrays, node)
        foreign.learn(arrays, node)
        told = arrays.fleet("pure_json", ["fa1", "fb1"])
        node.install_driver(told["json"], told["ca"])
    foreign.attach(arrays, node, fresh)
    node.untouchable = node.foreign_identity()


def find(arrays: Arrays, node: Node) -> None:
    """A node of a kept lab, prepared by an earlier run."""
    foreign.learn(arrays, node)
    node.clean()
    node.set()
    node.untouchable = node.foreign_identity()


@pytest.fixture(scope="session")
def arrays(lab: Lab) -> Arrays:
    """The guest with the arrays: volumes' disk, iSCSI target, NFS server, simulator."""
    arrays = Arrays(lab.arrays)
    if lab.found:
        arrays.find()
        return arrays
    arrays.prepare([Node(guest, number).iqn for number, guest in enumerate(lab.nodes, 1)])
    return arrays


@pytest.fixture
def node1(nodes: list[Node]) -> Iterator[Node]:
    yield from _used(nodes[0])


@pytest.fixture
def node2(nodes: list[Node]) -> Iterator[Node]:
    yield from _used(nodes[1])


def _used(node: Node) -> Iterator[Node]:
    """A node that must be left as it was found: nothing of ours on it, others' devices never touched."""
    yield node
    left = node.view(paths=0, maps=0, mounts=0)
    touched = node.foreign_identity()
    if left["paths"] or left["maps"] or left["mounts"] or touched != node.untouchable:
        log = node.log()
        node.clean()
        assert touched == node.untouchable, f"{node.name}: somebody else's devices were touched\n{log}"
        raise AssertionError(f"{node.name}: left behind: {left}\n{log}")


@pytest.fixture
def array(arrays: Arrays) -> FlashArray:
    return arrays.flash_array


@pytest.fixture
def blade(arrays: Arrays) -> FlashBlade:
    return arrays.flash_blade


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """A failed test shows the end of the drivers' logs and of the kernels', at once in FAILURES and again at the end."""
    report = yield
    if report.failed:
        for node in item.funcargs.get("nodes", ()) or []:
            with contextlib.suppress(GuestFailed):       # a guest that was reset in vain says nothing
                report.sections.append((f"{node.name}: /var/log/pure-flex.log", node.log()))
                report.sections.append((f"{node.name}: dmesg", node.sh("dmesg | tail -25", allow=None)))
        with FAILURES.open("a") as file:
            file.write(f"==== {item.nodeid} ({call.when})\n{report.longreprtext}\n")
            file.writelines(f"---- {title}\n{text}\n" for title, text in report.sections)
    return report
