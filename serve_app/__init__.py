"""The HTTP API: a FastAPI application that knows no Ray, and the Serve deployment that runs it."""
