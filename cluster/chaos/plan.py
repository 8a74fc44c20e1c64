"""What a schedule does to a queue, drawn from its seed. Nothing here touches a process."""

from collections.abc import Collection
from enum import StrEnum
from random import Random

from msgspec import Struct


class FaultKind(StrEnum):
    """What can be done to a queue."""

    EXECUTOR = "executor"  #: kill -9 of one process that runs tasks
    WORKER = "worker"  #: kill -9 of one worker
    SCHEDULER = "scheduler"  #: kill -9
    SUPERVISOR = "supervisor"  #: kill -9
    REPLICA = "replica"  #: kill -9 of one process of the HTTP API
    WORKER_PAUSE = "worker-pause"  #: SIGSTOP of one worker for longer than its lease, SIGCONT
    SCHEDULER_PAUSE = "scheduler-pause"  #: SIGSTOP for longer than a lease, SIGCONT
    EXECUTOR_PAUSE = "executor-pause"  #: the same of one process that runs tasks
    SUPERVISOR_PAUSE = "supervisor-pause"
    REPLICA_PAUSE = "replica-pause"  #: of one process of the HTTP API
    STREAMS = "streams"  #: cut the connections of workers and the API to the scheduler
    CLIENTS = "clients"  #: cut the connections of clients to the HTTP API
    DATABASE_CONNECTIONS = "database-connections"  #: cut those of the queue to its PostgreSQL
    RAYLET = "raylet"  #: kill -9 of Ray's raylet and all below it, then `up`
    GCS = "gcs"  #: kill -9 of Ray's GCS, then `up`
    POSTGRES = "postgres"  #: kill -9 of the whole server, and its start a while later
    POSTGRES_PAUSE = "postgres-pause"  #: SIGSTOP of all its processes, SIGCONT
    GCS_RESTART = "gcs-restart"  #: kill -9 of a GCS that keeps its tables, and its start
    DISK = "disk"  #: no byte is left on the disk of the store, for a while


#: SIGSTOP, and SIGCONT after more than a lease.
PAUSES = (
    FaultKind.WORKER_PAUSE, FaultKind.SCHEDULER_PAUSE, FaultKind.EXECUTOR_PAUSE,
    FaultKind.SUPERVISOR_PAUSE, FaultKind.REPLICA_PAUSE, FaultKind.POSTGRES_PAUSE,
)  # fmt: skip
#: They take everything down, so such a schedule has only one of them.
WIDE = (FaultKind.RAYLET, FaultKind.GCS)
_WIDE_SHARE = 0.05
_CALM_SHARE = 0.05
_MOST_FAULTS = 4
#: Pauses, in leases. The shortest is longer than a lease, or nothing would be lost by it.
_PAUSE_LEASES = (1.05, 1.7)
_OUTAGE_SECONDS = (0.3, 2.0)


class Fault(Struct, frozen=True):
    """One blow."""

    at: float  #: seconds after the load began
    kind: FaultKind
    pick: int  #: which of several victims: this, modulo how many there are
    seconds: float  #: how long a pause or an outage lasts; 0 with kills and cuts

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind} at {self.at:.1f} s{lasts}"


class Plan(Struct, frozen=True):
    """One schedule: load for a while, and what happens meanwhile."""

    seed: int
    load_seconds: float
    tasks_per_second: float
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.faults)) or "no fault, a crowd"


def plan_of(
    seed: int, kinds: Collection[FaultKind], load_seconds: float, lease_seconds: float
) -> Plan:
    """The plan of a seed: always the same one for the same arguments.

    Args:
        kinds: what may be done; not empty. Their order is of no account.
        lease_seconds: after which a silent worker of this queue is lost.
    """
    random = Random(seed)
    wide = [kind for kind in WIDE if kind in kinds]
    narrow = [kind for kind in FaultKind if kind in kinds and kind not in WIDE]
    dice = random.random()
    if wide and (dice < _WIDE_SHARE or not narrow):
        chosen = [random.choice(wide)]
    elif dice > 1.0 - _CALM_SHARE:
        # More tasks than the workers can run, and nothing else: then orders can be judged.
        return Plan(seed, load_seconds, 100.0, ())
    else:
        chosen = random.choices(narrow, k=random.randint(2, _MOST_FAULTS))
    times = sorted(random.uniform(0.1, 0.8) * load_seconds for _ in chosen)
    faults = tuple(
        Fault(round(at, 3), kind, random.randrange(1_000), _seconds(random, kind, lease_seconds))
        for at, kind in zip(times, chosen, strict=True)
    )
    return Plan(seed, load_seconds, random.choice((10.0, 25.0, 40.0)), faults)


def _seconds(random: Random, kind: FaultKind, lease_seconds: float) -> float:
    if kind in PAUSES:
        return round(lease_seconds * random.uniform(*_PAUSE_LEASES), 3)
    if kind in (FaultKind.POSTGRES, FaultKind.DISK, FaultKind.GCS_RESTART, *WIDE):
        return round(random.uniform(*_OUTAGE_SECONDS), 3)
    return 0.0
