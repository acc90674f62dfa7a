"""A pod's life on the real kubelet: claim, volume, device, file system, bytes; and the way back."""

from tests.cluster import manifests, processes
from tests.cluster.world import World


def test_pod_writes_to_a_volume_and_everything_is_released_afterwards(world: World, namespace: str) -> None:
    """AT-28, AT-29, AT-52: claim to xfs on a real device, and nothing left on node and array when the pod is gone."""
    world.apply(manifests.claim("data", namespace), manifests.pod("writer", namespace, ["data"]))
    pv = world.bound("data", namespace)
    node = world.running("writer", namespace)["spec"]["nodeName"]
    storage = world.storage[node]

    world.run_in("writer", namespace, "date > /data/temp-data; sync")
    (mount,) = storage.mounts
    assert mount.fstype == "xfs" and mount.directory.endswith(f"/volumes/pure~flex/{pv['metadata']['name']}")
    assert list(world.arrays.volumes()[f"k8s-{pv['metadata']['name']}"]["connections"]) == [node]

    world.delete("pod", "writer", namespace)
    world.gone("pod", "writer", namespace)
    processes.wait("the volume released", lambda: not storage.mounts and not storage.maps, 20)
    assert world.arrays.volumes()[f"k8s-{pv['metadata']['name']}"]["connections"] == {}
    assert storage.problems() == []
