"""Run one pretend node as a process of its own: python -m simulator.node --directory DIR --fabric DIR [--name NAME] …

It lives until SIGTERM or SIGINT and cleans up then; RemoteNode (remote.py) looks at it from other processes.
"""

import argparse
import signal
import sys

from simulator.fabric import RemoteFabric
from simulator.node.executables import lacking
from simulator.node.loops import clean_up, why_not
from simulator.node.node import PretendNode
from simulator.node.settings import Settings


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulator.node", description=__doc__.splitlines()[0])
    parser.add_argument("--directory", required=True, help="where the node lives: DIR/root is its /, DIR/bin its tools")
    parser.add_argument("--fabric", required=True, help="directory of the simulator (python -m simulator --directory)")
    parser.add_argument("--name", default="node1")
    parser.add_argument("--iqn", default="", help="initiator name; default is made of the node's name")
    parser.add_argument("--wwn", action="append", default=[], help="an FC port of the node; may be repeated")
    parser.add_argument("--address", default="198.51.100.10", help="the node's address, for NFS export rules")
    parser.add_argument("--speed", type=float, default=20.0, help="how many of the node's seconds pass in a real one")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--real", action="store_true", help="real file systems on loop devices; needs root")
    form.add_argument("--auto", action="store_true", help="real where it is possible")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    reason = why_not() if chosen.real or chosen.auto else "not asked for"
    if chosen.real and reason:
        print(f"{chosen.name}: real file systems are not possible here: {reason}", file=sys.stderr)
        return 1
    if lack := lacking():
        print(f"{chosen.name}: {lack}", file=sys.stderr)
        return 1
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)         # before any thread is started, so that none gets them
    if not reason:
        clean_up()
    node = PretendNode(chosen.directory, RemoteFabric(chosen.fabric), chosen.name, chosen.iqn, real=not reason,
                       settings=Settings(speed=chosen.speed), address=chosen.address, wwns=chosen.wwn)
    with node:
        form = "real file systems" if node.real else "pretend file systems"
        print(f"{node.name}: {node.iqn} PURE_FLEX_ROOT={node.root} PATH={node.bin}:$PATH ({form})", flush=True)
        signal.sigwait(signals)
    for failure in node.failures:
        print(failure, file=sys.stderr)
    return 1 if node.failures else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
