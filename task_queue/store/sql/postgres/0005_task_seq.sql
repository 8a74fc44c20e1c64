-- code: 1
-- The views with one column more, at their end: `task_seq` is `seq`, taken from `tasks`. A search for
-- the tasks between two numbers names both, because PostgreSQL does not conclude from a range of the
-- one that the other is in it, and would read all of `tasks` for a part of it.
CREATE OR REPLACE VIEW settled_tasks AS
    SELECT states.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        status, attempt, failures, deaths, due_at, expires_at, worker_id, claimed_at,
        started_at, finished_at, cancel_requested, in_dlq, error_type, error_message,
        error_traceback, progress, unstarted, arguments,
        tasks.seq AS task_seq
    FROM states JOIN tasks ON tasks.seq = states.seq
    WHERE NOT EXISTS (SELECT 1 FROM leased WHERE leased.seq = states.seq);
CREATE OR REPLACE VIEW completed_tasks AS
    SELECT completed.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'COMPLETED'::text AS status, attempt, 0 AS failures, 0 AS deaths,
        0::double precision AS due_at, NULL::double precision AS expires_at, worker_id,
        claimed_at, started_at, finished_at, false AS cancel_requested, false AS in_dlq,
        NULL::text AS error_type, NULL::text AS error_message, NULL::text AS error_traceback,
        NULL::bytea AS progress, 0 AS unstarted, arguments,
        tasks.seq AS task_seq
    FROM completed JOIN tasks ON tasks.seq = completed.seq;
CREATE OR REPLACE VIEW waiting_tasks AS
    SELECT waiting.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'QUEUED'::text AS status, 0 AS attempt, 0 AS failures, 0 AS deaths,
        0::double precision AS due_at, NULL::double precision AS expires_at,
        NULL::text AS worker_id, NULL::double precision AS claimed_at,
        NULL::double precision AS started_at, NULL::double precision AS finished_at,
        false AS cancel_requested, false AS in_dlq, NULL::text AS error_type,
        NULL::text AS error_message, NULL::text AS error_traceback, NULL::bytea AS progress,
        0 AS unstarted, arguments,
        tasks.seq AS task_seq
    FROM waiting JOIN tasks ON tasks.seq = waiting.seq;
CREATE OR REPLACE VIEW leased_tasks AS
    SELECT leased.seq, id, name, queue, priority, submitted_at, idempotency_key, tags, options,
        'RUNNING'::text AS status, leased.attempt, coalesce(states.failures, 0) AS failures,
        coalesce(states.deaths, 0) AS deaths,
        coalesce(states.due_at, 0::double precision) AS due_at, states.expires_at,
        leased.worker_id, leased.claimed_at, NULL::double precision AS started_at,
        NULL::double precision AS finished_at, false AS cancel_requested, false AS in_dlq,
        states.error_type, states.error_message, states.error_traceback,
        NULL::bytea AS progress, coalesce(states.unstarted, 0) AS unstarted, arguments,
        tasks.seq AS task_seq
    FROM leased JOIN tasks ON tasks.seq = leased.seq
        LEFT JOIN states ON states.seq = leased.seq;
