"""`python -m tests.cluster up|down`: a real two-node Kubernetes on this machine, to play with."""

import os
import time

import click

from tests.cluster import cluster, machine


@click.group()
@click.option("--version", default=os.environ.get("K8S", ""), help="Kubernetes version; the default is the pinned one.")
@click.pass_context
def cli(context: click.Context, version: str) -> None:
    """A real Kubernetes: etcd, API server, controllers, scheduler and two kubelets, in namespaces of their own."""
    context.obj = version


@cli.command()
@click.pass_obj
def up(version: str) -> None:
    """Start it, leave it running, and say how to use it."""
    began = time.monotonic()
    machine.prepare()
    with cluster.reserved(0):
        made = cluster.Cluster(version)
        built = time.monotonic()
        made.up()
    click.echo(f"components {built - began:.0f} s, both nodes Ready {time.monotonic() - built:.0f} s")
    click.echo(f"  {made.wrapper()} get nodes\n  make cluster-down")


@cli.command()
def down() -> None:
    """Remove everything it made on this machine."""
    with cluster.reserved(0):
        cluster.down()
        cluster.assert_nothing_left()


if __name__ == "__main__":
    cli()
