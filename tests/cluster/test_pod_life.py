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
    place = f"/volumes/pure~flex/{pv['metadata']['name']}"
    (mount,) = [mount for mount in storage.mounts if mount.directory.endswith(place)]
    assert mount.fstype == "xfs"
    assert list(world.arrays.volumes()[f"k8s-{pv['metadata']['name']}"]["connections"]) == [node]

    world.delete("pod", "writer", namespace)
    world.gone("pod", "writer", namespace)
    processes.wait("the volume released", lambda: not [each for each in storage.maps if each.wwid == mount.wwid], 20)
    assert not [each for each in storage.mounts if each.directory.endswith(place)]
    processes.wait("the array's connection gone",
                   lambda: not world.arrays.volumes()[f"k8s-{pv['metadata']['name']}"]["connections"], 20)
    assert storage.problems() == []
