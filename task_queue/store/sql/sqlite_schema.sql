-- One row a task, one status a row. What is large or rare lives in tables of its own, so that an
-- update of the row never rewrites arguments or results.
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
    progress BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS tasks_idempotency ON tasks (idempotency_key)
    WHERE idempotency_key IS NOT NULL;
-- Every live task, for the start of a scheduler and for lists by status. No further column: so the
-- tasks of one status come in the order of seq, and the first page of a list needs no sorting.
CREATE INDEX IF NOT EXISTS tasks_live ON tasks (status)
    WHERE status IN ('SCHEDULED', 'QUEUED', 'RUNNING', 'RETRYING');
-- What did not end well is rare and looked for often.
CREATE INDEX IF NOT EXISTS tasks_unhappy ON tasks (status)
    WHERE status IN ('FAILED', 'CANCELLED', 'EXPIRED');
-- The order of endings: trends, the event stream, pruning.
CREATE INDEX IF NOT EXISTS tasks_finished ON tasks (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS arguments (seq INTEGER PRIMARY KEY, json BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS results (
    seq INTEGER PRIMARY KEY, expires_at REAL NOT NULL, json BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS results_expiry ON results (expires_at);
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
