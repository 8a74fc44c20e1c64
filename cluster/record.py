"""What `up` started on this machine, written down so that `up` again and `down` find it."""

from pathlib import Path

import msgspec


class HeadRecord(msgspec.Struct):
    """A Ray head that was started here."""

    cluster_id: str  #: in the environment of every process that belongs to it
    address: str  #: of Ray, host:port; empty while it starts
    temp_dir: str  #: of Ray
    session_folder: str = ""  #: of Ray, below temp_dir: no other head has the same


def state_folder() -> Path:
    """What belongs to clusters started from this directory, absolute."""
    return Path(".task-queue").absolute()


def record_path(http_port: int) -> Path:
    """Where the record of the head with this HTTP port is kept."""
    return state_folder() / f"cluster-{http_port}.json"


def read_record(path: Path) -> HeadRecord | None:
    """The record, or None if nothing was started."""
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=HeadRecord)


def write_record(path: Path, record: HeadRecord) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
