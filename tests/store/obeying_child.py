"""A scheduler's store in a process of its own: commits one task for each line that it is sent."""

import sys

from task_queue.store import open_store
from task_queue.store.protocol import StaleEpoch
from tests.store.databases import a_task, inserted

STALE = 3  #: the exit status of one that was followed


def main() -> None:
    store = open_store(sys.argv[1])
    sys.stdout.write(f"{store.take_over()}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        try:
            store.commit(inserted(a_task(int(line))))
        except StaleEpoch:
            sys.exit(STALE)
        sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
