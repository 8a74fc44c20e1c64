"""From sums and ended tasks to trends: the one computation that all stores share.

What ended a while ago was added up by the scheduler (trend_roller.py); what ended since is read
task by task. So an answer costs the same however many tasks there are. Sums are of slices of fixed
lengths: of buckets that are not made of these, every task is read.
"""

import math
from collections.abc import Iterator
from itertools import groupby

from task_queue.store.ended_sum import LEVELS, EndedSum, EndedTask, most_frequent, sum_of_ended
from task_queue.store.protocol import Reader
from task_queue.store.query import Bucket, Trends
from task_queue.store.sketch import percentile

_PAGE = 10_000  #: ended tasks that are in memory at one time
_MOST_PATTERNS = 50


def read_trends(reader: Reader, since: float, until: float, bucket_seconds: float) -> Trends:
    """Buckets of `bucket_seconds` from `since` to `until`, empty ones included, and failures."""
    sums = [EndedSum() for _ in range(max(1, math.ceil((until - since) / bucket_seconds)))]

    def bucket_at(moment: float) -> int:
        return int((moment - since) // bucket_seconds)

    place = since
    summed_until = reader.summed_until()
    for level in reversed(LEVELS):
        seconds = level.seconds
        kept_from = level.first_kept(summed_until) * seconds
        if since % seconds or bucket_seconds % seconds or not kept_from <= place < summed_until:
            continue
        first, beyond = int(place // seconds), int(min(summed_until, until) // seconds)
        for number, part in reader.sums(seconds, first, beyond).items():
            sums[bucket_at(number * seconds)].add(part)
        place = max(place, float(beyond * seconds))
    for page in _pages(reader, place, until):
        for bucket, tasks in groupby(page, key=lambda task: bucket_at(task.finished_at)):
            sums[bucket].add(sum_of_ended(tasks))
    failures = most_frequent(pattern for part in sums for pattern in part.failures)
    buckets = [_bucket(since + i * bucket_seconds, part) for i, part in enumerate(sums)]
    return Trends(buckets, failures[:_MOST_PATTERNS])


def _pages(reader: Reader, since: float, until: float) -> Iterator[list[EndedTask]]:
    cursor = since, -1
    while page := reader.ended(cursor, until, _PAGE):
        yield page
        cursor = page[-1].finished_at, page[-1].seq


def _bucket(start: float, part: EndedSum) -> Bucket:
    return Bucket(
        start, part.completed, part.failed, part.other, percentile(part.waits, 50),
        percentile(part.runs, 50), percentile(part.runs, 95), percentile(part.runs, 99),
    )  # fmt: skip
