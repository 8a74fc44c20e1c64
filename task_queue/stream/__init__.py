"""Long-lived TCP streams that carry the scheduler's hot calls. Plain asyncio, without Ray."""
