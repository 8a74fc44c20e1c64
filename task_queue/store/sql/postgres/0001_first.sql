-- code: 1
-- The same tables as SQLite's, see sql/sqlite_schema.sql: what was asked for is written once, in
-- `tasks`; where a task stands is in one of `waiting`, `leased`, `completed` or `states`. Long
-- arguments and results need no table of their own: PostgreSQL keeps them apart by itself (TOAST).
CREATE TABLE meta (key TEXT PRIMARY KEY, value BIGINT NOT NULL);

CREATE TABLE tasks (
    seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    submitted_at DOUBLE PRECISION NOT NULL,
    idempotency_key TEXT,
    tags TEXT,
    options BYTEA NOT NULL,
    arguments BYTEA NOT NULL
);
CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE waiting (seq BIGINT PRIMARY KEY);
CREATE TABLE leased (
    seq BIGINT PRIMARY KEY,
    attempt INTEGER NOT NULL,
    worker_id TEXT NOT NULL,
    claimed_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE completed (
    seq BIGINT PRIMARY KEY,
    attempt INTEGER NOT NULL,
    worker_id TEXT,
    claimed_at DOUBLE PRECISION,
    started_at DOUBLE PRECISION,
    finished_at DOUBLE PRECISION NOT NULL,
    result_until DOUBLE PRECISION,
    result BYTEA
);
CREATE INDEX completed_finished ON completed (finished_at, seq);
CREATE INDEX completed_result ON completed (result_until) WHERE result_until IS NOT NULL;
CREATE TABLE states (
    seq BIGINT PRIMARY KEY,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION,
    worker_id TEXT,
    claimed_at DOUBLE PRECISION,
    started_at DOUBLE PRECISION,
    finished_at DOUBLE PRECISION,
    cancel_requested BOOLEAN NOT NULL,
    in_dlq BOOLEAN NOT NULL,
    error_type TEXT,
    error_message TEXT,
    error_traceback TEXT,
    progress BYTEA,
    unstarted INTEGER NOT NULL,
    result_until DOUBLE PRECISION,
    result BYTEA
);
CREATE INDEX states_status ON states (status, seq) WHERE status <> 'COMPLETED';
CREATE INDEX states_finished ON states (finished_at, seq) WHERE finished_at IS NOT NULL;
CREATE INDEX states_result ON states (result_until) WHERE result_until IS NOT NULL;

CREATE VIEW settled_tasks AS
    SELECT states.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        status, attempt, failures, deaths, due_at, expires_at, worker_id, claimed_at,
        started_at, finished_at, cancel_requested, in_dlq, error_type, error_message,
        error_traceback, progress, unstarted, arguments
    FROM states JOIN tasks ON tasks.seq = states.seq
    WHERE NOT EXISTS (SELECT 1 FROM leased WHERE leased.seq = states.seq);
CREATE VIEW completed_tasks AS
    SELECT completed.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'COMPLETED'::text AS status, attempt, 0 AS failures, 0 AS deaths,
        0::double precision AS due_at, NULL::double precision AS expires_at, worker_id,
        claimed_at, started_at, finished_at, false AS cancel_requested, false AS in_dlq,
        NULL::text AS error_type, NULL::text AS error_message, NULL::text AS error_traceback,
        NULL::bytea AS progress, 0 AS unstarted, arguments
    FROM completed JOIN tasks ON tasks.seq = completed.seq;
CREATE VIEW waiting_tasks AS
    SELECT waiting.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'QUEUED'::text AS status, 0 AS attempt, 0 AS failures, 0 AS deaths,
        0::double precision AS due_at, NULL::double precision AS expires_at,
        NULL::text AS worker_id, NULL::double precision AS claimed_at,
        NULL::double precision AS started_at, NULL::double precision AS finished_at,
        false AS cancel_requested, false AS in_dlq, NULL::text AS error_type,
        NULL::text AS error_message, NULL::text AS error_traceback, NULL::bytea AS progress,
        0 AS unstarted, arguments
    FROM waiting JOIN tasks ON tasks.seq = waiting.seq;
CREATE VIEW leased_tasks AS
    SELECT leased.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'RUNNING'::text AS status, leased.attempt, coalesce(states.failures, 0) AS failures,
        coalesce(states.deaths, 0) AS deaths,
        coalesce(states.due_at, 0::double precision) AS due_at, states.expires_at,
        leased.worker_id, leased.claimed_at, NULL::double precision AS started_at,
        NULL::double precision AS finished_at, false AS cancel_requested, false AS in_dlq,
        states.error_type, states.error_message, states.error_traceback,
        NULL::bytea AS progress, coalesce(states.unstarted, 0) AS unstarted, arguments
    FROM leased JOIN tasks ON tasks.seq = leased.seq
        LEFT JOIN states ON states.seq = leased.seq;

CREATE TABLE logs (
    seq BIGINT NOT NULL, attempt INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (seq, attempt)
);
CREATE TABLE timeline (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seq BIGINT NOT NULL, event BYTEA NOT NULL
);
CREATE INDEX timeline_seq ON timeline (seq);

CREATE TABLE tallies (
    queue TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, count BIGINT NOT NULL,
    PRIMARY KEY (queue, name, kind)
);
CREATE TABLE queues (queue TEXT PRIMARY KEY, paused BOOLEAN NOT NULL);
CREATE TABLE workers (worker_id TEXT PRIMARY KEY, info BYTEA NOT NULL, ended BOOLEAN NOT NULL);
CREATE TABLE schedules (id TEXT PRIMARY KEY, schedule BYTEA NOT NULL);
CREATE TABLE pools (name TEXT PRIMARY KEY, pool BYTEA NOT NULL);
CREATE TABLE task_types (name TEXT PRIMARY KEY, task_type BYTEA NOT NULL);

-- The first statement of every transaction that writes. The shared lock keeps a new scheduler, which
-- takes the same lock alone, waiting until this transaction is over; after it the epoch is read anew
-- (a volatile function sees what was committed before each of its statements).
CREATE FUNCTION fence(mine BIGINT) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    current BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7461936, 'meta'::regclass::oid::integer);
    SELECT value INTO current FROM meta WHERE key = 'epoch';
    IF current IS DISTINCT FROM mine THEN
        RAISE EXCEPTION 'this scheduler''s epoch is %, the store''s %: another scheduler has taken over',
            mine, current USING ERRCODE = 'TQ001';
    END IF;
END
$$;
