"""The children of one pool: which there are, which may be sent leases, when one is replaced."""

from collections.abc import Iterator

from actors.coroutine_host import CoroutineHost
from actors.executor_buffer import Kind
from actors.executor_config import ExecutorConfig
from actors.executor_host import Host
from actors.executor_process import ExecutorProcess
from actors.process_host import ProcessHost

#: More leases than any child is ever sent.
_NO_LIMIT = 1_000_000


class ExecutorHosts:
    """Every living child, and those of them that may be sent more."""

    def __init__(self, config: ExecutorConfig) -> None:
        self._recycle_after_tasks = config.recycle_after_tasks
        self._kill_grace_seconds = config.kill_grace_seconds
        self._by_process: dict[ExecutorProcess, Host] = {}
        #: Of them, those that may be sent more.
        self.processes: list[ProcessHost] = []
        self.coroutines: CoroutineHost | None = None

    def __iter__(self) -> Iterator[Host]:
        """Also those that get no more leases. May be changed meanwhile."""
        return iter(list(self._by_process.values()))

    def __bool__(self) -> bool:
        return bool(self._by_process)

    def of(self, process: ExecutorProcess) -> Host:
        """The host of a living child."""
        return self._by_process[process]

    def add(self, host: Host) -> None:
        """A child was started."""
        self._by_process[host.process] = host
        if isinstance(host, ProcessHost):
            self.processes.append(host)
        elif isinstance(host, CoroutineHost):
            self.coroutines = host

    def remove(self, process: ExecutorProcess) -> Host:
        """A child has ended."""
        host = self._by_process.pop(process)
        self._leave(host)
        return host

    def replace_if_due(self, host: Host) -> None:
        """Send a child that has run enough tasks nothing more, and let it end when it is idle."""
        if self.room(host) <= 0:
            self._leave(host)
            if not host.load:
                host.process.close(self._kill_grace_seconds)

    def _leave(self, host: Host) -> None:
        if host is self.coroutines:
            self.coroutines = None
        elif isinstance(host, ProcessHost) and host in self.processes:
            self.processes.remove(host)

    # ---- what they can take ----------------------------------------------------------------

    def has(self, kind: Kind) -> bool:
        """Whether there is a child for these tasks, ready or not."""
        return self.coroutines is not None if kind == "async" else bool(self.processes)

    @property
    def used_slots(self) -> int:
        """Tasks that run."""
        return sum(host.slots_used for host in self._by_process.values())

    @property
    def ready_coroutines(self) -> CoroutineHost | None:
        """The child that runs coroutines, if it can be sent some."""
        host = self.coroutines
        return host if host is not None and host.ready else None

    def room(self, host: Host) -> int:
        """How many more leases a child may be sent before it is due to be replaced."""
        limit = self._recycle_after_tasks
        return limit - host.finished - host.load if limit is not None else _NO_LIMIT
