"""The server that one peer keeps its tasks in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Broker:
    """A running server; its URL has the password."""

    name: str
    version: str
    url: str
