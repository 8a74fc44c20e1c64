"""What `up` started, written down so that `up` again and `down` find it."""

from pathlib import Path

import msgspec


class ClusterRecord(msgspec.Struct):
    """One running cluster."""

    cluster_id: str  #: in the environment of every process that belongs to it
    address: str  #: of Ray, host:port
    owns_ray: bool  #: False: it joined a cluster that somebody else started
    temp_dir: str  #: of Ray
    namespace: str


def state_folder() -> Path:
    """What belongs to clusters started from this directory, absolute."""
    return Path(".task-queue").absolute()


def record_path(http_port: int) -> Path:
    """Where the record of the cluster with this HTTP port is kept."""
    return state_folder() / f"cluster-{http_port}.json"


def read_record(path: Path) -> ClusterRecord | None:
    """The record, or None if nothing was started."""
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=ClusterRecord)


def write_record(path: Path, record: ClusterRecord) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
