"""What the turns of a scheduler cost so far."""

from msgspec import Struct, field

from task_queue.core.effects import Changes
from task_queue.histogram import Histogram


class TurnStats(Struct):
    """See the module."""

    turns: int = 0
    commit_seconds_total: float = 0.0
    commit_seconds_last: float = 0.0
    inserts: int = 0  #: commits that accepted tasks
    updates: int = 0  #: other commits
    commits: Histogram = field(default_factory=Histogram)  #: seconds

    def note_commit(self, changes: Changes, seconds: float) -> None:
        """Count a commit that worked."""
        self.commit_seconds_last = seconds
        self.commit_seconds_total += seconds
        self.commits.add(seconds)
        if changes.inserted:
            self.inserts += 1
        else:
            self.updates += 1
