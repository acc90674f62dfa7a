"""The way from FlexVolume to the CSI driver: PVs and claims are made anew under `pure-csi`; volumes never change.

`record` is the file that every step is resumed from; `volumes` and `workloads` read the cluster (pure), `csi` words the
new objects (pure), `steps` acts. `pure migrate` (provisioner/admin_migrate.py) is the command line.
"""
