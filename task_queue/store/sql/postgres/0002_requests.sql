-- code: 1
-- Answers to calls that must not be carried out twice when they are repeated.
CREATE TABLE requests (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    count INTEGER NOT NULL
);
