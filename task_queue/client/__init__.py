"""The Python client over HTTP: `Client` and `AsyncClient`, which share all but the sending."""
