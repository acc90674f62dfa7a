"""How often something happened on this node, over all call-outs: for `flex doctor -o prom`. Read and written seldom.

One small file below /var/lib/pure-flex, a line each: `failed mount Unreachable 3`, `preempted 1`. It is written when a call
fails or takes a volume from another host, never by a call that goes well. A count that cannot be noted is no failure.
"""

import os

from arrays.errors import PureError
from flex import log
from flex.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.paths import Paths

FAILED = "failed"           # and then: the call, the reason
PREEMPTED = "preempted"

PATIENCE = 1.0              # seconds to wait for others that count at this moment
LARGEST = 1 << 16           # bytes that are read of the file; it has a line for each call and reason


def add(paths: "Paths", *words: str) -> None:
    """Count one more of what `words` name; they have no white space in them."""
    try:
        with Lock((f"{paths.lock_dir}/counts",), "the counts", PATIENCE):
            counts = read(paths)
            counts[words] = counts.get(words, 0) + 1
            _write(_file(paths), "".join(f"{' '.join(key)} {count}\n" for key, count in sorted(counts.items())))
    except (OSError, PureError) as error:
        log.info(f"cannot count {' '.join(words)}: {error}")


def read(paths: "Paths") -> dict[tuple[str, ...], int]:
    """Everything counted so far; a line that cannot be read is passed over."""
    try:
        with open(_file(paths), encoding="utf-8", errors="replace") as file:
            rows = [line.split() for line in file.read(LARGEST).splitlines()]
    except OSError:
        return {}
    return {tuple(row[:-1]): int(row[-1]) for row in rows if len(row) > 1 and row[-1].isdecimal()}


def _file(paths: "Paths") -> str:
    return paths.state_dir + "/counts"


def _write(file: str, text: str) -> None:
    """Whole or not at all; not synced, for nothing depends on it."""
    os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
    staged = f"{file}.new"      # we have the lock
    with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as opened:
        opened.write(text.encode())
    os.rename(staged, file)
