"""`python -m simulator.demo`, or `make demo`."""
import signal
import sys
from types import FrameType

import click

from simulator.demo.cluster import Cluster
from simulator.demo.nodes import why_pretended
from simulator.demo.screen import Screen
from simulator.demo.story import Story


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pretend", is_flag=True, help="Pretend devices and file systems also where they could be real.")
@click.option("--keep", is_flag=True, help="Keep the working directory: logs, volumes, kubeconfig.")
@click.option("--verbose", "-v", is_flag=True, help="Show arguments and output of every call-out.")
@click.option("--limit", type=click.FloatRange(min=1), default=90.0, show_default=True, help="Seconds for the whole story.")
def main(pretend: bool, keep: bool, verbose: bool, limit: float) -> None:
    """Show the main job on pretend arrays: claim, volume, mount, move, takeover, growth, deletion.

    The provisioner and the driver are the real programs, each in processes of its own. Exit status 0 when every statement
    held, 1 when one did not.
    """
    screen = Screen(verbose)
    why = "asked for" if pretend else why_pretended()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    status = _run(screen, why, keep, limit)
    sys.stdout.flush()
    sys.exit(status)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """The first signal ends the story; the clean-up that follows is short and should not be cut by a second."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _run(screen: Screen, why: str, keep: bool, limit: float) -> int:
    screen.title("pure~flex: claim to data on pretend arrays")
    try:
        with Cluster(screen, real=not why, keep=keep, limit=limit) as cluster:
            _tell_cast(screen, cluster, why)
            try:
                Story(cluster).tell()
            except (TimeoutError, RuntimeError, OSError, LookupError) as error:
                screen.problem(f"{type(error).__name__}: {error}")
                _tell_trouble(screen, cluster)
    except KeyboardInterrupt:
        click.echo("interrupted: all that was started has been stopped")
        return 130
    except (RuntimeError, OSError) as error:
        screen.problem(f"could not start: {error}")
    screen.summary()
    return 1 if screen.failed else 0


def _tell_cast(screen: Screen, cluster: Cluster, why: str) -> None:
    for array in cluster.arrays.flash_arrays + cluster.arrays.flash_blades:
        labels = " ".join(f"{key}={value}" for key, value in array["labels"].items())
        screen.fact(array["name"], f"{'FlashBlade' if 'file_systems' in array else 'FlashArray'} over HTTPS on "
                    f"{array['endpoint']}, {array['used'] / array['capacity']:.0%} full, {labels}")
    screen.fact("kubernetes", f"stand-in API server on {cluster.api.url}, binder, Deployments")
    screen.fact("provisioner", f"the real one, process {cluster.provisioner.pid}")
    screen.fact("node1, node2", "pretend iSCSI, multipath and NFS; a stand-in kubelet runs the real driver "
                f"({cluster.nodes[0].plugins.name}/pure~flex/flex)")
    screen.fact("file systems", "real: mkfs.xfs and mount on loop devices over the arrays' volumes" if not why else
                f"pretended ({why}); as root with loop devices and xfs they are real")


def _tell_trouble(screen: Screen, cluster: Cluster) -> None:
    """What helps to understand a story that broke off."""
    for event in cluster.api.events()[-5:]:
        screen.note(f"event  {event['involvedObject']['kind']} {event['involvedObject']['name']}: {event['message'][:300]}")
    logs = [("arrays", cluster.simulator.output), ("provisioner", cluster.provisioner.output),
            *((member.name, member.log) for member in cluster.nodes)]
    for name, text in logs:
        for line in text.splitlines()[-6:]:
            screen.note(f"{name}  {line[:300]}")


if __name__ == "__main__":
    main(prog_name="python -m simulator.demo")
