"""Back-off of kubelet's volume operations: 500 ms, doubling, at most 2 min 2 s (goroutinemap/exponentialbackoff)."""

FIRST, LONGEST = 0.5, 122.0


class Backoff:
    """Seconds until the next try; `scale` below 1 makes demos and tests quick."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._next = FIRST

    def failed(self) -> float:
        """One more failure: how long to wait now."""
        seconds, self._next = self._next, min(self._next * 2, LONGEST)
        return seconds * self._scale
