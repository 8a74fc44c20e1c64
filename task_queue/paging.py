"""Reading what is paged out: where the wish of the machine meets the store."""

from itertools import islice

from task_queue.core.events import TasksPaged
from task_queue.core.machine import QueueMachine
from task_queue.store.protocol import Store, StoreError

_PAGE_BYTES = 8 * 2**20  #: of arguments
#: Of one turn, so that it stays short: the next one reads more.
_MOST_PAGES = 4


def pages_wanted(machine: QueueMachine) -> bool:
    """Whether `read_pages` would read any."""
    return next(machine.book.pages_wanted(), None) is not None


def wants_page(machine: QueueMachine, queue: str) -> bool:
    """Whether a line of this queue is to have a page; it may have to let others go first."""
    return any(wanting == queue for wanting, _ in machine.book.pages_wanted())


def read_pages(machine: QueueMachine, store: Store) -> list[TasksPaged]:
    """Events for the very next turn; no other may come between.

    Raises:
        StoreError: it could not be read, or does not have what the machine counts.
    """
    pages: list[TasksPaged] = []
    for queue, priority in islice(machine.book.pages_wanted(), _MOST_PAGES):
        tasks = store.page(queue, priority, machine.rules.page, _PAGE_BYTES)
        if not tasks:
            raise StoreError(f"queue '{queue}', priority {priority}: no task is paged out there")
        pages.append(TasksPaged(queue, priority, tasks))
    return pages
