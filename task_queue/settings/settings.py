"""Every section but the pools, each field with its default and its limits.

Durations and sizes carry their unit in the name. The defaults are those of one machine; the values
that the core also has are taken from there, so that there is one truth.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, Strict, ValidationInfo, field_validator, model_validator

from task_queue.core.settings import Rules
from task_queue.settings.pool import Pools
from task_queue.settings.section import (
    TEN_YEARS,
    Bytes,
    Count,
    Fault,
    Period,
    Port,
    Section,
    Text,
    Texts,
    refuse,
    twice,
    working_directory,
)

_SQLITE = "sqlite:///"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")

#: Ray puts sockets below it, and a socket's path has at most 107 bytes on Linux.
_TEMP_DIR_BYTES = 60
#: Ray refuses to start a smaller object store.
_OBJECT_STORE_BYTES_MIN = 75 * 1024 * 1024


class StoreSettings(Section):
    """Where tasks are kept."""

    #: sqlite:///path/to/queue.db (absolute after loading), postgresql://user:password@host:port/
    #: database, or memory: which forgets, for tests.
    url: str = Field(default="sqlite:///.task-queue/queue.db", repr=False)

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: str, info: ValidationInfo) -> str:
        if url == "memory:":
            return url
        if url.startswith("postgres"):
            return _postgres_url(url)
        path = url.removeprefix(_SQLITE)
        if path == url or not path or path.endswith("/") or "\0" in path:
            raise ValueError(
                "give sqlite:///path/to/queue.db, postgresql://user:password@host/database, "
                "or memory: for tests"
            )
        directory = working_directory(info)
        return url if directory is None else f"{_SQLITE}{(directory / path).absolute()}"


def _postgres_url(url: str) -> str:
    """The URL, if it names a database."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname or "host=" in parts.query) and bool(parts.path.strip("/"))
        there = named and parts.scheme in ("postgresql", "postgres") and parts.port != 0
    except ValueError:  # what urllib says may show the password
        there = False
    if not there or "\0" in url:
        raise ValueError("give postgresql://user:password@host:port/database")
    return url


