"""The processes of one queue, by what they do: taken from the record that `up` has written here."""

from collections.abc import Callable
from pathlib import Path

import psutil

from cluster.chaos.plan import FaultKind
from cluster.local_ray import cluster_processes
from cluster.record import HeadRecord

_TITLES = {
    FaultKind.EXECUTOR: "task_queue/executor/launch.py",
    FaultKind.WORKER: "ray::WorkerActor",
    FaultKind.WORKER_PAUSE: "ray::WorkerActor",
    FaultKind.SCHEDULER: "ray::SchedulerActor",
    FaultKind.SCHEDULER_PAUSE: "ray::SchedulerActor",
    FaultKind.EXECUTOR_PAUSE: "task_queue/executor/launch.py",
    FaultKind.SUPERVISOR: "ray::SupervisorActor",
    FaultKind.SUPERVISOR_PAUSE: "ray::SupervisorActor",
    FaultKind.REPLICA: "ray::ServeReplica",
    FaultKind.REPLICA_PAUSE: "ray::ServeReplica",
    FaultKind.RAYLET: "/raylet/raylet ",
    FaultKind.GCS: "/gcs/gcs_server ",
}


class Victims:
    """Finds them anew at each call: they come and go."""

    def __init__(self, read_record: Callable[[], HeadRecord | None]) -> None:
        self._read_record = read_record

    def all(self) -> list[psutil.Process]:
        """Every process of the queue, Ray's included; none if nothing is up."""
        record = self._read_record()
        if record is None:
            return []
        return cluster_processes(record.cluster_id, record.session_folder)

    def session_folder(self) -> Path | None:
        """Where this queue's Ray keeps its logs; None if nothing is up."""
        record = self._read_record()
        return Path(record.session_folder) if record and record.session_folder else None

    def of(self, kind: FaultKind) -> list[psutil.Process]:
        """Those of one kind, the oldest first."""
        found: list[tuple[float, psutil.Process]] = []
        for process in self.all():
            try:
                title = " ".join(process.cmdline())
                if _TITLES[kind] in f"{title} " and process.status() != psutil.STATUS_ZOMBIE:
                    found.append((process.create_time(), process))
            except psutil.NoSuchProcess:
                continue  # it ended meanwhile
        return [process for _, process in sorted(found, key=lambda pair: pair[0])]
