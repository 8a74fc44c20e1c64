"""Ids: UUIDv7 by the letter, alone and in bulk."""

from collections.abc import Callable
from uuid import RFC_4122, UUID

import pytest

from task_queue.ids import is_task_id, new_task_id, new_task_ids

NOW = 1_700_000_000.123


@pytest.mark.parametrize("make", [lambda: [new_task_id(NOW)], lambda: new_task_ids(NOW, 1_000)])
def test_ids_are_uuids_of_version_7(make: Callable[[], list[str]]) -> None:
    for task_id in make():
        uuid = UUID(task_id)
        assert (uuid.version, uuid.variant) == (7, RFC_4122)
        assert uuid.int >> 80 == int(NOW * 1000)
        assert str(uuid) == task_id
        assert is_task_id(task_id)


def test_as_many_as_asked_for_and_none_twice() -> None:
    assert new_task_ids(NOW, 0) == []
    assert len(set(new_task_ids(NOW, 10_000))) == 10_000


def test_all_bits_that_are_free_are_used() -> None:
    ever, always = 0, (1 << 128) - 1
    for task_id in new_task_ids(NOW, 1_000):
        ever |= UUID(task_id).int
        always &= UUID(task_id).int
    moving = (ever & ~always) & ((1 << 80) - 1)
    assert moving.bit_count() == 74


def test_later_ids_sort_after_earlier_ones() -> None:
    earlier, later = new_task_ids(NOW, 100), new_task_ids(NOW + 0.002, 100)
    assert max(earlier) < min(later)
