"""How many claims wait, and how long: what the alert about late claims goes by."""

from typing import Any

from provisioner.objects import ClaimRecord
from provisioner.pending import Pending, Waiting


def claim(uid: str, class_name: str | None = "pure", volume: str = "", deleting: bool = False) -> ClaimRecord:
    return ClaimRecord(uid, "shop", f"data-{uid}", "1", class_name, volume, deleting, "10Gi", "")


def test_waiting_counts_from_the_first_look_and_ends_with_the_binding() -> None:
    now: list[Any] = [100.0]
    claims = {"1": claim("1"), "2": claim("2", volume="pvc-2"), "3": claim("3", deleting=True), "4": claim("4", None)}
    pending = Pending(claims, lambda: now[0])
    assert pending.by_class() == {"pure": Waiting(1, 0.0), "": Waiting(1, 0.0)}
    now[0], claims["5"] = 160.0, claim("5")
    assert pending.by_class() == {"pure": Waiting(2, 60.0), "": Waiting(1, 60.0)}
    claims["1"] = claim("1", volume="pvc-1")
    now[0] = 170.0
    assert pending.by_class() == {"pure": Waiting(1, 10.0), "": Waiting(1, 70.0)}


def test_a_claim_that_went_and_came_again_waits_anew() -> None:
    now = [0.0]
    claims = {"1": claim("1")}
    pending = Pending(claims, lambda: now[0])
    pending.by_class()
    bound = {"1": claim("1", volume="pvc-1")}
    claims.update(bound)
    assert pending.by_class() == {}
    claims["1"], now[0] = claim("1"), 500.0
    assert pending.by_class() == {"pure": Waiting(1, 0.0)}
