"""The API as Ray Serve gets it: a method that is no coroutine would pass for an older interface."""

import uvicorn
from fastapi import FastAPI

from serve_app.unrouted import Unrouted


def test_uvicorn_takes_it_for_an_application_of_today() -> None:
    config = uvicorn.Config(Unrouted(FastAPI()), lifespan="on", log_config=None)
    config.load()
    assert config.interface == "asgi3"
