"""pure-provisioner: settings, signals, start, and the end. The work is loop.py's.

Also answers the published chart's command line, `/k8s-provisioner -logtostderr=true -log_file_max_size=32
-stderrthreshold=2 [--debug]`: of those only --debug means anything here, logs go to stdout.
"""

import logging
import signal
import sys
import threading
import uuid
from collections.abc import Sequence

import click

from arrays import fleet
from arrays.errors import ConfigError, PureError
from provisioner import settings as settings_module
from provisioner.backend import Pace
from provisioner.backends import Backends
from provisioner.fleetwatch import FleetWatch
from provisioner.kube import Kube
from provisioner.loop import Loop
from provisioner.pace import Pacer
from provisioner.settings import Settings
from provisioner.start import access

log = logging.getLogger("provisioner")


def main(argv: Sequence[str] | None = None) -> None:
    """The console script; exits."""
    arguments = known_flags(sys.argv[1:] if argv is None else list(argv))
    command.main(args=arguments, prog_name="pure-provisioner")


def known_flags(argv: Sequence[str]) -> list[str]:
    """The command line without glog's flags of one dash ("-logtostderr=true", "-v=4"), which old manifests pass.

    From -v=2 on, which is what such manifests mean by verbose, --debug is put in.
    """
    kept = []
    for argument in argv:
        flag, _, value = argument.lstrip("-").partition("=")
        if flag in _GLOG_FLAGS:
            if flag == "v" and value.isdecimal() and int(value) >= 4:
                kept.append("--debug")
        else:
            kept.append(argument)
    return kept


_GLOG_FLAGS = ("logtostderr", "alsologtostderr", "log_file", "log_file_max_size", "log_dir", "stderrthreshold", "v",
               "vmodule", "log_backtrace_at", "skip_headers", "skip_log_headers", "add_dir_header")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Log every decision.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="How log lines are written.")
def command(debug: bool, log_format: str) -> None:
    """Make a volume for each claim of a StorageClass with provisioner pure-provisioner, and destroy it with the PV.

    Settings are environment variables; see the README. Runs until SIGTERM.
    """
    from provisioner.logs import set_up
    set_up(debug, log_format)
    try:
        settings = settings_module.read()
        status = run(settings)
    except PureError as error:
        log.error("%s", error)
        status = 2 if isinstance(error, ConfigError) else 1
    logging.shutdown()
    sys.exit(status)


def run(settings: Settings, stopping: threading.Event | None = None) -> int:
    """Work until SIGTERM (or `stopping`); the exit status: 0 when all in flight was finished, else 1."""
    stopping = stopping or stop_on_signals()
    identity = f"{settings.pod}_{uuid.uuid4()}"
    kube = Kube(access(settings), pace=Pacer(settings.api_rate) if settings.api_rate else None)
    pace = Pace(measure_every=settings.measure_every, read_timeout=settings.array_timeout)
    backends = Backends(lambda: fleet.load(settings.pure_json, settings_module.environment()),
                        settings.claim_workers, settings.volume_workers, pace)
    watch = FleetWatch(settings.pure_json, backends)
    watch.look()
    loop = Loop(kube, backends, settings, component=f"{settings.provisioner}_{identity}")
    log.info("start provisioner=%s prefix=%s workers=%d+%d arrays=%d", settings.provisioner, settings.prefix,
             settings.claim_workers, settings.volume_workers, len(backends))
    loop.start()
    status = follow(loop, watch, stopping, settings.tick)
    clean = loop.stop(settings.drain)
    backends.stop()
    log.info("stop %s", "all in flight is finished" if clean else f"after {settings.drain:g} s with calls in flight")
    return status or (0 if clean else 1)


def follow(loop: Loop, watch: FleetWatch, stopping: threading.Event, tick: float) -> int:
    """Look after the loop until it is to stop (0) or a thread of it ended (1)."""
    while not stopping.wait(tick):
        if watch.look():
            loop.hurry()
        loop.tick()
        if dead := loop.dead():
            log.error("threads ended: %s: stopping, to be started anew", ", ".join(dead))
            return 1
    return 0


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


if __name__ == "__main__":
    main()
