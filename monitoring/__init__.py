"""What can be seen of the queue from outside: metrics and logs. Knows nothing of HTTP and Ray."""
