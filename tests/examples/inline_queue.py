"""A queue that runs each task when it is submitted, as often as its retries allow.

It is the HTTP API as far as the runners of the examples use it, behind the real client. Nothing
waits: back-offs take no time.
"""

import json
from typing import Any

import httpx
import msgspec

from task_queue import Client, wire
from task_queue.clock import to_rfc3339
from task_queue.codec import to_json
from task_queue.context import CURRENT_TASK, TaskContext
from task_queue.core.task import Lease
from task_queue.ids import new_task_id
from task_queue.tasks import REGISTRY, TaskFunction

NOW = 1_700_000_000.0


class InlineQueue:
    """Tasks that are over, and what they told on their way."""

    def __init__(self) -> None:
        self.views: dict[str, wire.TaskView] = {}
        self.progress: list[tuple[str, float]] = []  #: (task id, fraction), as told
        self._results: dict[str, wire.ResultView] = {}
        self._ids_by_key: dict[str, str] = {}

    def client(self) -> Client:
        return Client("http://queue.test", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        if path == "/tasks/batch":
            batch = msgspec.json.decode(request.content, type=wire.BatchRequest)
            return _json(wire.BatchAnswer([self._submit(task) for task in batch.tasks]))
        if path == "/tasks/results":
            asked = msgspec.json.decode(request.content, type=wire.ResultsRequest)
            return _json(wire.ResultsAnswer([self._results[i] for i in asked.task_ids], []))
        if path == "/search/tasks":
            tag = request.url.params["tag"]
            found = [view for view in self.views.values() if tag in view.tags]
            return _json(wire.TaskPage(found, None))
        raise AssertionError(f"the examples should not ask for {path}")

    def _submit(self, request: wire.SubmitRequest) -> str:
        key = request.idempotency_key
        if key is not None and key in self._ids_by_key:
            return self._ids_by_key[key]
        function = REGISTRY.get(request.name)
        assert function is not None, f"no task is called {request.name}"
        task_id = new_task_id(NOW)
        if key is not None:
            self._ids_by_key[key] = task_id
        self._run(task_id, function, request)
        return task_id

    def _run(
        self, task_id: str, function: TaskFunction[..., Any], request: wire.SubmitRequest
    ) -> None:
        attempts_allowed = 1 + function.task_options.max_retries
        for attempt in range(1, attempts_allowed + 1):
            result, error = self._attempt(task_id, attempt, function, request)
            if error is None or not function.is_retryable(error):
                break
        status = "FAILED" if error else "COMPLETED"
        told = wire.ErrorView(type(error).__name__, str(error)) if error else None
        self._results[task_id] = wire.ResultView(
            task_id, status, msgspec.Raw(result) if result is not None else None, told
        )
        self.views[task_id] = _view(task_id, function, request, attempt, status, told)

    def _attempt(
        self, task_id: str, attempt: int, function: TaskFunction[..., Any], request: Any
    ) -> tuple[bytes | None, Exception | None]:
        lease = Lease(
            task_id, attempt, 0, function.name, "inline", 5, b"{}", None, 0, attempt - 1, NOW,
            None, None,
        )  # fmt: skip
        told = TaskContext(lease, None, lambda _, fraction, __: self._tell(task_id, fraction))
        token = CURRENT_TASK.set(told)
        try:
            args = [json.loads(bytes(value)) for value in request.args]
            kwargs = {name: json.loads(bytes(value)) for name, value in request.kwargs.items()}
            return to_json(function(*args, **kwargs), "result"), None
        except Exception as error:  # noqa: BLE001  whatever a task raises fails the attempt
            return None, error
        finally:
            CURRENT_TASK.reset(token)

    def _tell(self, task_id: str, fraction: float) -> None:
        self.progress.append((task_id, fraction))


def _view(
    task_id: str, function: TaskFunction[..., Any], request: wire.SubmitRequest, attempt: int,
    status: str, error: wire.ErrorView | None,
) -> wire.TaskView:  # fmt: skip
    options = function.task_options
    return wire.TaskView(
        task_id=task_id, name=function.name, queue=options.queue, priority=5, status=status,
        attempt=attempt, failures=attempt - (status == "COMPLETED"),
        max_retries=options.max_retries, submitted_at=to_rfc3339(NOW), run_at=None,
        next_attempt_at=None, expires_at=None, started_at=to_rfc3339(NOW),
        finished_at=to_rfc3339(NOW + 0.25), timeout_seconds=request.timeout_seconds,
        worker_id="inline-1", cancel_requested=False, in_dlq=status == "FAILED",
        idempotency_key=request.idempotency_key, tags=request.tags, error=error, progress=None,
    )  # fmt: skip


def _json(answer: msgspec.Struct) -> httpx.Response:
    return httpx.Response(200, content=msgspec.json.encode(answer))
