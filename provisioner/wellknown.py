"""Names that Kubernetes, the published chart or users already know: annotations, the finalizer, the driver, our own name."""

PROVISIONER = "pure-provisioner"
DRIVER = "pure/flex"

# On a claim. The GA name is written from 1.23 on, the beta name by every version.
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
STORAGE_PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"
CLASS_BETA = "volume.beta.kubernetes.io/storage-class"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
SELECTED_NODE_ALPHA = "volume.alpha.kubernetes.io/selected-node"       # 1.11
SNAPSHOT = "snapshot.beta.purestorage.com/name"                         # flex documentation of the published chart
CLONE_OF = "purestorage.com/clone-of"        # a claim of the same namespace, where `dataSource` is dropped (before 1.16)

# On a PV.
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PLACEMENT = "purestorage.com/placement"                                 # why the volume is on its array, for people
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"

BLOCK = "block"             # FlashArray
FILE = "file"               # FlashBlade
