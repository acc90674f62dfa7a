"""Where the volume of a PV is, and who uses it: the array in the PV is a hint, and the fleet has the last word."""

from arrays import names
from arrays.errors import PureError
from provisioner import volumes
from provisioner.backend import Backend
from provisioner.backends import Backends
from provisioner.objects import PvRecord
from provisioner.stores import Found


class ArrayGone(PureError):
    """The array of a PV is not in pure.json any more; it may be put back."""

    retry = True


class Search:
    """Asks the arrays; one that cannot be asked now raises, so that nothing is taken for gone that may be there."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def find(self, pv: PvRecord, volume: str) -> tuple[Backend | None, Found | None]:
        """The array that has the PV's volume (base name), and the volume; (None, None) when none has it.

        ArrayGone when the array it was made on is not known any more and no other has it.
        """
        known = self._backends.known
        home = known.arrays.get(pv.array)
        name = names.in_pod(names.pod_of(pv.volume), volume)        # a copy in another pod may have the same base name
        others = [backend for backend in known.arrays.values()
                  if backend is not home and pv.backend in ("", backend.backend)]
        for backend in [home, *others] if home else others:
            with backend.at_work(backend.volume_slots):
                found = backend.store.find(name)
            if found is not None:
                return backend, found
        if pv.array and home is None:
            raise ArrayGone(f"array {pv.array}, which has volume {pv.volume or volume}, is not in pure.json any more: "
                            "put it back, or delete the volume there and then this PV")
        if home is None and not others:
            raise ArrayGone(f"pure.json names no array that could have volume {volume}")
        if not pv.array and known.complaints:       # a PV of the original driver: any array may have it
            raise ArrayGone(f"volume {volume} is on no array that can be asked, and may be on one that cannot: "
                            f"{'; '.join(known.complaints)}")
        return None, None

    def users_elsewhere(self, home: Backend, found: Found) -> list[str]:
        """Hosts that have the volume of a stretched pod through other arrays of the fleet; one that is silent raises."""
        if not names.pod_of(found.name):        # nearly all: no slot, no step in the metrics
            return []
        with home.at_work(home.volume_slots):
            if not home.store.stretched(found.name):
                return []
        users = []
        for other in self._backends.of(home.backend):
            if other is not home:
                with other.at_work(other.volume_slots):
                    users += volumes.users_through(other.store, found)
        return users
