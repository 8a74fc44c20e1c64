"""Where the HTTP API of some settings is, as a client on this machine writes it."""

from task_queue.settings import Settings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def api_url(settings: Settings) -> str:
    """Without a slash at the end."""
    host = _EVERYWHERE.get(settings.http.host, settings.http.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.http.port}"
