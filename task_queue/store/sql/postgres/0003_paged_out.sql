-- code: 1
-- Of the tasks in `waiting`, those that the scheduler does not keep in memory, in the order in which
-- it asks for them. A row says no more than that: code that does not know this table loads them all.
CREATE TABLE paged_out (
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (queue, priority, seq)
);
