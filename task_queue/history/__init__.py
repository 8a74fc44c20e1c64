"""What really happened to tasks, as clients and the tasks themselves saw it, and whether that was
right. It knows nothing of how the queue works inside: only what it promises."""

from task_queue.history.bounds import Bounds
from task_queue.history.checker import check_history
from task_queue.history.ledger import Ledger
from task_queue.history.record import Kind, Record
from task_queue.history.violation import Violation

__all__ = ["Bounds", "Kind", "Ledger", "Record", "Violation", "check_history"]
