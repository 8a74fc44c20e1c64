"""Which child gets which of the leases that wait, and how many at a time.

Leases go out in the order of the line. A child is sent some 5 ms of work at once, so that it need
not wait for the next; a child that is busy is sent more only if the first in line can run there.
"""

from actors.executor_buffer import CHUNK_SECONDS, KINDS, SHORT_SECONDS, Kind, LeaseBuffer
from actors.executor_estimates import DurationEstimates
from actors.executor_hosts import ExecutorHosts
from task_queue.core.task import Lease

#: More than 5 ms of empty tasks. If a worker is kept full, fewer cost it half as much again a task.
_CHUNK_TASKS = 256
#: Starting a child costs about so much; less work than that is left to those there are.
_START_WORTH_SECONDS = 0.02


class LeaseGiver:
    """Moves leases from the line of a pool to its children. `now` is monotonic, in seconds."""

    def __init__(
        self, buffer: LeaseBuffer, hosts: ExecutorHosts, estimates: DurationEstimates, slots: int
    ) -> None:
        self._buffer = buffer
        self._hosts = hosts
        self._estimates = estimates
        self._slots = slots

    def fill_free_slots(self, now: float) -> int:
        """Send what is first in line to idle children; returns how many slots stay free."""
        buffer, hosts = self._buffer, self._hosts
        free = self._slots - hosts.used_slots
        idle = [host for host in hosts.processes if host.ready and not host.leases]
        coroutines = hosts.ready_coroutines
        room = hosts.room(coroutines) if coroutines is not None else 0
        batch: list[Lease] = []
        while free > 0:
            process_kind: tuple[Kind, ...] = ("process",) if idle else ()
            async_kind: tuple[Kind, ...] = ("async",) if len(batch) < room else ()
            kind = buffer.first_kind(process_kind + async_kind)
            if kind is None:
                break
            if kind == "process":
                share = -(-buffer.count("process") // len(idle))
                host = idle.pop(0)
                limit = min(_CHUNK_TASKS, share, hosts.room(host))
                host.send(buffer.take_chunk(limit, self._estimates.seconds), now)
            else:
                batch.append(buffer.take("async"))
            free -= 1
        if batch and coroutines is not None:
            coroutines.send(batch, now)
        return free

    def top_up(self, now: float) -> None:
        """Send busy children more short tasks, so that they need not wait for their next chunk.

        Only if the first task in line is one that a process child can run: otherwise the slot must
        become free for it.
        """
        if self._buffer.first_kind(KINDS) != "process":
            return
        seconds = self._estimates.seconds
        for host in self._hosts.processes:
            load = host.load
            if (
                not 0 < load <= _CHUNK_TASKS // 2
                or host.doomed
                or not self._buffer.count("process")
            ):
                continue
            estimate = seconds.get(host.leases[0].name, CHUNK_SECONDS)
            if estimate < SHORT_SECONDS and now - host.running_since < CHUNK_SECONDS:
                limit = min(_CHUNK_TASKS // 2, self._hosts.room(host))
                more = self._buffer.take_short(limit, CHUNK_SECONDS - load * estimate, seconds)
                if more:
                    host.send(more, now)

    def missing_processes(self, free: int, now: float) -> int:
        """How many children are worth being started for what waits.

        Args:
            free: slots that nothing runs in.
        """
        processes = self._hosts.processes
        starting = sum(1 for host in processes if not host.ready)
        missing = min(
            min(self._buffer.count("process"), free) - starting, self._slots - len(processes)
        )
        return missing if missing > 0 and self._is_start_worth_it(now) else 0

    def _is_start_worth_it(self, now: float) -> bool:
        long_ago = now - _START_WORTH_SECONDS
        if all(host.running_since <= long_ago for host in self._hosts.processes if host.ready):
            return True  # there is none, or all are busy with what takes longer than a start
        estimate = self._estimates.seconds.get(self._buffer.first_name("process"))
        if estimate is None or estimate >= SHORT_SECONDS:
            return True
        return estimate * self._buffer.count("process") >= _START_WORTH_SECONDS
