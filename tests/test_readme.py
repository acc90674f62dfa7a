"""README says what is there: every setting, command and target is in it, and the messages it explains exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
ROOMS = ("arrays", "flex", "provisioner", "daemonset")
SOURCE = {path: path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py")}

# Python joins neighbouring literals, and f-strings have holes: what is left are the words as an operator reads them.
SAID = re.sub(r'"\s*\n?\s*f?"', "", "\n".join(SOURCE.values()))
SAID = re.sub(r"\{[^{}]*\}", "…", re.sub(r"\{[^{}]*\}", "…", SAID))


def settings() -> set[str]:
    """Names of environment variables that the source reads or writes."""
    quoted = re.findall(r'"(PURE_[A-Z_0-9]+)"', "\n".join(SOURCE.values()))
    return set(quoted) - {"PURE_"}


def messages() -> list[str]:
    table = README.split("## Messages")[1].split("##")[0]
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(settings()))
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name}`" in README


def test_no_setting_is_explained_that_nobody_reads() -> None:
    assert set(re.findall(r"PURE_[A-Z_0-9]+[A-Z0-9]", README)) <= settings()


def test_every_target_of_the_makefile_is_named() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    for target in set(targets) - {"help", "venv", "clean"}:
        assert f"make {target}" in README or f"`{target}`" in README or f" {target} " in README, target


@pytest.mark.parametrize("message", messages())
def test_explained_messages_exist(message: str) -> None:
    """The longest run of words without a hole stands in the source."""
    longest = max(re.split(r"…|\(…\)", message), key=len).strip(" ;:,()0123456789")
    assert longest in SAID, longest


def test_paths_named_in_readme_exist() -> None:
    for name in re.findall(r"`((?:examples|daemonset|simulator|tests|docs|charts)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name
