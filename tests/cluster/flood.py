"""Many requests to the API server, quickly: one JSON object a line on stdin, {"method", "path", "body"}.

Run in the control plane's namespace: python -m tests.cluster.flood WORK. Prints how many answers had which status.
"""

import collections
import http.client
import json
import ssl
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tests.cluster.namespaces import CONTROL_ADDRESS

WORKERS = 8


def main(work: Path) -> None:
    """Send all requests over a few connections."""
    token = next(line.split(",")[0] for line in (work / "tokens.csv").read_text().splitlines() if ",admin," in line)
    tls = ssl.create_default_context(cafile=str(work / "ca.pem"))
    waiting: SimpleQueue[dict[str, Any]] = SimpleQueue()
    for line in sys.stdin:
        waiting.put(json.loads(line))
    statuses: collections.Counter[int] = collections.Counter()
    workers = [threading.Thread(target=_send, args=(waiting, statuses, token, tls)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(json.dumps(statuses))


def _send(waiting: "SimpleQueue[dict[str, Any]]", statuses: "collections.Counter[int]", token: str,
          tls: ssl.SSLContext) -> None:
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
        statuses[answer.status] += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
