"""How a call over a stream ends: the kinds of an answer, and the errors on the caller's side."""

from task_queue.errors import TaskQueueError

#: Kinds of a frame that answers a call. 0 is the heartbeat.
ANSWER = 1
UNAVAILABLE = 2  #: the payload says why, and the call may be repeated later
FAILED = 3  #: the payload says why; repeating would not help


class StreamLost(Exception):
    """There is no connection, or no more. What was sent may have been done."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent  #: whether the call had left this process


class CallFailed(TaskQueueError):
    """The scheduler could not carry out a call, for a reason that will not go away by itself."""
