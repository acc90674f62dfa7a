"""`pure explore`. Found by `pure` through the entry point "pure.commands", so that the provisioner knows nothing of it."""

from functools import partial

import click

from arrays.errors import ConfigError

LOCAL = "127.0.0.1"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=9820, show_default=True,
              help="Where it listens; 0 for any that is free.")
@click.option("-n", "--namespace", default="", help="Only this namespace: for accounts that may not list all.")
@click.option("--shared", is_flag=True, help="Serve others, each with a token of their own; in a pod only.")
def explore(port: int, namespace: str, shared: bool) -> None:
    """Show fleet, claims and orphans as a web page, read only.

    Looks with your KUBECONFIG and pure.json (PURE_DISCOVERY_CONF), on 127.0.0.1 only, until Ctrl-C.
    """
    try:
        from explorer.serve import Way, run
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: pip install 'pure-flex[explorer]'") from None
    import logging

    from provisioner import settings
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    run(settings.read(), Way("0.0.0.0" if shared else LOCAL, port, shared, namespace), partial(_tell, shared))


def _tell(shared: bool, port: int) -> None:
    click.echo(f"port {port}, for callers with a token" if shared else f"http://{LOCAL}:{port}/", err=True)
