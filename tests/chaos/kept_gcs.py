"""Ray's GCS with tables that outlive it: killed, and started again with them as a service manager
would."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.chaos.blows import Blow
from cluster.chaos.plan import Fault, FaultKind
from cluster.chaos.victims import Victims

_END_SECONDS = 10


def kept_tables(folder: Path) -> dict[str, str]:
    """The environment in which a head keeps the tables of its GCS in RocksDB."""
    tables = folder / "gcs"
    tables.mkdir()
    return {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(tables)}


@contextmanager
def restarting_gcs(victims: Victims) -> Iterator[Blow]:
    """A blow; what it has started ends with the cluster, and is waited for here."""
    started: list[subprocess.Popen[bytes]] = []
    one_at_a_time = threading.Lock()

    def blow(fault: Fault) -> str:
        with one_at_a_time:
            found = victims.of(FaultKind.GCS)
            if not found:
                return ""
            gcs = found[0]
            command, environment, folder = gcs.cmdline(), gcs.environ(), gcs.cwd()
            gcs.kill()
            time.sleep(fault.seconds)
            started.append(
                subprocess.Popen(
                    command, env=environment, cwd=folder, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
            return f"pid {gcs.pid}, started again as {started[-1].pid}"

    yield blow
    for process in started:
        process.wait(_END_SECONDS)
