"""What importing costs: a call-out of the driver lives for milliseconds, so modules it must not pay for are named."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"dataclasses", "inspect", "json", "re", "typing", "logging", "subprocess", "pathlib", "ssl", "http.client",
         "urllib3", "requests", "purestorage", "hashlib", "enum", "collections"}


def imported(statement: str, *flags: str) -> set[str]:
    """The modules that a bare interpreter has loaded after `statement`, beyond those it starts with."""
    def loaded(code: str) -> set[str]:
        line = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-I", *flags, "-c", line], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return set(done.stdout.split())
    return loaded(statement) - loaded("pass")


def test_errors_names_and_units_import_nothing() -> None:
    found = imported("import arrays.errors, arrays.names, arrays.units", "-S")
    assert found == {"arrays", "arrays.errors", "arrays.names", "arrays.units"}


def test_the_fleet_does_without_the_dear_ones() -> None:
    found = imported("import arrays.fleet", "-S") & HEAVY
    assert found <= {"json", "re", "enum", "collections"}         # json itself wants most of these


@pytest.mark.parametrize("module", ["arrays.flasharray", "arrays.flashblade"])
def test_a_client_imports_no_http_before_its_first_call(module: str) -> None:
    found = imported(f"import {module}", "-S")
    assert not found & {"ssl", "http.client", "requests", "purestorage", "typing", "dataclasses", "inspect", "logging",
                        "hashlib"}


SESSIONS = ["from arrays.purestorage_session import PurestorageSession",
            "from arrays.flashblade_session import FlashBladeSession"]


@pytest.mark.parametrize("statement", SESSIONS)
def test_the_sessions_do_without_what_they_replace(statement: str) -> None:
    """requests costs twelve bare interpreter starts; setuptools' stand-in for distutils costs 100 ms."""
    found = {name.split(".")[0] for name in imported(statement)}
    assert "http" in found
    assert not found & {"requests", "urllib3", "distutils", "setuptools", "typing", "dataclasses", "logging"}


def test_the_library_is_whole_for_who_else_imports_it() -> None:
    """What it was made to do without is there again, before and afterwards."""
    whole = ("import purestorage.purestorage as other; assert other.requests.request and "
             "hasattr(other.LooseVersion, 'parse') and other.FlashArray")
    ours = f"{SESSIONS[0]}; assert PurestorageSession.list_volumes"
    for order in (f"{ours}; {whole}; import distutils.version", f"{whole}; {ours}",
                  f"import requests, distutils; {ours}; {whole}"):
        imported(order)


def test_a_machine_without_the_library_is_told_so() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
                           "import arrays.purestorage_session"], capture_output=True, text=True)
    assert done.stderr.strip().endswith("ImportError: purestorage is not installed")


def test_the_sessions_warn_nobody() -> None:
    """Two warnings of the library's age come up with it: invalid escapes and, where it is found, distutils."""
    imported("from arrays.purestorage_session import PurestorageSession", "-W", "error::DeprecationWarning:arrays")
