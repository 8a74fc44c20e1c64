"""Prometheus: the scrape of everything, one target for each worker, and where they are."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import quote

from fastapi import Request, Response
from msgspec import Struct
from prometheus_client.core import Metric

from monitoring.logs import get_logger
from monitoring.metrics import MetricsSource, render_metrics, render_worker_metrics
from monitoring.redis_families import redis_families
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext
from serve_app.decoding import NoFields, decode_query
from serve_app.fleet import without_living
from serve_app.nearest import hint, shown
from serve_app.operation import Operation
from serve_app.problems import ApiProblem
from serve_app.queue_views import queue_states
from serve_app.redis_away import RedisAway
from task_queue.store.protocol import Reader
from task_queue.store.query import Tally

_log = get_logger("api")

_TEXT = "text/plain; version=0.0.4"
_WORKER_METRICS = "/api/v1/metrics/workers"


class TargetGroup(Struct):
    """Targets that share their labels, as Prometheus wants them (http_sd_config)."""

    targets: list[str]
    labels: dict[str, str]


class MetricsRoutes:
    """Handlers for Prometheus."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        yield Operation(
            method="GET", path="/metrics", handler=self.get_metrics, tag="metrics",
            summary="All metrics, as Prometheus text or OpenMetrics", media_type=_TEXT,
            answer_example='task_queue:queue_depth{priority="high"} 8.0\n', problems=(503,),
        )  # fmt: skip
        yield Operation(
            method="GET", path=f"{_WORKER_METRICS}/{{worker_id:path}}",
            handler=self.get_worker_metrics, tag="metrics",
            summary="Metrics of one worker; 503 when it is lost, so that up is 0", media_type=_TEXT,
            answer_example='worker:utilization_percent{worker_id="default-1"} 60.0\n',
            problems=(404, 503),
        )  # fmt: skip
        yield Operation(
            method="GET", path="/api/v1/prometheus/targets", handler=self.list_targets,
            tag="metrics", summary="HTTP service discovery: one target for each worker",
            answer=list[TargetGroup], answer_example=_TARGETS_EXAMPLE, problems=(503,),
        )  # fmt: skip

    async def get_metrics(self, request: Request) -> Response:
        decode_query(request, NoFields)
        context = self._context
        reading, lost, tallies, catalogue, redis = await asyncio.gather(
            context.reading(), context.lost_workers(), context.readers.scan(_tallies),
            context.catalogue.current(), self._redis(),
        )  # fmt: skip
        source = MetricsSource(
            reading, tallies, len(without_living(lost, reading)),
            queue_states(reading, catalogue), catalogue.tasks(), redis,
        )  # fmt: skip
        accept = request.headers.get("accept", "")
        # Hundreds of lines take some milliseconds: other requests need not wait for them.
        return _text_answer(*await asyncio.to_thread(render_metrics, source, accept))

    async def _redis(self) -> list[Metric]:
        redis = self._context.redis
        if redis is None:
            return []
        try:
            return list(redis_families((await redis.get()).reading))
        except RedisAway as error:
            _log.warning("redis_away", reason=str(error))
            return list(redis_families(None))

    async def get_worker_metrics(self, request: Request) -> Response:
        decode_query(request, NoFields)
        worker_id = request.path_params["worker_id"]
        reading = await self._context.reading()
        for worker in reading.workers:
            if worker.info.worker_id == worker_id:
                accept = request.headers.get("accept", "")
                return _text_answer(*render_worker_metrics(worker, reading, accept))
        for info in await self._context.lost_workers():
            if info.worker_id == worker_id:
                detail = f"worker '{worker_id}' was lost: {info.end_cause}"
                raise ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        cure = hint(worker_id, [w.info.worker_id for w in reading.workers], "workers")
        raise ApiProblem(HTTPStatus.NOT_FOUND, f"no worker {shown(worker_id)}; {cure}")

    async def list_targets(self, request: Request) -> Response:
        decode_query(request, NoFields)
        reading, lost = await self._context.reading(), await self._context.lost_workers()
        ids = [worker.info.worker_id for worker in reading.workers]
        ids += [info.worker_id for info in without_living(lost, reading)]
        # Prometheus found this API under the address that it asked for, so it finds the targets.
        return json_answer([_target(request.url.netloc, worker_id) for worker_id in ids])


def _tallies(reader: Reader) -> list[Tally]:
    return reader.tallies()


def _target(address: str, worker_id: str) -> TargetGroup:
    labels = {
        "__metrics_path__": f"{_WORKER_METRICS}/{quote(worker_id, safe='')}",
        "job": "workers",
        "worker_id": worker_id,
        "instance": worker_id,  # or every worker would carry the address of this API
    }
    return TargetGroup([address], labels)


def _text_answer(text: bytes, content_type: str) -> Response:
    return Response(text, headers={"Content-Type": content_type})


_TARGETS_EXAMPLE = [_target("localhost:8000", "default-1")]
