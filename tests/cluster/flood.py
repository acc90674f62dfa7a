"""Many requests to the API server, quickly: one JSON object a line on stdin, {"method", "path", "body"}.

`send` runs it in the control plane's namespace: python -m tests.cluster.flood WORK prints how many answers had which
status.
"""

import collections
import http.client
import json
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tests.cluster.arrays import CHECKOUT
from tests.cluster.namespaces import CONTROL, CONTROL_ADDRESS, inside

WORKERS = 8


def send(work: Path, requests: list[dict[str, Any]], seconds: float = 120.0) -> dict[str, int]:
    """Send them all as admin; how many answers had which status, {"201": 300}. RuntimeError when that cannot be told."""
    argv = [*inside(CONTROL), sys.executable, "-m", "tests.cluster.flood", str(work)]
    try:
        done = subprocess.run(argv, input="\n".join(map(json.dumps, requests)), capture_output=True, text=True, check=False,
                              cwd=CHECKOUT, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{len(requests)} requests to the API server: no end after {seconds:g} s") from None
    if done.returncode:
        raise RuntimeError(f"{len(requests)} requests to the API server: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


def admin_token(work: Path) -> str:
    """What the administrator shows the API server of the cluster in `work`."""
    return next(line.split(",")[0] for line in (work / "tokens.csv").read_text().splitlines() if ",admin," in line)


def main(work: Path) -> None:
    """Send all requests over a few connections."""
    token = admin_token(work)
    tls = ssl.create_default_context(cafile=str(work / "ca.pem"))
    waiting: SimpleQueue[dict[str, Any]] = SimpleQueue()
    for line in sys.stdin:
        waiting.put(json.loads(line))
    statuses: list[int] = []
    workers = [threading.Thread(target=_send, args=(waiting, statuses, token, tls)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(json.dumps(collections.Counter(statuses)))


def _send(waiting: "SimpleQueue[dict[str, Any]]", statuses: list[int], token: str, tls: ssl.SSLContext) -> None:
    """Send what waits until nothing does. Statuses are appended: adding to a count is not one step to other threads."""
    connection = http.client.HTTPSConnection(CONTROL_ADDRESS, 443, timeout=60, context=tls)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    while True:
        try:
            request = waiting.get_nowait()
        except Empty:
            return
        connection.request(request["method"], request["path"], json.dumps(request.get("body")), headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
