"""Seven other task queues and ours, measured on one machine in one run: `make bench-peers`."""
