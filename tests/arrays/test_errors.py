"""The error tree: what each failure says to an operator, and what it tells the caller."""

import copy
import pickle

import pytest

from arrays.errors import (Busy, CommandFailed, ConfigError, NeverHappened, NoArrayFits, NotFound, PureError, Refused,
                           TokenRefused, Unreachable, Unusable, VolumeDiffers)

FA = "FlashArray 1.2.3.4"

SENTENCES = [
    (ConfigError("pure.json: FlashArrays[1]: add APIToken"), False, "pure.json: FlashArrays[1]: add APIToken"),
    (Refused(FA, "create volume k8s-pvc-1", "Maximum number of volumes is reached"), False,
     "FlashArray 1.2.3.4 refused to create volume k8s-pvc-1: Maximum number of volumes is reached"),
    (Refused(FA, "create volume k8s-pvc-1"), False, "FlashArray 1.2.3.4 refused to create volume k8s-pvc-1"),
    (NotFound(FA, "volume k8s-pvc-1", "Volume does not exist."), False,
     "FlashArray 1.2.3.4 has no volume k8s-pvc-1: Volume does not exist."),
    (VolumeDiffers(FA, "volume k8s-pvc-1", "2GiB", "1GiB"), False,
     "FlashArray 1.2.3.4 already has volume k8s-pvc-1 with 1GiB, and 2GiB was asked for"),
    (TokenRefused(FA, "log in", "check APIToken in pure.json"), False,
     "FlashArray 1.2.3.4 refused the API token to log in: check APIToken in pure.json"),
    (NoArrayFits("claim default/data", {"1.2.3.5": "no room", "1.2.3.4": "labels differ"}), True,
     "no array fits claim default/data: 1.2.3.4: labels differ; 1.2.3.5: no room"),
    (NoArrayFits("claim default/data", {}), True,
     "no array fits claim default/data: pure.json names none of that kind"),
    (Unreachable(FA, "no answer in 30 s"), True, "FlashArray 1.2.3.4 cannot be reached: no answer in 30 s"),
    (Unusable(FA, "it is a FlashBlade"), True, "FlashArray 1.2.3.4 cannot be used: it is a FlashBlade"),
    (CommandFailed(["mkfs.xfs", "-q", "/dev/dm-1"], 1, "mkfs.xfs: no\nspace\n"), True,
     "`mkfs.xfs -q /dev/dm-1` ended with status 1: mkfs.xfs: no space"),
    (CommandFailed(["true"], 1, ""), True, "`true` ended with status 1"),
    (NeverHappened("the multipath device of 3624a9370", 20.0), True,
     "waited 20 s in vain for the multipath device of 3624a9370"),
    (Busy("volume k8s-pvc-1", "another call works on it"), True,
     "volume k8s-pvc-1 is busy: another call works on it"),
]
IDS = [f"{type(error).__name__}-{number}" for number, (error, _, _) in enumerate(SENTENCES)]


@pytest.mark.parametrize("error, retry, sentence", SENTENCES, ids=IDS)
def test_an_error_is_one_sentence_and_says_whether_to_retry(error: PureError, retry: bool, sentence: str) -> None:
    assert str(error) == sentence
    assert error.retry is retry


@pytest.mark.parametrize("error, retry, sentence", SENTENCES, ids=IDS)
def test_a_copy_says_the_same(error: PureError, retry: bool, sentence: str) -> None:
    """One failed log-in is raised in each waiting thread as a copy; errors travel between processes pickled."""
    assert str(copy.copy(error)) == str(pickle.loads(pickle.dumps(error))) == sentence


def test_refusals_are_searched_in_any_case() -> None:
    refused = Refused(FA, "connect", "Connection ALREADY exists.")
    assert refused.says("already exists")
    assert not refused.says("does not exist")


def test_a_long_output_keeps_its_beginning_and_its_end() -> None:
    """kubelet puts the message into an event, which has room for about a thousand characters."""
    text = str(CommandFailed(["fsck"], 4, "first " + "x" * 5000 + " last"))
    assert len(text) < 500 and "first" in text and "last" in text


def test_the_facts_are_fields() -> None:
    differs = VolumeDiffers(FA, "volume v", "2GiB", "1GiB")
    assert (differs.who, differs.wanted, differs.found) == (FA, "2GiB", "1GiB")
    failed = CommandFailed(["a", "b"], 5, "out")
    assert (failed.argv, failed.status, failed.output) == (("a", "b"), 5, "out")
    assert NoArrayFits("x", {"a": "b"}).refusals == {"a": "b"}
