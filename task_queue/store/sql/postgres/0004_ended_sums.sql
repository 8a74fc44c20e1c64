-- code: 1
-- What ended in slices of time, added up by the scheduler some seconds later, so that trends need
-- not look at each task. `summed_until` in `meta` says how far; code that does not know this table
-- leaves that as it is.
CREATE TABLE ended_sums (
    seconds INTEGER NOT NULL,
    number BIGINT NOT NULL,
    sum BYTEA NOT NULL,
    PRIMARY KEY (seconds, number)
);
