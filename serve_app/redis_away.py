"""Why there is nothing to be told of Redis."""


class RedisAway(Exception):
    """It does not answer, or refuses to."""
