"""Builds the container image: a root file system of Debian's files and pinned Python packages, and an OCI archive of it.

The same builder runs in daemonset/Dockerfile and without Docker (`make image`), so what is tested is what is shipped.

    /pure-flex-daemon /uninstaller    the DaemonSet's commands
    /k8s-provisioner                  the Deployment's command; /usr/bin/{pure,snapshot,pure-provisioner} for people
    /opt/pure-flex                    the driver's bundle, which the daemon puts on the node
    /opt/pure                         our programs and what they import, components.json with all that is in the image
    /usr/bin/python3.11, /usr/lib     Debian's interpreter and libraries
    /bin/busybox                      sh and friends, for `kubectl exec` and older charts' preStop hooks
"""
