"""The dead-letter queue: run its tasks again, or delete them."""

from collections.abc import Iterable
from typing import Any

from fastapi import Request, Response

from serve_app import examples
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext
from serve_app.dead_letters import DeadLetters
from serve_app.decoding import NoFields, decode_body, decode_query
from serve_app.operation import Operation
from serve_app.task_filters import dlq_question
from task_queue.wire import CountAnswer, DlqPurgeRequest, DlqReplayRequest


class DlqRoutes:
    """Handlers for dead letters."""

    def __init__(self, context: ApiContext) -> None:
        self._letters = DeadLetters(context)

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        count: dict[str, Any] = {
            "tag": "dead letters", "answer": CountAnswer, "answer_example": examples.COUNT,
        }  # fmt: skip
        yield Operation(
            method="POST", path="/api/v1/dlq/replay", handler=self.replay_dlq,
            summary="Run dead letters again, the newest first", body=DlqReplayRequest,
            body_example=examples.REPLAY, problems=(400, 422, 429, 503, 504), **count,
        )  # fmt: skip
        yield Operation(
            method="POST", path="/api/v1/dlq/purge", handler=self.purge_dlq,
            summary="Delete dead letters for good", body=DlqPurgeRequest,
            body_example=examples.PURGE, problems=(400, 422, 503, 504), **count,
        )  # fmt: skip

    async def replay_dlq(self, request: Request) -> Response:
        decode_query(request, NoFields)
        wanted = decode_body(await request.body(), DlqReplayRequest)
        question = dlq_question(wanted.filter)
        move = self._letters.count if wanted.dry_run else self._letters.replay
        return json_answer(await move(question, wanted.limit))

    async def purge_dlq(self, request: Request) -> Response:
        decode_query(request, NoFields)
        wanted = decode_body(await request.body(), DlqPurgeRequest)
        return json_answer(await self._letters.purge(dlq_question(wanted.filter)))
