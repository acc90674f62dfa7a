"""The dynamic provisioner: claims to volumes to PersistentVolumes, and back."""
