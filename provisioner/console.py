"""How a command for people ends: its exit status, and trouble as one line on stderr."""

import sys

import click

from arrays.errors import ConfigError, PureError


def end(group: click.Group, name: str) -> None:
    """Run the group on sys.argv and exit: 0, or 1 for what failed, 2 for what was typed or configured wrongly."""
    sys.exit(_status(group, name))


def _status(group: click.Group, name: str) -> int:
    try:
        return int(group.main(prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Abort:
        return 2
    except PureError as error:
        click.echo(f"{name}: {error}", err=True)
        return 2 if isinstance(error, ConfigError) else 1
