"""Make and unmake the volume that a claim or PV stands for. Every step may be repeated, and may have been done already.

Rules (provisioner.md 1.4 and 1.7 of the reference): a volume found under a claim's name is the claim's, for the name
has its UID in it. It is taken over if nobody ever used it; one that was destroyed is recovered first; a smaller one is
grown. Nothing is destroyed that is connected, or that has not our prefix and the PV's name.
"""

import logging

from arrays import names
from arrays.errors import ConfigError, PureError, Refused, VolumeDiffers
from provisioner.claims import Claim
from provisioner.manifest import Made
from provisioner.objects import PvRecord
from provisioner.stores import Found, Store, Wishes

log = logging.getLogger(__name__)


class InUse(PureError):
    """A volume that is to be destroyed is connected to hosts; it will be let go."""

    retry = True

    def __init__(self, volume: str, hosts: list[str]) -> None:
        super().__init__(volume, hosts)
        self.volume, self.hosts = volume, hosts

    def __str__(self) -> str:
        return f"volume {self.volume} is still connected to {', '.join(self.hosts)}"


class NotMade(PureError):
    """An array refused to make a volume, and has none of that name: another array may be asked."""

    retry = True

    def __init__(self, refusal: Refused) -> None:
        super().__init__(refusal)
        self.refusal = refusal

    def __str__(self) -> str:
        return str(self.refusal)


def make(store: Store, name: str, claim: Claim, wishes: Wishes) -> Found:
    """Create the claim's volume, or take over the one that an interrupted attempt left. NotMade, or why not taken."""
    try:
        return store.create(name, claim, wishes)
    except Refused as refusal:
        found = store.find(name)
        if found is None:
            raise NotMade(refusal) from None
    return adopt(store, found, claim, wishes)


def adopt(store: Store, found: Found, claim: Claim, wishes: Wishes) -> Found:
    """Make a volume that is there the claim's: recovered, not in use, big enough, complete. Its size may be larger."""
    origin = wishes.source.partition(".")[0]
    if found.source.lower() != origin.lower():
        raise VolumeDiffers(f"array {store.entry.name}", f"volume {found.name}",
                            f"the data of {origin}" if origin else "a blank volume",
                            f"the data of {found.source}" if found.source else "nothing in it")
    if found.destroyed:
        store.recover(found.name)
    if users := store.users(found.name):
        raise Refused(f"array {store.entry.name}", f"give {found.name} to claim {claim.key}",
                      f"it is there already and connected to {', '.join(users)}")
    if found.size < claim.size:
        store.grow(found.name, claim.size)
    store.complete(found.name, claim, wishes)
    return found._replace(size=max(found.size, claim.size), destroyed=False)


def made(store: Store, found: Found, labels: dict[str, str]) -> Made:
    """What the PV has to say about a volume."""
    return Made(store.entry.name, found.name, found.size, labels, store.export(found.name))


def unmake(store: Store, found: Found, eradicate: bool = False) -> None:
    """Destroy a volume, recoverable for a day on the array unless `eradicate`. InUse while a host has it.

    Gone or destroyed already is as good.
    """
    if not found.destroyed:
        _refuse_in_use(store, found)
        try:
            store.destroy(found.name)
        except Refused:
            _refuse_in_use(store, found)        # connected in the meantime
            raise
    if eradicate:
        end(store, found)


def end(store: Store, found: Found) -> None:
    """Eradicate a destroyed volume; Refused when somebody has just recovered it.

    One that the array lets nobody eradicate (SafeMode) stays recoverable, and ends by itself.
    """
    try:
        store.eradicate(found.name)
    except Refused as refusal:
        left = store.find(found.name)
        if left is not None and not left.destroyed:
            raise
        if left is not None:
            log.warning("volume=%s array=%s is destroyed and stays recoverable: %s", found.name, store.entry.name, refusal)


def _refuse_in_use(store: Store, found: Found) -> None:
    if users := store.users(found.name):
        raise InUse(found.name, list(users))


def users_through(other: Store, found: Found) -> list[str]:
    """Hosts that have a volume of a stretched pod through another of its arrays: each knows its own connections only."""
    there = other.find(found.name)
    if there is None or there.serial != found.serial:           # a pod of that name with a copy in it
        return []
    return [f"{host} (through {other.entry.name})" for host in other.users(there.name)]


def name_of(pv: PvRecord, prefix: str) -> str:
    """The base name of a PV's volume. ConfigError when it is not provably ours to destroy."""
    wanted = names.volume_name(prefix, pv.name)
    said = names.base_name(pv.volume) if pv.volume else f"{pv.prefix or prefix}-{pv.name}"
    if said != wanted:
        raise ConfigError(f"volume {pv.volume or said} of {pv.name} is not called {wanted}, so it is not ours to "
                          "change: it is left alone")
    return wanted
