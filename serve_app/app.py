"""The Ray Serve deployment of the HTTP API: the only file of serve_app that imports Ray.

Each replica builds the API for itself, with a handle to the scheduler and readers of the store.
With a SQLite store the replicas run on the head node, where the file is; with PostgreSQL on any.
"""

import gc
import sys
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve import Application

from actors.handles import SchedulerHandle
from monitoring.logs import configure_logs
from monitoring.spans import Spans
from serve_app.api import build_api
from serve_app.redis_probe import RedisProbe
from serve_app.unrouted import Unrouted
from task_queue import __version__
from task_queue.clock import SystemClock
from task_queue.settings import Settings, load_settings, settings_from_json, settings_to_json
from task_queue.store import is_postgres, open_reader

APP_NAME = "task-queue"
_ON_HEAD = {"node:__internal_head__": 0.001}
_MANY_REQUESTS = 2_000
_SHUTDOWN_SECONDS = 20.0


@serve.ingress()
class HttpApi:
    """One replica."""

    def __init__(self, settings_json: bytes) -> None:
        self._settings = settings_from_json(settings_json)
        logging = self._settings.logging
        # Serve has put a logger of its own, which drops what is below WARNING, in the place of
        # sys.stderr.
        configure_logs(logging.level, logging.format, sys.__stderr__)

    def __serve_build_asgi_app__(self) -> Any:
        """Called by Serve after the constructor, in the replica."""
        settings = self._settings
        api = build_api(
            SchedulerHandle(settings.ray.namespace),
            lambda: open_reader(settings.store.url),
            settings,
            SystemClock(),
            __version__,
            read_redis=RedisProbe(settings.redis.url).read if settings.redis.url else None,
            spans=Spans(settings.tracing, "api") if settings.tracing.enabled else None,
        )
        # What is loaded by now stays. Each batch makes thousands of objects and so has the garbage
        # collector run; without this it would look through all of Ray and FastAPI, again and again.
        gc.collect()
        gc.freeze()
        return Unrouted(api)


def build_app(settings: Settings) -> Application:
    """The Serve application for these settings."""
    resources = {} if is_postgres(settings.store.url) else _ON_HEAD
    # Ray's types know only the form without arguments to the class.
    deployment: Any = serve.deployment(
        HttpApi,
        num_replicas=settings.http.num_replicas,
        max_ongoing_requests=_MANY_REQUESTS,
        graceful_shutdown_timeout_s=_SHUTDOWN_SECONDS,
        ray_actor_options={"num_cpus": 0, "resources": resources},
        logging_config=serve_logging(settings),
    )
    bound: Application = deployment.bind(settings_to_json(settings))
    return bound


def serve_logging(settings: Settings) -> dict[str, Any]:
    """How Ray Serve logs: its own files, in the session's folder `logs/serve`."""
    return {
        # A line for each request costs 20 microseconds, in a file that Ray never empties; answers
        # are counted by status in /metrics.
        "enable_access_log": False,
        "log_level": "WARNING",
        "encoding": "JSON" if settings.logging.format == "json" else "TEXT",
    }


def app(args: dict[str, str]) -> Application:
    """For `serve run serve_app.app:app config=configs/local.yaml` beside a running scheduler."""
    return build_app(load_settings(Path(args["config"]), {}))
