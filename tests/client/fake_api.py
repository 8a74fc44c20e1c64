"""An HTTP API in memory, as much of it as a client can tell from the real one.

It is the handler of an httpx.MockTransport, so it serves both clients. Time is a FakeClock: a
request that waits moves it, instead of making a test wait.
"""

import json
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from task_queue import wire
from task_queue.testing import FakeClock

NOW = "2026-01-25T14:00:00.000Z"
Json = dict[str, Any]


class FakeApi:
    """Tasks end when a test says so, unless `runs` is set: then at once, by calling it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.requests: list[httpx.Request] = []
        self.bodies: list[Any] = []
        self.tasks: dict[str, Json] = {}
        self.outcomes: dict[str, Json] = {}
        self._keys: dict[str | None, str] = {}
        #: What a task returns, from its submit request; None: tasks stay QUEUED.
        self.runs: Callable[[Json], Any] | None = lambda request: request.get("args", [])
        #: Given instead of an answer, one for each request: an exception or a response.
        self.troubles: list[BaseException | httpx.Response] = []
        #: Raised after the next request was carried out, as when the connection breaks then.
        self.breaks_after: Exception | None = None
        #: Called with the seconds while a request waits and nothing is over.
        self.while_waiting: Callable[[float], None] = clock.advance
        #: Answers of endpoints that this fake does not act out, by "METHOD path".
        self.canned: dict[str, Any] = {}

    # --- what tests say

    def finish(self, task_id: str, value: Any = None) -> None:
        self._end(task_id, "COMPLETED", {"result": value})

    def fail(self, task_id: str, status: str = "FAILED", traceback: str = "") -> None:
        error = {"type": "ValueError", "message": "bad picture", "traceback": traceback}
        self._end(task_id, status, {"error": error if status == "FAILED" else None})

    def drop_result(self, task_id: str) -> None:
        """Its time to live is over."""
        self.outcomes[task_id].pop("result")

    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]

    # --- what the client sees

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(json.loads(request.content) if request.content else None)
        if self.troubles:
            trouble = self.troubles.pop(0)
            if isinstance(trouble, BaseException):
                raise trouble
            return trouble
        response = self._answer(request.method, request.url.path, self.bodies[-1], request)
        if self.breaks_after is not None:
            error, self.breaks_after = self.breaks_after, None
            raise error
        return response

    def _answer(self, method: str, path: str, body: Any, request: httpx.Request) -> httpx.Response:
        if f"{method} {path}" in self.canned:
            return httpx.Response(200, json=self.canned[f"{method} {path}"])
        match [method, *path.removeprefix("/api/v1/").split("/")]:
            case ["POST", "tasks"]:
                msgspec.json.decode(request.content, type=wire.SubmitRequest)
                return httpx.Response(201, json=self.tasks[self._submit(body)])
            case ["POST", "tasks", "run"]:
                msgspec.json.decode(request.content, type=wire.SubmitRequest)
                task_id = self._submit(body)
                running = {"task_id": task_id, "status": self.tasks[task_id]["status"]}
                return httpx.Response(201, json=self.outcomes.get(task_id, running))
            case ["POST", "tasks", "batch"]:
                msgspec.json.decode(request.content, type=wire.BatchRequest)
                ids = [self._submit(task) for task in body["tasks"]]
                return httpx.Response(201, json={"task_ids": ids})
            case ["POST", "tasks", "results"]:
                msgspec.json.decode(request.content, type=wire.ResultsRequest)
                return self._results(body)
            case ["GET", "tasks"] | ["GET", "search", "tasks"]:
                return self._page(request.url.params)
            case ["GET", "tasks", task_id] if task_id in self.tasks:
                return httpx.Response(200, json=self.tasks[task_id])
            case ["POST", "tasks", task_id, "cancel" | "retry" as verb] if task_id in self.tasks:
                return self._steer(task_id, verb)
        return problem(404, f"there is no {path}")

    def _submit(self, request: Json) -> str:
        key = request.get("idempotency_key")
        if key in self._keys:
            return self._keys[key]
        task_id = f"task-{len(self.tasks):05}"
        if key is not None:
            self._keys[key] = task_id
        self.tasks[task_id] = task_view(task_id, request)
        if self.runs is not None:
            self.finish(task_id, self.runs(request))
        return task_id

    def _results(self, body: Json) -> httpx.Response:
        asked = body["task_ids"]
        if not any(i in self.outcomes for i in asked) and body["wait_seconds"] > 0:
            self.while_waiting(body["wait_seconds"])
        over = [self.outcomes[i] for i in asked if i in self.outcomes]
        pending = [i for i in asked if i not in self.outcomes]
        return httpx.Response(200, json={"results": over, "pending": pending})

    def _page(self, params: httpx.QueryParams) -> httpx.Response:
        start, limit = int(params.get("cursor", 0)), int(params["limit"])
        wanted = [
            t for t in self.tasks.values() if t["status"] == params.get("status", t["status"])
        ]
        rest = len(wanted) > start + limit
        page = {
            "tasks": wanted[start : start + limit],
            "next_cursor": str(start + limit) if rest else None,
        }
        return httpx.Response(200, json=page)

    def _steer(self, task_id: str, verb: str) -> httpx.Response:
        status = self.tasks[task_id]["status"]
        if (status == "QUEUED") != (verb == "cancel"):
            return problem(409, f"task {task_id} is {status}", task_status=status)
        if verb == "cancel":
            self.fail(task_id, "CANCELLED")
        else:
            self.tasks[task_id]["status"] = "QUEUED"
            del self.outcomes[task_id]
        return httpx.Response(200, json=self.tasks[task_id])

    def _end(self, task_id: str, status: str, outcome: Json) -> None:
        self.tasks[task_id]["status"] = status
        self.tasks[task_id]["error"] = outcome.get("error")
        self.outcomes[task_id] = {"task_id": task_id, "status": status, **outcome}


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> httpx.Response:
    """An answer that says no."""
    body = {"title": "No", "status": status, "detail": detail, **more}
    kind = {"content-type": "application/problem+json"}
    return httpx.Response(status, json=body, headers={**kind, **(headers or {})})


def task_view(task_id: str, request: Json) -> Json:
    """A QUEUED task as the API shows it."""
    view = wire.TaskView(
        task_id, request["name"], request.get("queue", "default"), request.get("priority", 5),
        "QUEUED", 0, 0, 3, NOW, None, None, None, None, None, None, None, False, False,
        request.get("idempotency_key"), request.get("tags", []), None, None,
    )  # fmt: skip
    shown: Json = msgspec.to_builtins(view)
    return shown
