"""Whole lists of space, snapshots, hosts and load, each in one request."""

from arrays.flasharray import FlashArray, Space
from simulator.flasharray import FlashArray as Pretend

GiB = 2**30


def test_each_list_is_one_request_however_many_volumes(pretend: Pretend, array: FlashArray) -> None:
    for number in range(5):
        pretend.add_volume(f"k8s-pvc-{number}", GiB)
    pretend.add_volume("other-1", GiB)
    pretend.add_host("node1", iqns=["iqn.1993-08.org.debian:01:a"])
    pretend.connect("node1", "k8s-pvc-1")
    array.snapshot("k8s-pvc-1", "one")
    array.snapshot("k8s-pvc-1", "two")
    before = len(pretend.requests)

    assert array.volume_space("k8s-*").keys() == {f"k8s-pvc-{number}" for number in range(5)}
    assert [one.name for one in array.volume_snapshots("k8s-*")["k8s-pvc-1"]] == ["k8s-pvc-1.one", "k8s-pvc-1.two"]
    assert array.volume_hosts("k8s-*") == {"k8s-pvc-1": ["node1"]}
    assert "k8s-pvc-4" in array.volumes_activity("k8s-*")
    assert len(pretend.requests) == before + 4


def test_nothing_of_that_name_is_an_empty_list(array: FlashArray) -> None:
    assert array.volume_space("k8s-*") == {} == array.volume_hosts("k8s-*")


def test_one_volumes_space_and_reduction(pretend: Pretend, array: FlashArray) -> None:
    """Size, physical use, and how far the array reduced it; a list or an object by release."""
    pretend.add_volume("v", 10 * GiB)
    pretend.set_volume_used("v", 3 * GiB)
    assert array.space_of("v") == Space(10 * GiB, 3 * GiB, 1.0, 3.33)
