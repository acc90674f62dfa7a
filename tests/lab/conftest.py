"""One lab for all tests of a run: three guests, the arrays' planes up, two prepared nodes."""

from collections.abc import Iterator

import pytest

from tests.lab.arrays import Arrays
from tests.lab.lab import Lab
from tests.lab.node import Node


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three machines that answer; their serial logs are kept in .cache/lab when they go."""
    with Lab() as lab:
        try:
            yield lab
        finally:
            lab.keep_consoles()


@pytest.fixture(scope="session")
def arrays(lab: Lab) -> Arrays:
    """The guest with the arrays: volumes' disk, iSCSI target, NFS server."""
    arrays = Arrays(lab.arrays)
    arrays.prepare()
    return arrays


@pytest.fixture(scope="session")
def nodes(lab: Lab, arrays: Arrays) -> list[Node]:
    """Two nodes with iscsid, multipathd and NFS client running."""
    nodes = [Node(guest, number) for number, guest in enumerate(lab.nodes, 1)]
    for node in nodes:
        arrays.know(node.iqn)
        node.prepare()
    return nodes


@pytest.fixture
def node1(nodes: list[Node]) -> Node:
    return nodes[0]


@pytest.fixture
def node2(nodes: list[Node]) -> Node:
    return nodes[1]
