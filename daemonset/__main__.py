"""The command line of the DaemonSet's container: `pure-flex-daemon` and `/uninstaller`.

`/pure-flex-daemon --kubeletBaseDir=/kubelet-plugins [--debug] --daemon install` is the published chart's.
"""

import logging
import signal
import sys

import click

import arrays
from daemonset import health
from daemonset.daemon import Daemon, Status, remove
from daemonset.settings import Settings, read


@click.group()
@click.option("--kubeletBaseDir", "plugin_dir", default="/kubelet-plugins", show_default=True,
              help="Where kubelet's volume plugin directory is mounted in this container.")
@click.option("--debug", is_flag=True, help="Let the driver write its debug log.")
@click.option("--daemon", "stay", is_flag=True, help="Stay and keep the driver right; otherwise do it once.")
@click.version_option(arrays.__version__, prog_name="pure-flex-daemon")
@click.pass_context
def cli(context: click.Context, plugin_dir: str, debug: bool, stay: bool) -> None:
    """Put the FlexVolume driver and its configuration on this node and keep them right."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, stream=sys.stdout,
                        format="%(asctime)s %(levelname)s %(message)s")
    context.obj = (read(plugin_dir, debug), stay)


@cli.command()
@click.pass_obj
def install(given: tuple[Settings, bool]) -> None:
    """Install or update the driver. With --daemon: go on until SIGTERM, which leaves the driver where it is."""
    settings, stay = given
    status = Status()
    daemon = Daemon(settings, status)
    if not stay:
        daemon.turn()
        for problem in status.problems:
            click.echo(problem, err=True)
        sys.exit(0 if status.ready else 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stopping.set())
    if settings.health_port:
        health.serve(settings.health_port, status, patience=10 * settings.interval + 60)
    daemon.run()


@cli.command()
@click.pass_obj
def uninstall(given: tuple[Settings, bool]) -> None:
    """Remove the driver and its configuration from this node, unless volumes of ours are mounted on it."""
    sys.exit(0 if remove(given[0]) else 1)


def uninstaller() -> None:
    """`/uninstaller`, the published chart's preStop hook: `uninstall` with that chart's paths.

    It ends with 0 also when the driver has to stay, since a failed hook would only be an event nobody can act on.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(message)s")
    remove(read("/kubelet-plugins"))


if __name__ == "__main__":
    cli(prog_name="pure-flex-daemon")
