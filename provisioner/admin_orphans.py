"""`pure orphans --delete`: destroys, recoverably for a day, volumes that no PV and no claim stands for."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from arrays.errors import PureError
from provisioner.orphans import Orphan


def delete(found: Sequence[Orphan], fleet: Any, yes: bool, look_again: Callable[[], Sequence[Orphan]]) -> int:
    """Destroy what is an orphan, and still is when looked at again after a person agreed; the exit status.

    A volume a claim waits for is none yet, and of twins a person decides on the array.
    """
    chosen = _deletable(found)
    for one in chosen:
        click.echo(f"destroy {one.volume} on {one.array}: {one.why}", err=True)
    if not chosen:
        click.echo("nothing to destroy", err=True)
        return 0
    if not yes and not click.confirm(f"Destroy {len(chosen)} volumes (recoverable on the array for a day)?", err=True):
        return 2
    still = {(one.array, one.volume) for one in _deletable(look_again())}
    failed = 0
    for number, one in enumerate(chosen, 1):
        try:
            said = _destroy(fleet, one) if (one.array, one.volume) in still else "no orphan any more, left alone"
        except PureError as error:
            said, failed = str(error), failed + 1
        click.echo(f"[{number}/{len(chosen)}] {one.volume} on {one.array}: {said}")
    return 1 if failed else 0


def _deletable(found: Sequence[Orphan]) -> list[Orphan]:
    return [one for one in found if not one.waiting and one.why.startswith("no PV")]


def _destroy(fleet: Any, orphan: Orphan) -> str:
    from provisioner import survey, volumes
    from provisioner.backends import new_store
    entry = next(one for one in (*fleet.flash_arrays, *fleet.flash_blades) if one.name == orphan.array)
    store = new_store(entry, survey.CONNECT, survey.READ)
    try:
        found = store.find(orphan.volume)
        if found is None or found.destroyed or found.name != orphan.volume:
            return "is gone already"
        if users := survey.users_elsewhere(fleet, store, found):
            raise volumes.InUse(found.name, users)
        volumes.unmake(store, found)            # refuses while a host has it here
    finally:
        store.close()
    return "destroyed"
