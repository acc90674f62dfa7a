"""Which Kubernetes the stand-in plays: what each minor version has, from the table in provisioner.md 2.5."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """Kubernetes 1.`minor`."""
    minor: int = 34

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read "1.34" or "v1.23.4"."""
        major, minor = text.lstrip("v").split(".")[:2]
        if major != "1":
            raise ValueError(f"there is no Kubernetes {text}")
        return cls(int(minor))

    @property
    def paged_lists(self) -> bool:
        """limit and continue are obeyed, not ignored."""
        return self.minor >= 9

    @property
    def bookmarks(self) -> bool:
        """allowWatchBookmarks is obeyed, not ignored."""
        return self.minor >= 16

    @property
    def streaming_lists(self) -> bool:
        """sendInitialEvents is obeyed, not refused."""
        return self.minor >= 32

    @property
    def remaining_item_count(self) -> bool:
        """A page says how many items follow it."""
        return self.minor >= 15

    @property
    def protection(self) -> bool:
        """Claims and PVs get protection finalizers."""
        return self.minor >= 11

    @property
    def self_links(self) -> bool:
        """Objects carry metadata.selfLink."""
        return self.minor < 20

    @property
    def resize(self) -> bool:
        """A flexVolume claim can grow."""
        return self.minor >= 13

    @property
    def retroactive_default_class(self) -> bool:
        """A claim without class gets one when a default class appears later."""
        return self.minor >= 28

    @property
    def provisioner_annotations(self) -> tuple[str, ...]:
        """What the binder writes into a claim to order provisioning (kubernetes/kubernetes#104590)."""
        beta, ga = "volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner"
        return (beta, ga) if self.minor >= 23 else (beta,)

    @property
    def selected_node_annotation(self) -> str:
        """What the scheduler writes for WaitForFirstConsumer."""
        return "volume.alpha.kubernetes.io/selected-node" if self.minor < 12 else "volume.kubernetes.io/selected-node"

    def knows(self, field: str) -> bool:
        """Whether this version stores the given field; older ones drop it without a word."""
        return self.minor >= _FIELDS_SINCE.get(field, 0)


_FIELDS_SINCE = {
    "PersistentVolume.spec.volumeMode": 9, "PersistentVolumeClaim.spec.volumeMode": 9,
    "PersistentVolume.spec.nodeAffinity": 10, "PersistentVolume.spec.mountOptions": 8,
    "PersistentVolumeClaim.spec.dataSource": 12, "PersistentVolumeClaim.spec.dataSourceRef": 22,
    "StorageClass.reclaimPolicy": 8, "StorageClass.mountOptions": 8, "StorageClass.allowVolumeExpansion": 8,
    "StorageClass.volumeBindingMode": 9, "StorageClass.allowedTopologies": 11,
}
