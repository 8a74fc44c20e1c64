"""Examples for the OpenAPI document: one small shop of pictures, told the same way everywhere."""

from msgspec import Raw

from task_queue import wire

TASK_ID = "019b2c3d-4e5f-7a6b-8c9d-0e1f2a3b4c5d"
_AT = "2026-01-25T14:00:00.000Z"
_LATER = "2026-01-25T14:00:01.250Z"

SUBMIT = wire.SubmitRequest(
    name="image_job.thumbnail", args=[Raw(b'"cat.png"')], kwargs={"size": Raw(b"64")}, priority=8
)
BATCH = wire.BatchRequest([SUBMIT])
BATCH_ANSWER = wire.BatchAnswer([TASK_ID])

TASK = wire.TaskView(
    task_id=TASK_ID, name="image_job.thumbnail", queue="images", priority=8, status="QUEUED",
    attempt=0, failures=0, max_retries=3, submitted_at=_AT, run_at=None, next_attempt_at=None,
    expires_at=None, started_at=None, finished_at=None, timeout_seconds=30.0, worker_id=None,
    cancel_requested=False, in_dlq=False, idempotency_key=None, tags=[], error=None, progress=None,
)  # fmt: skip
TASK_PAGE = wire.TaskPage([TASK], next_cursor=None)

RESULT = wire.ResultView(TASK_ID, "COMPLETED", Raw(b'{"path":"cat-64.png"}'))
RESULTS_REQUEST = wire.ResultsRequest([TASK_ID], wait_seconds=10.0)
RESULTS_ANSWER = wire.ResultsAnswer([RESULT], pending=[])
TIMELINE = wire.TimelineAnswer([
    wire.TimelineView(_AT, "submitted", 0),
    wire.TimelineView(_LATER, "completed", 1, "default-1", 1.1),
])  # fmt: skip
LOGS = wire.LogsAnswer([wire.LogView(1, "resizing cat.png\n")])

REPLAY = wire.DlqReplayRequest(wire.TaskFilter(name="image_job.thumbnail"), limit=100, dry_run=True)
PURGE = wire.DlqPurgeRequest(wire.TaskFilter(queue="images"))
COUNT = wire.CountAnswer(3, dry_run=True)

QUEUES = wire.QueuesAnswer([
    wire.QueueView("images", False, 12, 1, 4, {"5": 4, "8": 8}, 0.75, ["default"])
])  # fmt: skip
QUEUE_PAUSED = wire.QueuePausedView("images", paused=True)

WORKER = wire.WorkerView(
    worker_id="default-1", status="active", pool="default", queues=["images"], hostname="node-1",
    pid=4242, capacity=5, current_load=3, tasks_ended=120, tasks_failed=2, busy_seconds=310.5,
    restarts=0, uptime_seconds=86_400.0, last_heartbeat_at=_AT, running=[TASK_ID],
)  # fmt: skip
WORKERS = wire.WorkersAnswer([WORKER])
WORKER_STATUS = wire.WorkerStatusView("default-1", "draining")

SCHEDULE_REQUEST = wire.ScheduleRequest(
    SUBMIT, id="nightly", cron="0 6 * * 1-5", timezone="Europe/Berlin"
)
SCHEDULE = wire.ScheduleView(
    id="nightly", name="image_job.thumbnail", queue="images", cron="0 6 * * 1-5",
    interval_seconds=None, timezone="Europe/Berlin", overlap="skip", missed="run_once",
    next_run_at="2026-01-26T05:00:00.000Z", last_run_at=None, last_task_id=None, runs=0, skips=0,
)  # fmt: skip
SCHEDULES = wire.SchedulesAnswer([SCHEDULE])

TASK_TYPES = wire.TaskTypesAnswer([
    wire.TaskTypeView(
        "image_job.thumbnail", "image_job.thumbnail(path: str, size: int = 128) -> dict",
        "A small copy of a picture.", "images", 5, 3, 30.0, "process", ["default"],
    )
])  # fmt: skip
