"""Every error that a user of the library can meet.

    TaskQueueError
    ├── ConfigError            a setting is wrong
    ├── TaskDefinitionError    a @task cannot be registered
    ├── NotJsonError           an argument or a result has no JSON form
    ├── QueueUnreachable       no answer from the HTTP API
    ├── RequestRefused         the API said no
    │   ├── InvalidRequest         400, 413, 422: mend the request
    │   ├── NotAuthorized          401, 403
    │   ├── NotFound               404: no such task, queue, worker, schedule
    │   ├── Conflict               409: not possible in the present status
    │   ├── ResultGone             410: the result's time to live is over
    │   ├── TooManyRequests        429: a limit is reached; `retry_after_seconds`
    │   └── StoreUnavailable       503: nothing was accepted; `retry_after_seconds`
    └── TaskDidNotSucceed      the task is over without a result
        ├── TaskFailed
        ├── TaskCancelled
        └── TaskExpired

Inside a task three exceptions steer what follows: Retry, Cancel, and any other one, which fails
the attempt. They are not TaskQueueErrors, so that ``except TaskQueueError`` never swallows them.
"""


class TaskQueueError(Exception):
    """Base of all errors of this library."""


class ConfigError(TaskQueueError):
    """A setting is unknown, missing or out of range. The message names it and the cure."""


class TaskDefinitionError(TaskQueueError):
    """A function cannot be a task as it is written."""


class NotJsonError(TaskQueueError):
    """A value has no exact JSON form. The message says where in the value, and what to do."""


class QueueUnreachable(TaskQueueError):
    """The HTTP API did not answer. Whether a submit was accepted is not known, unless it had an
    idempotency key: then submit it again."""


class RequestRefused(TaskQueueError):
    """The API refused a request: `status` and the problem's `detail`, which says what to do."""

    def __init__(self, status: int, detail: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(status, detail, retry_after_seconds)
        self.status = status
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"{self.detail} (HTTP {self.status})"


class InvalidRequest(RequestRefused):
    """The request itself is wrong."""


class NotAuthorized(RequestRefused):
    """No API key, or a wrong one: set TASK_QUEUE_API_KEY."""


class NotFound(RequestRefused):
    """What the request names does not exist."""


class Conflict(RequestRefused):
    """Not possible in the present status."""


class ResultGone(RequestRefused):
    """The task is over and its result was deleted at the end of its time to live."""


class TooManyRequests(RequestRefused):
    """A limit is reached; nothing was accepted."""


class StoreUnavailable(RequestRefused):
    """The queue cannot save anything now; nothing was accepted."""


class TaskDidNotSucceed(TaskQueueError):
    """The task is over and has no result."""

    def __init__(self, task_id: str, reason: str, traceback: str = "") -> None:
        super().__init__(task_id, reason, traceback)
        self.task_id = task_id
        self.reason = reason
        self.traceback = traceback

    def __str__(self) -> str:
        return f"task {self.task_id}: {self.reason}"


class TaskFailed(TaskDidNotSucceed):
    """It used up its attempts, or its error is not retried: it is in the dead-letter queue."""


class TaskCancelled(TaskDidNotSucceed):
    """It was cancelled."""


class TaskExpired(TaskDidNotSucceed):
    """It could not start before its expires_at."""


class Retry(Exception):
    """Raise in a task: end this attempt and run the task again after `after` seconds.

    It counts as a failed attempt, so `max_retries` still ends it. Without `after`, the task's
    back-off decides.
    """

    def __init__(self, after: float | None = None, reason: str = "") -> None:
        super().__init__(after, reason)
        self.after = after
        self.reason = reason


class Cancel(Exception):
    """Raise in a task: it is not wanted any more. Ends it as FAILED without further attempts."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
