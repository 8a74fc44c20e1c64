-- The order in which tasks completed: rows for those in sequence instead of an index.
DELETE FROM completed_runs;  -- code of version 3 may have said 3 of a file of version 4
INSERT INTO completed_runs
    SELECT finished_at, min(seq), max(seq)
    FROM (
        SELECT finished_at, seq, seq - row_number() OVER (ORDER BY finished_at, seq) AS gap
        FROM completed
    )
    GROUP BY finished_at, gap;
DROP INDEX IF EXISTS completed_finished;
-- Code of version 3 that still runs must not write any more.
UPDATE meta SET value = value + 1 WHERE key = 'epoch';
