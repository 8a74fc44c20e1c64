"""Reading a long list page by page."""

from task_queue.wire import TaskPage, TaskView

PAGE_SIZE = 100


class Paging:
    """Where a reader of a list is. Ask for `size` tasks after `cursor` until `more` is false."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self.cursor: str | None = None
        self.more = limit is None or limit > 0

    @property
    def size(self) -> int:
        """How many tasks to ask for."""
        return PAGE_SIZE if self._left is None else min(PAGE_SIZE, self._left)

    def take(self, page: TaskPage) -> list[TaskView]:
        """The tasks of a page, without those beyond the limit."""
        tasks = page.tasks[: self._left]
        self.cursor = page.next_cursor
        if self._left is not None:
            self._left -= len(tasks)
        self.more = self.cursor is not None and self._left != 0
        return tasks
