"""pure-provisioner: the command line. What runs is program.py's.

Also answers the published chart's command line, `/k8s-provisioner -logtostderr=true -log_file_max_size=32
-stderrthreshold=2 [--debug]`: of those only --debug means anything here, logs go to stdout.
"""

import logging
import sys
from collections.abc import Sequence

import click

from arrays.errors import ConfigError, PureError

log = logging.getLogger("provisioner")


def main(argv: Sequence[str] | None = None) -> None:
    """The console script; exits."""
    arguments = known_flags(sys.argv[1:] if argv is None else list(argv))
    command.main(args=arguments, prog_name="pure-provisioner")


def known_flags(argv: Sequence[str]) -> list[str]:
    """The command line without glog's flags of one dash ("-logtostderr=true", "-v=4"), which old manifests pass.

    From -v=4 on, which is what such manifests mean by verbose, --debug is put in.
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
    from provisioner.program import run
    from provisioner.settings import read
    set_up(debug, log_format)
    try:
        status = run(read())
    except PureError as error:
        log.error("%s", error)
        status = 2 if isinstance(error, ConfigError) else 1
    logging.shutdown()
    sys.exit(status)


if __name__ == "__main__":
    main()