class RedisSettings(Section):
    """A Redis that is looked at: one that holds the tables of Ray's GCS, if Ray was set up so."""

    #: redis://:password@host:port/0, or rediss:// for TLS. None: there is none.
    url: str | None = Field(default=None, repr=False)

    @field_validator("url")
    @classmethod
    def _is_redis(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            there = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
        except ValueError:  # what urllib says may show the password
            there = False
        if not there or not re.fullmatch(r"(/[0-9]*)?", parts.path):
            raise ValueError("give redis://:password@host:port/0, or null if there is none")
        return url


class ApiKey(Section):
    """A caller that may use the HTTP API. The key itself is nowhere in the settings."""

    name: Text
    sha256: str = Field(repr=False)  #: of the key's UTF-8 bytes, in lower-case hexadecimal

    @field_validator("sha256")
    @classmethod
    def _is_digest(cls, value: str) -> str:
        if not _SHA256.fullmatch(value):
            raise ValueError(
                "give the SHA-256 of the key as 64 lower-case hexadecimal digits, never the key "
                'itself: printf %s "$KEY" | sha256sum'
            )
        return value


class HttpSettings(Section):
    """The HTTP API."""

    host: Text = "127.0.0.1"
    port: Port = 8000
    #: Empty: everyone who reaches the port may do everything.
    api_keys: Annotated[tuple[ApiKey, ...], Strict(False)] = ()
    #: Paths that need no key.
    open_paths: Texts = ("/health", "/metrics")
    max_body_bytes: Bytes = 16 * 1024 * 1024
    max_batch_tasks: Count = 10_000
    num_replicas: Count = 1

    @field_validator("api_keys")
    @classmethod
    def _names_differ(cls, keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        repeated = twice([key.name for key in keys])
        if repeated:
            raise ValueError(f"two keys are called {repeated[0]!r}: give each a name of its own")
        return keys

    @field_validator("open_paths")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not path.startswith("/"):
                raise ValueError(f"{path!r} is not a path: begin it with /")
        return paths


class LimitSettings(Section):
    """What is refused, so that no caller can fill the queue or the disk."""

    max_queue_length: Count = Rules().max_queue_length  #: waiting tasks in one queue
    #: Tasks with a run_at, delay or expires_at that are not over: all of them are in memory.
    max_timed_tasks: Count = Rules().max_timed_tasks
    #: Tasks of one queue that wait for a retry; beyond it the queue gives out no first attempts.
    max_retrying: Count = Rules().max_retrying
    #: Waiting tasks of one queue and priority in the scheduler's memory; the rest is in the store.
    window: Count = Rules().window
    memory_bytes: Bytes = Rules().memory_bytes  #: of tasks in memory, before windows get smaller
    #: Queues that hold tasks, beside those that pools name; names of paused ones; names in metrics.
    max_queues: Count = Rules().max_queues
    max_deaths: Count = Rules().max_deaths  #: workers or executors that may end under one task
    check_invariants: bool = False  #: verify the core after each event: slow, for hunting a bug
    max_argument_bytes: Bytes = 1024 * 1024  #: of one task, as JSON
    max_result_bytes: Bytes = 10_000_000  #: of one task, as JSON
    max_delay_seconds: Period = TEN_YEARS  #: how far ahead a task may be scheduled


class LeaseSettings(Section):
    """When a silent worker counts as lost."""

    lease_seconds: Period = Rules().lease_seconds
    poll_seconds: Period = Rules().poll_seconds  #: a worker is heard at least this often

    @model_validator(mode="after")
    def _survives_one_late_poll(self) -> Self:
        if self.lease_seconds < 2 * self.poll_seconds:
            complaint = (
                f"{self.lease_seconds} is less than twice poll_seconds ({self.poll_seconds}), so "
                "one late heartbeat would lose a healthy worker: raise it, or lower poll_seconds"
            )
            refuse([Fault(("lease_seconds",), complaint)])
        return self


class RetentionSettings(Section):
    """What is deleted, and when."""

    finished_seconds: Period = 7 * 86_400.0  #: a task that is over is kept so long
    max_finished_tasks: Count = 5_000_000  #: of more tasks that are over the oldest are deleted
    prune_interval_seconds: Period = 60.0  #: between two deletions of what is past its time
    logs_cap_bytes: Bytes = 65_536  #: of output kept from one attempt


class RaySettings(Section):
    """The Ray cluster: one that is started here, or one that is joined."""

    #: None: start a head on this machine. "auto" or "host:port": join one that runs.
    address: str | None = None
    num_cpus: Annotated[int, Field(ge=0)] | None = None  #: of the head started here; None: counted
    temp_dir: str = "/tmp/task-queue-ray"
    #: Not 6379, Ray's own default, which a Redis or another Ray on the machine may have.
    gcs_port: Port = 6389
    dashboard: bool = True
    dashboard_port: Port = 8265
    object_store_memory_bytes: Annotated[int, Field(ge=_OBJECT_STORE_BYTES_MIN)] = 100_000_000
    #: "token": who has no token can reach neither Ray nor its dashboard, and so run no code.
    auth_mode: Literal["token", "disabled"] = "token"
    namespace: Text = "task-queue"
    #: Where the scheduler serves workers and the HTTP API, at a port that it tells them. None:
    #: 127.0.0.1 if a head is started here, else the address that Ray has for its machine.
    stream_host: Text | None = None

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str | None) -> str | None:
        if address is None or address == "auto":
            return address
        match = _HOST_PORT.fullmatch(address)
        if not match or not 1 <= int(match[2]) <= 65_535:
            raise ValueError("give null to start a head here, or 'auto' or 'host:port' to join one")
        return address

    @field_validator("temp_dir")
    @classmethod
    def _is_short_and_absolute(cls, path: str) -> str:
        if not Path(path).is_absolute() or "\0" in path:
            raise ValueError("give an absolute path")
        size = len(path.encode("utf-8", "surrogatepass"))
        if size >= _TEMP_DIR_BYTES:
            raise ValueError(
                f"has {size} bytes: give a path of fewer than {_TEMP_DIR_BYTES}, because Ray's "
                "sockets lie below it and their paths are limited to 107"
            )
        return path

    @model_validator(mode="after")
    def _num_cpus_only_of_own_head(self) -> Self:
        if self.address is not None and self.num_cpus is not None:
            complaint = (
                f"{self.num_cpus} is for a head that is started here, but ray.address joins "
                f"{self.address!r}: leave one of them out"
            )
            refuse([Fault(("num_cpus",), complaint)])
        return self


class AutoscalerSettings(Section):
    """How many workers a pool has, between its min_workers and its max_workers."""

    interval_seconds: Period = 2.0  #: between two decisions
    target_wait_seconds: Period = 5.0  #: a task that waits longer is a reason to add workers
    backlog_per_worker: Count = 100  #: waiting tasks per slot that need no further worker
    idle_seconds: Period = 30.0  #: a worker without work for so long is let go
    max_pending_workers: Count = 10  #: workers that Ray has not placed yet, over all pools


class LoggingSettings(Section):
    """What the cluster's own processes write."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    format: Literal["json", "console"] = "json"
    #: Lines of single tasks (accepted, attempt over); more in a second are counted, not written.
    task_lines_per_second: Annotated[int, Field(ge=0, le=100_000)] = 200


class TracingSettings(Section):
    """OpenTelemetry: where spans go, and of how many requests."""

    enabled: bool = False
    #: Of a receiver of OTLP over HTTP, without /v1/traces.
    endpoint: str = "http://localhost:4318"
    #: Of requests that come without a W3C traceparent; the others are sampled if that says so.
    sample_rate: Annotated[float, Field(ge=0, le=1)] = 0.1
    #: Submitted tasks that get spans of their own, by one process of the HTTP API; the further ones
    #: of that second have none. As many of schedules, by the scheduler.
    tasks_per_second: Annotated[int, Field(ge=0, le=100_000)] = 100

    @field_validator("endpoint")
    @classmethod
    def _is_http(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            there = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # what urllib says may show a password
            there = False
        # It is written into logs, so it must not have a password.
        more = there and (parts.query or parts.fragment or "@" in parts.netloc)
        if not there or more or url.rstrip("/").endswith("/v1/traces"):
            raise ValueError(
                "give http://host:4318 or https://host, without /v1/traces, which is added, and "
                "without a password: a key goes into OTEL_EXPORTER_OTLP_HEADERS"
            )
        return url.rstrip("/")


class MonitoringSettings(Section):
    """The Prometheus and the Alertmanager that `python -m cluster monitoring` starts."""

    prometheus_port: Port = 9090
    alertmanager_port: Port = 9093


def _ports_differ(settings: "Settings") -> "Settings":
    """A head that is started here shares the machine with the HTTP API."""
    if settings.ray.address is not None:
        return settings
    taken = {settings.http.port: "http.port"}
    ports = [("gcs_port", settings.ray.gcs_port)]
    if settings.ray.dashboard:
        ports.append(("dashboard_port", settings.ray.dashboard_port))
    faults = []
    for name, port in ports:
        if port in taken:
            complaint = f"{port} is also {taken[port]}: give each a port of its own"
            faults.append(Fault(("ray", name), complaint))
        taken.setdefault(port, f"ray.{name}")
    refuse(faults)
    return settings


class Settings(Section):
    """All that can be set. Only `pools` has no default."""

    store: StoreSettings = StoreSettings()
    redis: RedisSettings = RedisSettings()
    http: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    leases: LeaseSettings = LeaseSettings()
    retention: RetentionSettings = RetentionSettings()
    ray: RaySettings = RaySettings()
    pools: Pools
    autoscaler: AutoscalerSettings = AutoscalerSettings()
    logging: LoggingSettings = LoggingSettings()
    tracing: TracingSettings = TracingSettings()
    monitoring: MonitoringSettings = MonitoringSettings()

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        _ports_differ(self)
        return self

    def rules(self) -> Rules:
        """The numbers that the core depends on."""
        return Rules(
            lease_seconds=self.leases.lease_seconds,
            poll_seconds=self.leases.poll_seconds,
            max_deaths=self.limits.max_deaths,
            max_queue_length=self.limits.max_queue_length,
            max_timed_tasks=self.limits.max_timed_tasks,
            max_retrying=self.limits.max_retrying,
            max_queues=self.limits.max_queues,
            window=self.limits.window,
            memory_bytes=self.limits.memory_bytes,
        )
