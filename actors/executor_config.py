"""How tasks are executed on one worker: the settings of an executor pool and of its children."""

from msgspec import Struct

from task_queue.executor.frames import MAX_FRAME_BYTES


class ExecutorConfig(Struct, frozen=True, kw_only=True):
    """How tasks are executed on a worker."""

    slots: int  #: tasks that run at one time
    python_path: list[str] = []  #: folders from which users' modules are imported
    task_modules: list[str] = []  #: modules whose import registers tasks
    log_cap_bytes: int = 65_536  #: kept of what one attempt prints
    result_cap_bytes: int = 10_000_000  #: of a result as JSON
    kill_grace_seconds: float = 2.0  #: for a cancelled coroutine, and for a child told to end
    recycle_after_tasks: int | None = None  #: a child is replaced after so many tasks
    start_timeout_seconds: float = 120.0  #: for a child to import the task modules
    span_endpoint: str | None = None  #: where spans of user code go, if tracing is enabled
    env: dict[str, str] = {}  #: set for children, on top of the worker's own environment

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"slots is {self.slots}: give 1 or more")
        if self.result_cap_bytes > MAX_FRAME_BYTES // 2:
            raise ValueError(
                f"result_cap_bytes is {self.result_cap_bytes}: give {MAX_FRAME_BYTES // 2} or less"
            )
        if self.recycle_after_tasks is not None and self.recycle_after_tasks < 1:
            raise ValueError(
                f"recycle_after_tasks is {self.recycle_after_tasks}: give 1 or more, or null"
            )
