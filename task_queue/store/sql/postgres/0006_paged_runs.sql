-- code: 1
-- Of the tasks in `waiting`, those that the scheduler does not keep in memory: all from the first to
-- the last of a run, which are of one line. No seq is in two runs. Code that does not know this table
-- loads them all, and marks what it pages out itself in `paged_out`, a row for each task.
CREATE TABLE paged_runs (
    first_seq BIGINT PRIMARY KEY,
    last_seq BIGINT NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL
);
CREATE INDEX paged_runs_line ON paged_runs (queue, priority, first_seq);
