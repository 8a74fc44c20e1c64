"""The ids of a task's spans. Whoever knows the task's id knows them all.

A retry links to the attempt before it, and a span of user code has its attempt as parent, without
anything more being stored or sent. The price is one hash for each span that is recorded.
"""

from hashlib import blake2b


def firing_trace_id(task_id: str) -> int:
    """Of the trace of a task that a schedule submits."""
    digest = blake2b(f"{task_id}/trace".encode(), digest_size=16).digest()
    return int.from_bytes(digest) or 1  # 0 is no trace id


def firing_span_id(task_id: str) -> int:
    """Of `schedule:fire`, the outermost span of that trace."""
    return _span_id(f"{task_id}/fire")


def submit_span_id(task_id: str) -> int:
    """Of `task:submit`."""
    return _span_id(f"{task_id}/submit")


def wait_span_id(task_id: str, attempt: int) -> int:
    """Of `task:wait` before an attempt; `attempt` as below."""
    return _span_id(f"{task_id}/wait/{attempt}")


def attempt_span_id(task_id: str, attempt: int) -> int:
    """Of `task:execute`.

    Args:
        attempt: as people count them, from 1: leases that were given back unstarted are none.
    """
    return _span_id(f"{task_id}/attempt/{attempt}")


def _span_id(text: str) -> int:
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) or 1  # 0 is no span id
