"""The `task-queue` command."""
