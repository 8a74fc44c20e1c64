"""Grants that a worker may ask for again, because their answer was lost on the way.

A worker has more than one pull open and repeats one until it is answered. The machine holds a lease
from the moment it is granted, so a grant that never arrives would leave its tasks RUNNING with a
worker that does not know of them. A grant is kept here until the worker has told of its leases.
"""

from collections.abc import Iterable, Mapping

from task_queue.core.effects import Grant
from task_queue.core.worker import WorkerState

#: (worker id, incarnation, seq of the pull).
PullId = tuple[str, str, int]


class RecentGrants:
    """For each living worker the answer to its newest pull, and to older ones those with a lease
    that it still holds."""

    def __init__(self) -> None:
        self._by_worker: dict[str, list[Grant]] = {}

    def get(self, pull: PullId) -> Grant | None:
        """The grant that answered a pull."""
        worker_id, incarnation, seq = pull
        for grant in self._by_worker.get(worker_id, ()):
            if (grant.incarnation, grant.seq) == (incarnation, seq):
                return grant
        return None

    def take(self, grants: Iterable[Grant], workers: Mapping[str, WorkerState]) -> None:
        """Keep the grants of a turn; `workers` are those alive after it."""
        for worker_id in [w for w in self._by_worker if w not in workers]:
            del self._by_worker[worker_id]
        for grant in grants:
            worker = workers.get(grant.worker_id)
            if worker is None or worker.info.incarnation != grant.incarnation:
                continue  # a worker that is gone is told so again when it asks again
            known = [*self._by_worker.get(grant.worker_id, ()), grant]
            same = [one for one in known if one.incarnation == grant.incarnation]
            # Not the grant that came last: that may answer a late copy of an older pull.
            newest = max(one.seq for one in same)
            self._by_worker[grant.worker_id] = [
                one for one in same if one.seq == newest or _counts(one, worker)
            ]


def _counts(grant: Grant, worker: WorkerState) -> bool:
    """Whether the grant tells of an attempt that has not ended."""
    held = worker.held
    for lease in reversed(grant.leases):  # the last of them is mostly the last to end
        task = held.get(lease.task_id)
        if task is not None and task.attempt == lease.attempt:
            return True
    return any(
        task_id in held and held[task_id].attempt == attempt for task_id, attempt in grant.cancels
    )
