"""A pod that writes numbered records: to its volume first, then, when fsync has returned, to the witness."""

from tests.cluster.manifests import Object, deployment
from tests.cluster.namespaces import CONTROL_ADDRESS
from tests.labcluster.witness import PORT

JOURNAL = "/data/journal"
LAST_WORDS = 15                              # records written after the order to end: it goes on as a busy database does
GRACE = 30                                   # seconds that kubelet gives it for them

# Beside the records somebody dirties pages without ever syncing. The end is written without fsync too: what a writer left
# in the page cache when it ended in order must not be lost. An empty line first: a power cut may have torn the last one.
SCRIPT = f"""
me=$(/bin/busybox hostname)
/bin/busybox mkfifo /tmp/told
/bin/busybox nc {CONTROL_ADDRESS} {PORT} < /tmp/told &
wire=$!
exec 3> /tmp/told
left=-1
trap 'left={LAST_WORDS}' TERM
echo >> {JOURNAL} || exit 1
( exec 3>&-; while :; do dd if=/dev/zero of=/data/load bs=64k count=16 conv=notrunc 2> /dev/null; sleep 0.5; done ) &
n=0
while [ $left -ne 0 ]; do
    n=$((n + 1))
    if echo "$me $n" >> {JOURNAL} && sync {JOURNAL}; then echo "$me $n" >&3; else echo "$me failed $n" >&3; fi
    if [ $left -gt 0 ]; then left=$((left - 1)); fi
done
echo "$me end" >> {JOURNAL} && echo "$me end" >&3
exec 3>&-
wait $wire
"""


def writer(name: str, namespace: str, claim: str) -> Object:
    """The Deployment of one."""
    return deployment(name, namespace, [claim], SCRIPT, grace=GRACE)
