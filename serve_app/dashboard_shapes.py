"""The shapes of dashboard, trends and health answers: what people and their tools look at."""

from msgspec import Struct

from serve_app.rate_book import Rates, Totals


class LiveCounts(Struct):
    """Tasks that are not over, by where they are."""

    queued: int
    delayed: int  #: SCHEDULED and RETRYING
    running: int


class WorkerCounts(Struct):
    """Workers by status. Lost ones are those of the last 15 minutes."""

    active: int
    paused: int
    draining: int
    lost: int
    total: int
    slots: int  #: of the living
    busy_slots: int
    utilization_percent: float | None  #: None: no slots


class DashboardStats(Struct):
    """The queue at a glance."""

    timestamp: str
    tasks: LiveCounts
    totals: Totals  #: since the store was made; they survive restarts
    last_minute: Rates | None
    last_5_minutes: Rates | None
    success_rate: float | None  #: completed of completed and failed, last 5 minutes; None: none
    success_rate_total: float | None
    workers: WorkerCounts


class QueueDepth(Struct):
    """Waiting tasks of one queue by priority: high 7..9, normal 4..6, low 0..3."""

    queue: str
    paused: bool
    high: int
    normal: int
    low: int
    total: int
    delayed: int
    running: int


class PriorityDepths(Struct):
    high: int
    normal: int
    low: int


class QueueDepths(Struct):
    """Waiting tasks of all queues."""

    timestamp: str
    total: int
    by_priority: PriorityDepths
    queues: list[QueueDepth]


class TrendBucket(Struct):
    """What ended in one slice of time. The times are those of completed tasks."""

    start: str
    completed: int
    failed: int
    other: int  #: cancelled and expired
    wait_seconds_p50: float | None
    run_seconds_p50: float | None
    run_seconds_p95: float | None
    run_seconds_p99: float | None


class TrendFailure(Struct):
    """Failures of one task with one type of error."""

    name: str
    error_type: str
    count: int
    last_at: str
    last_message: str
    last_task_id: str


class TrendsAnswer(Struct):
    """What ended in a window, the newest slice still growing.

    Counts are exact, percentiles at most 2 % off. A task counts where it ended, whatever became of
    it later. The 50 most frequent kinds of failures are told, with the first 300 characters of the
    last message; of a slice of 10 s at most 100 kinds are kept.
    """

    window: str
    since: str
    until: str
    bucket_seconds: float
    buckets: list[TrendBucket]
    failures: list[TrendFailure]


class DatabaseCheck(Struct, omit_defaults=True):
    status: str
    response_time_ms: float
    detail: str = ""


class RedisCheck(Struct, omit_defaults=True):
    status: str
    response_time_ms: float | None
    detail: str = ""


class WorkersCheck(Struct, omit_defaults=True):
    status: str
    active_count: int
    total_count: int
    detail: str = ""


class ApiCheck(Struct):
    status: str
    uptime_seconds: float


class HealthChecks(Struct):
    database: DatabaseCheck
    redis: RedisCheck
    workers: WorkersCheck
    api: ApiCheck


class Health(Struct):
    """Everything: healthy, degraded (works, but look at it), unhealthy."""

    status: str
    version: str
    timestamp: str
    checks: HealthChecks


class Alive(Struct):
    """This process answers."""

    status: str
    uptime_seconds: float


class ConnectionPool(Struct):
    """Connections of this API process to the store."""

    active: int
    idle: int
    total: int


class DatabaseHealth(Struct, omit_defaults=True):
    status: str
    connection_pool: ConnectionPool
    query_latency_ms: float
    detail: str = ""


class RedisHealth(Struct, omit_defaults=True):
    status: str
    memory_mb: float | None
    connected_clients: int | None
    ops_per_second: float | None
    detail: str = ""


class WorkersHealth(Struct, omit_defaults=True):
    status: str
    active_workers: int
    total_workers: int  #: living, and lost in the last 15 minutes
    healthy_workers: int  #: living: heard of within their lease
    unhealthy_workers: int  #: lost
    detail: str = ""
