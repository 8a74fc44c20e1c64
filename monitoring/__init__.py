"""What can be seen of the queue from outside: metrics, spans, logs. Knows neither HTTP nor Ray."""
