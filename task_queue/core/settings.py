"""The numbers that the rules depend on, with their defaults."""

from msgspec import Struct

_PAGE = 1_000


class Rules(Struct, frozen=True):
    """Limits and periods of the machine."""

    lease_seconds: float = 15.0  #: a worker silent for so long is lost
    poll_seconds: float = 5.0  #: a pull with nothing to say is answered after this; the heartbeat
    max_deaths: int = 3  #: a task under which so many workers or executors ended is quarantined
    max_queue_length: int = 10_000_000  #: tasks waiting in one queue; more are refused
    max_timed_tasks: int = 500_000  #: live tasks with run_at or expires_at, all in memory
    #: Of one queue, tasks that wait for a retry: beyond it the queue gives out no first attempts.
    max_retrying: int = 50_000
    window: int = 32_000  #: waiting tasks of one queue and priority in memory; more are paged out
    #: Of all tasks in memory, about. Beyond it new ones are paged out, and `page` tasks that wait
    #: for a retry are the most.
    memory_bytes: int = 256 * 2**20

    max_schedules: int = 10_000
    #: Queues that hold tasks, beside those that workers name; names of paused ones; and names that
    #: are counted one by one. A worker that looks for a task looks at each queue that holds some.
    max_queues: int = 1_000

    @property
    def page(self) -> int:
        """How many tasks come in at a time: no more than a turn can take without being long."""
        return max(1, min(_PAGE, self.window // 4))

    def __post_init__(self) -> None:
        if self.lease_seconds < 2 * self.poll_seconds:
            raise ValueError(
                f"lease_seconds ({self.lease_seconds}) must be at least twice poll_seconds "
                f"({self.poll_seconds}), or one late heartbeat loses a healthy worker"
            )
