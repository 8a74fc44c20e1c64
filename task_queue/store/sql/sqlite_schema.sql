-- What was asked for is written once, in `tasks`, and never changed. Where a task stands is in one of
-- four tables, and which one it is in says most of it:
--   waiting    QUEUED, as it was accepted
--   leased     RUNNING, and nothing was heard of the attempt yet; goes before a row in `states`,
--              which then tells of earlier attempts
--   completed  COMPLETED, and there is nothing else to be told of it
--   states     everything else: what failed, is delayed, may expire, tells progress
-- So the life of a task that simply runs is appends and the removal of two small rows, and never
-- the rewriting of a wide one; docs/performance.md says what that is worth. The four views put it
-- together again, with the same columns each.
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS tasks (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    submitted_at REAL NOT NULL,
    idempotency_key TEXT,
    tags TEXT,
    options BLOB NOT NULL,
    arguments BLOB  -- JSON, if it is short
);
CREATE UNIQUE INDEX IF NOT EXISTS tasks_idempotency ON tasks (idempotency_key)
    WHERE idempotency_key IS NOT NULL;
-- Long arguments: apart from `tasks`, so that a list never reads past a megabyte of them.
CREATE TABLE IF NOT EXISTS arguments (seq INTEGER PRIMARY KEY, json BLOB NOT NULL);

CREATE TABLE IF NOT EXISTS waiting (seq INTEGER PRIMARY KEY);
-- Of these, the ones that the scheduler does not keep in memory: all from the first to the last of a
-- run, which are of one line. No seq is in two runs. Code that does not know this table loads them all.
CREATE TABLE IF NOT EXISTS paged_runs (
    first_seq INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS paged_runs_line ON paged_runs (queue, priority, first_seq);
-- The same, a row for each task, by code that does not know runs; else empty.
CREATE TABLE IF NOT EXISTS paged_out (
    queue TEXT NOT NULL, priority INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (queue, priority, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leased (
    seq INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    worker_id TEXT NOT NULL,
    claimed_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS completed (
    seq INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    worker_id TEXT,
    claimed_at REAL,
    started_at REAL,
    finished_at REAL NOT NULL,
    result_until REAL,
    result BLOB
);
-- The order in which they completed, a row for those in sequence that completed at the same time:
-- an index on `finished_at` costs as much as a tenth of all that is done for a task. No seq is in
-- two of them; tasks that were deleted since may be. The last of them takes its row along.
CREATE TABLE IF NOT EXISTS completed_runs (
    finished_at REAL NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    PRIMARY KEY (finished_at, first_seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS completed_result ON completed (result_until)
    WHERE result_until IS NOT NULL;
-- When the results of tasks in sequence go, first to last, instead of their `result_until`. No seq
-- is in two of them. Code that does not know this table keeps those results as long as their tasks.
CREATE TABLE IF NOT EXISTS result_runs (
    first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, until REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS result_runs_until ON result_runs (until);
CREATE TABLE IF NOT EXISTS states (
    seq INTEGER PRIMARY KEY,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    due_at REAL NOT NULL,
    expires_at REAL,
    worker_id TEXT,
    claimed_at REAL,
    started_at REAL,
    finished_at REAL,
    cancel_requested INTEGER NOT NULL,
    in_dlq INTEGER NOT NULL,
    error_type TEXT,
    error_message TEXT,
    error_traceback TEXT,
    progress BLOB,
    unstarted INTEGER NOT NULL,
    result_until REAL,
    result BLOB
);
-- What lives or did not end well is rare here and looked for often. No further column: so the tasks
-- of one status come in the order of seq, and the first page of a list needs no sorting.
CREATE INDEX IF NOT EXISTS states_status ON states (status) WHERE status <> 'COMPLETED';
-- The order of endings, as `completed_runs`: trends, the event stream, pruning.
CREATE INDEX IF NOT EXISTS states_finished ON states (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS states_result ON states (result_until) WHERE result_until IS NOT NULL;

CREATE VIEW IF NOT EXISTS settled_tasks AS
    SELECT states.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        status, attempt, failures, deaths, due_at, expires_at, worker_id, claimed_at,
        started_at, finished_at, cancel_requested, in_dlq, error_type, error_message,
        error_traceback, progress, unstarted, arguments
    FROM states JOIN tasks ON tasks.seq = states.seq
    WHERE NOT EXISTS (SELECT 1 FROM leased WHERE leased.seq = states.seq);
CREATE VIEW IF NOT EXISTS completed_tasks AS
    SELECT completed.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'COMPLETED' AS status, attempt, 0 AS failures, 0 AS deaths, 0.0 AS due_at,
        NULL AS expires_at, worker_id, claimed_at, started_at, finished_at, 0 AS cancel_requested,
        0 AS in_dlq, NULL AS error_type, NULL AS error_message, NULL AS error_traceback,
        NULL AS progress, 0 AS unstarted, arguments
    FROM completed JOIN tasks ON tasks.seq = completed.seq;
CREATE VIEW IF NOT EXISTS waiting_tasks AS
    SELECT waiting.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'QUEUED' AS status, 0 AS attempt, 0 AS failures, 0 AS deaths, 0.0 AS due_at,
        NULL AS expires_at, NULL AS worker_id, NULL AS claimed_at, NULL AS started_at,
        NULL AS finished_at, 0 AS cancel_requested, 0 AS in_dlq, NULL AS error_type,
        NULL AS error_message, NULL AS error_traceback, NULL AS progress, 0 AS unstarted,
        arguments
    FROM waiting JOIN tasks ON tasks.seq = waiting.seq;
CREATE VIEW IF NOT EXISTS leased_tasks AS
    SELECT leased.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'RUNNING' AS status, leased.attempt, coalesce(states.failures, 0) AS failures,
        coalesce(states.deaths, 0) AS deaths, coalesce(states.due_at, 0.0) AS due_at,
        states.expires_at, leased.worker_id, leased.claimed_at, NULL AS started_at,
        NULL AS finished_at, 0 AS cancel_requested, 0 AS in_dlq, states.error_type,
        states.error_message, states.error_traceback, NULL AS progress,
        coalesce(states.unstarted, 0) AS unstarted, arguments
    FROM leased JOIN tasks ON tasks.seq = leased.seq
        LEFT JOIN states ON states.seq = leased.seq;

CREATE TABLE IF NOT EXISTS logs (
    seq INTEGER NOT NULL, attempt INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (seq, attempt)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS timeline (
    id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, event BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS timeline_seq ON timeline (seq);

CREATE TABLE IF NOT EXISTS tallies (
    queue TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (queue, name, kind)
) WITHOUT ROWID;
-- What ended in slices of time, added up by the scheduler some seconds later, so that trends need
-- not look at each task. `summed_until` in `meta` says how far.
CREATE TABLE IF NOT EXISTS ended_sums (
    seconds INTEGER NOT NULL, number INTEGER NOT NULL, sum BLOB NOT NULL,
    PRIMARY KEY (seconds, number)
) WITHOUT ROWID;
-- Answers to calls that must not be carried out twice when they are repeated.
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, count INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS queues (
    queue TEXT PRIMARY KEY, paused INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS workers (
    worker_id TEXT PRIMARY KEY, info BLOB NOT NULL, ended INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS schedules (
    id TEXT PRIMARY KEY, schedule BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pools (name TEXT PRIMARY KEY, pool BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_types (
    name TEXT PRIMARY KEY, task_type BLOB NOT NULL
) WITHOUT ROWID;
