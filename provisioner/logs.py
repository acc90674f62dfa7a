"""Log lines on stdout: `time level message`, messages in key=value, or one JSON object a line."""

import json
import logging
import re
import sys
from datetime import datetime, timezone

_PAIR = re.compile(r'(\w+)=("[^"]*"|\S+)')


def set_up(debug: bool, log_format: str) -> None:
    """Log to stdout from here on; libraries below warnings only with `debug`."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines() if log_format == "json" else Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("provisioner").setLevel(logging.DEBUG if debug else logging.INFO)
    logging.captureWarnings(True)


class Lines(logging.Formatter):
    """2026-01-31T08:15:00.123Z INFO provision ok claim=shop/data pv=pvc-…"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _stamp(record.created)


class JsonLines(logging.Formatter):
    """{"time": …, "level": "info", "message": "provision ok", "claim": "shop/data", …}"""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        fields = {key: value.strip('"') for key, value in _PAIR.findall(message)}
        line = {"time": _stamp(record.created), "level": record.levelname.lower(),
                "message": _PAIR.sub("", message).strip() if fields else message}
        line |= {key: value for key, value in fields.items() if key not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
