"""Seven other task queues and ours, one after the other, on this machine: `make bench-peers`.

    python -m benchmarks.peers [--only celery,rq] [--runs 3]

Each peer gets two worker processes and an empty Redis or PostgreSQL of its own, as it is shipped.
NAME_peer.py sets it up in the fastest way that its documentation has, measure.py measures it. All
figures are medians over the runs.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from benchmarks.own_folder import ROOT
from benchmarks.peers.broker import Broker
from benchmarks.peers.figures import Figures
from benchmarks.peers.ours import ours
from benchmarks.peers.own_process import own_process
from benchmarks.peers.private_postgres import PrivatePostgres, private_postgres
from benchmarks.peers.private_redis import private_redis
from benchmarks.peers.summary import Summary
from benchmarks.peers.table import table
from benchmarks.report import machine

_PYTHON = ROOT / ".task-queue/peers-venv/bin/python"
_RESULT = ROOT / ".task-queue/benchmarks/bench_peers.json"
_MOST_SECONDS = 1_800  # for one peer; measure.py has tighter limits for its steps

_PEERS: dict[str, tuple[str, Callable[[], AbstractContextManager[Broker | PrivatePostgres]]]] = {
    "celery": ("celery_peer:CeleryPeer", private_redis),
    "dramatiq": ("dramatiq_peer:DramatiqPeer", private_redis),
    "huey": ("huey_peer:HueyPeer", private_redis),
    "pgqueuer": ("pgqueuer_peer:PgQueuerPeer", private_postgres),
    "pgqueuer-50": ("pgqueuer_peer:PgQueuer50Peer", private_postgres),
    "procrastinate": ("procrastinate_peer:ProcrastinatePeer", private_postgres),
    "rq": ("rq_peer:RqPeer", private_redis),
    "taskiq": ("taskiq_peer:TaskiqPeer", private_redis),
}


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in order, so that all servers end
    facts = machine() | {"load before": f"{os.getloadavg()[0]:.1f}"}
    print("measuring ours ...", file=sys.stderr)
    figures = {"ours": ours(arguments.runs)}
    with private_postgres() as postgres:
        figures["ours, PG"] = ours(arguments.runs, postgres.url)
    for name in arguments.only:
        print(f"measuring {name} ...", file=sys.stderr)
        figures[name] = _measured(name, arguments.runs, facts)
    own, *peers = [Summary.of(name, one) for name, one in figures.items()]
    print("# bench_peers")
    print("# " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    if Path(tempfile.gettempdir()).stat().st_dev != ROOT.stat().st_dev:
        print("# the disk of PostgreSQL is not ours: set TMPDIR to a folder on the disk of both")
    print(table(own, peers))
    document = {"machine": facts, "seed": None, "figures": [own, *peers], "runs": figures}
    _RESULT.parent.mkdir(parents=True, exist_ok=True)
    _RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    print(f"# written to {_RESULT}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_names, default=list(_PEERS), help="some of the peers")
    parser.add_argument("--runs", type=int, default=3, help="of which the medians are taken")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    if not _PYTHON.exists():
        parser.error(f"there is no {_PYTHON}: run `make bench-peers`, which makes it")
    return arguments


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = ", ".join(name for name in names if name not in _PEERS)
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown}: not among {', '.join(_PEERS)}")
    return names


def _measured(name: str, runs: int, facts: dict[str, str]) -> Figures:
    """The figures of one peer; the version of its broker is added to `facts`."""
    place, private_broker = _PEERS[name]
    command = [
        str(_PYTHON), "-m", "benchmarks.peers.measure",
        f"benchmarks.peers.{place}", "--runs", str(runs),
    ]  # fmt: skip
    with private_broker() as broker, tempfile.TemporaryDirectory(prefix="tq-peer-") as folder:
        facts[broker.name] = broker.version
        environment = {**os.environ, "PEER_URL": broker.url, "PEER_FOLDER": folder}
        log = Path(folder) / "log"
        with own_process(
            command, log, cwd=ROOT, env=environment, stdout=subprocess.PIPE
        ) as process:
            line, _ = process.communicate(timeout=_MOST_SECONDS)
            if process.returncode != 0:
                raise RuntimeError(f"{name} could not be measured")
    return Figures(**json.loads(line))


if __name__ == "__main__":
    main()
