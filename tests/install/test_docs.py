"""The documents name what there is: every option, value, platform and command."""

import re
from pathlib import Path

import click
import pytest

from daemonset.render import files
from provisioner.admin_migrate import migrate

CHECKOUT = Path(__file__).resolve().parents[2]
INSTALL = (CHECKOUT / "docs/install.md").read_text()
MIGRATE = (CHECKOUT / "docs/migrate.md").read_text()
SCRIPT = (CHECKOUT / "install.sh").read_text()


def keys(values: object, place: str = "") -> list[str]:
    """Leaves of values.yaml as people write them: flasharray.sanType."""
    if not isinstance(values, dict) or not values:
        return [place]
    return [found for key, value in values.items() for found in keys(value, f"{place}.{key}" if place else key)]


@pytest.mark.parametrize("key", keys(files.defaults()))
def test_each_value_is_explained(key: str) -> None:
    assert f"`{key}`" in INSTALL


def test_each_option_is_explained() -> None:
    options = set(re.findall(r"^ +(?:-\w, )? *(--[a-z-]+)", SCRIPT, re.MULTILINE))
    assert len(options) > 12 and not [option for option in options if option not in INSTALL]


@pytest.mark.parametrize(("platform", "path"), files.platforms().items())
def test_each_platform_is_in_the_table(platform: str, path: str) -> None:
    assert re.search(rf"^\| .*`{platform}`.*\| `{path}` \|$", INSTALL, re.MULTILINE)


def test_each_step_of_a_migration_is_explained() -> None:
    assert isinstance(migrate, click.Group)
    assert not [name for name in migrate.commands if f"pure migrate {name}" not in MIGRATE]


def test_commands_of_the_migration_are_taken() -> None:
    """Each line with `pure migrate` parses: command and options exist."""
    for line in re.findall(r"^pure migrate ([^#\n]*)", MIGRATE, re.MULTILINE):
        name, *rest = line.split()
        migrate.commands[name].make_context(name, rest, resilient_parsing=True)


def test_messages_in_the_troubleshooting_table_exist() -> None:
    """Their words are found in the programs that say them."""
    text = (CHECKOUT / "docs/troubleshooting.md").read_text()
    programs = "".join(path.read_text() for folder in ("daemonset", "provisioner", "arrays")
                       for path in (CHECKOUT / folder).rglob("*.py")) + SCRIPT
    said = re.sub(r'"\s*\\?\s*f?"', "", programs)
    for message in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE):
        if not message.startswith(("NOT ready", "values: KEY")):
            assert all(part.strip() in said for part in message.split("…")), message
