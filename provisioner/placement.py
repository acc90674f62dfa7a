"""Which array gets a volume: the least full one that can hold it. Pure; every refusal is worded for the event.

Order: used percentage, then number of volumes, then name. Percentages are compared in tenths, so that arrays which are
equally full for a person share new volumes by count. What is being made right now counts as used and as a volume,
because arrays report it late, and a thin volume not before it is written to.

Three things come before that, each only among arrays that fit: an array near the node that the scheduler chose; one that
is not overloaded, by what its hosts wait for it; and, among arrays not more than NEAR fuller than the least full, the one
with the fewest volumes of the same StatefulSet, so that losing an array does not lose all replicas.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from arrays.errors import NoArrayFits
from arrays.units import human
from provisioner.claims import Claim
from provisioner.selectors import unmet, unmet_topology

POD_LIMIT = 3000            # volumes in a replication pod
NEAR = 10.0                 # percentage points
_LONGEST_REASON = 500       # characters; it is kept with each PV


@dataclass(frozen=True)
class ArrayState:
    """One array as placement sees it; bytes. `problem` says why it cannot be used now, "" when it can."""

    name: str
    backend: str                                        # block or file
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: int = 0
    used: int = 0
    volumes: int = 0
    problem: str = ""
    coming: int = 0                                     # bytes of volumes that are being made
    recent: int = 0                                     # bytes of volumes made lately, which hardly show in `used`
    uncounted: int = 0                                  # volumes that `volumes` does not have yet
    pods: Mapping[str, int] = field(default_factory=dict)      # replication pod -> volumes in it
    busy: str = ""                                      # how its hosts wait for it, when that is too long
    siblings: int = 0                                   # volumes of the claim's StatefulSet that it has
    away: str = ""                                      # labels by which it is far from the claim's node

    @property
    def free(self) -> int:
        return self.capacity - self.used - self.coming

    @property
    def used_percent(self) -> float:
        """With what is promised; 0 to 100 and beyond."""
        return 100 * (self.used + self.coming + self.recent) / self.capacity if self.capacity else 100.0


def refusal(array: ArrayState, claim: Claim) -> str:
    """Why an array cannot hold a claim's volume, "" when it can."""
    if missing := unmet(array.labels, claim.requirements):
        return f"has not the labels asked for: {missing}"
    if missing := unmet_topology(array.labels, claim.volume_class.topologies):
        return f"is not in the topology of {claim.volume_class.name}: {missing}"
    if array.problem:
        return array.problem
    if array.capacity <= 0:
        return "reports no capacity"
    if claim.size > array.free:
        return f"has {human(max(array.free, 0))} free of {human(array.capacity)}, {human(claim.size)} needed"
    if array.pods and all(count >= POD_LIMIT for count in array.pods.values()):
        return f"has {POD_LIMIT} volumes in each of its replication pods"
    return ""


def choose_array(arrays: Iterable[ArrayState], claim: Claim) -> ArrayState:
    """The array for a claim's volume; NoArrayFits with the reason of each array of the backend when there is none."""
    candidates = [array for array in arrays if array.backend == claim.volume_class.backend]
    refusals = {array.name: refusal(array, claim) for array in candidates}
    fitting = [array for array in candidates if not refusals[array.name]]
    if not fitting:
        raise NoArrayFits(_asked_for(claim), refusals)
    return ordered(fitting)[0]


def ordered(fitting: Sequence[ArrayState]) -> list[ArrayState]:
    """Arrays that fit, the best first."""
    if len(fitting) < 2:
        return list(fitting)
    best = min((bool(array.away), bool(array.busy)) for array in fitting)
    full = NEAR + min(array.used_percent for array in fitting if (bool(array.away), bool(array.busy)) == best)

    def key(array: ArrayState) -> tuple[bool, bool, float, tuple[float, int, str]]:
        spread = array.siblings if array.used_percent <= full else float("inf")
        return bool(array.away), bool(array.busy), spread, rank(array)

    return sorted(fitting, key=key)


def rank(array: ArrayState) -> tuple[float, int, str]:
    """What arrays are ordered by when nothing else tells them apart: the smallest is the best."""
    return round(array.used_percent, 1), array.volumes + array.uncounted, array.name


def reason(arrays: Iterable[ArrayState], claim: Claim, chosen: ArrayState) -> str:
    """Why a volume went where it went, a line for people: the rank of each that fits, the refusal of each other."""
    candidates = [array for array in arrays if array.backend == claim.volume_class.backend]
    said = {array.name: refusal(array, claim) for array in candidates}
    fitting = ordered([array for array in candidates if not said[array.name]])
    shares = ", ".join(f"{array.name} {array.used_percent:.1f} %{_aside(array)}" for array in fitting)
    refused = "".join(f"; not {name}: {why}" for name, why in sorted(said.items()) if why)
    least = chosen.used_percent <= min((array.used_percent for array in fitting), default=0.0)
    kind = ("the only one that fits" if len(fitting) == 1
            else f"the {'least full' if least else 'best'} of {len(fitting)} that fit")
    return f"{chosen.name} was {kind}: {shares}{refused}"[:_LONGEST_REASON]


def _aside(array: ArrayState) -> str:
    """What beside its fill speaks for or against an array, in brackets; "" when nothing does."""
    siblings = f"{array.siblings} of the same set" if array.siblings else ""
    told = ", ".join(filter(None, (siblings, array.busy, array.away)))
    return f" ({told})" if told else ""


def choose_pod(pods: Mapping[str, int]) -> str:
    """The replication pod with the fewest volumes, "" when the array has none set up."""
    return min(pods, key=lambda pod: (pods[pod], pod), default="")


def may_hold(arrays: Iterable[ArrayState], claim: Claim) -> Sequence[ArrayState]:
    """Arrays that a claim's volume could be on already, whether they can take another one now or not."""
    return [array for array in arrays if array.backend == claim.volume_class.backend and suits(array.labels, claim)]


def suits(labels: Mapping[str, str], claim: Claim) -> bool:
    """Whether an array with these labels is one that the claim and its class ask for."""
    return not unmet(labels, claim.requirements) and not unmet_topology(labels, claim.volume_class.topologies)


def _asked_for(claim: Claim) -> str:
    wanted = [human(claim.size), claim.volume_class.backend, *map(str, claim.requirements)]
    return f"{claim.key} ({', '.join(wanted)})"
