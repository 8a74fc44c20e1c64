"""Numbers as ranges."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from task_queue.store.seq_ranges import ranges_of


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_the_numbers_and_nothing_between_them(seqs: set[int]) -> None:
    ranges = ranges_of(seqs)
    assert [seq for first, last in ranges for seq in range(first, last + 1)] == sorted(seqs)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(ranges))
