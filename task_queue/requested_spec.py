"""What a request asks for, with what it leaves out taken from the task's own options."""

from task_queue.core.task import TaskSpec
from task_queue.tasks import TaskOptions
from task_queue.wire import SubmitRequest


def requested_spec(
    request: SubmitRequest,
    options: TaskOptions,
    task_id: str,
    queue: str,
    arguments: bytes,
    run_at: float | None,
    expires_at: float | None,
    traceparent: str | None = None,
    request_id: str | None = None,
) -> TaskSpec:
    """The spec of a request that was checked.

    Args:
        options: of the task that the request names.
        arguments: as `TaskSpec.arguments`.
        run_at, expires_at: seconds since the epoch.
    """
    priority, retries, timeout = request.priority, request.max_retries, request.timeout_seconds
    # By position, in the order of the record: by name it would cost ten times as much.
    return TaskSpec(
        task_id,
        request.name,
        queue,
        options.priority if priority is None else priority,
        arguments,
        options.max_retries if retries is None else retries,
        options.retry_base_seconds,
        options.retry_cap_seconds,
        options.timeout_seconds if timeout is None else timeout,
        run_at,
        expires_at,
        options.result_ttl_seconds,
        request.idempotency_key,
        tuple(dict.fromkeys(request.tags)) if request.tags else (),
        traceparent,
        request_id,
    )
