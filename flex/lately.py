"""What was tried in vain a moment ago, so that not every call-out pays for the same silent portal or array again.

One empty file each below /run/pure-flex; its time stamp is the note. Only time is lost when it cannot be written.
"""

import os
import time
from binascii import crc32

from flex import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.paths import Paths


def failed(paths: "Paths", what: str, seconds: float) -> bool:
    """Whether `what` was noted within the last `seconds`."""
    try:
        return 0 <= time.time() - os.stat(_file(paths, what)).st_mtime < seconds
    except OSError:
        return False


def note(paths: "Paths", what: str) -> None:
    """Note that `what` failed just now."""
    try:
        os.makedirs(paths.lock_dir, mode=0o700, exist_ok=True)
        os.close(os.open(_file(paths, what), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        os.utime(_file(paths, what))
    except OSError as error:
        log.info(f"cannot note that {what} failed: {error}")


def _file(paths: "Paths", what: str) -> str:
    likeness = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in what)[:120]
    return f"{paths.lock_dir}/failed.{likeness}.{crc32(what.encode()):08x}"
