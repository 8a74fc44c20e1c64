"""The options of a task that are numbers of seconds."""

import math
from typing import Any

import pytest

from task_queue.errors import TaskDefinitionError
from task_queue.tasks import TaskOptions


@pytest.mark.parametrize("value", [math.nan, math.inf, "5"])
@pytest.mark.parametrize(
    "name", ["retry_base_seconds", "retry_cap_seconds", "timeout_seconds", "result_ttl_seconds"]
)
def test_they_are_finite_numbers(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(TaskDefinitionError, match=f"{name} {value!r}: give a finite number"):
        TaskOptions(**options)


def test_no_timeout_is_none() -> None:
    assert TaskOptions(timeout_seconds=None).timeout_seconds is None
    with pytest.raises(TaskDefinitionError, match="or None for no limit"):
        TaskOptions(timeout_seconds=math.inf)


def test_whole_numbers_are_numbers() -> None:
    assert TaskOptions(retry_base_seconds=2, retry_cap_seconds=10**400).retry_base_seconds == 2


@pytest.mark.parametrize("queue", ["", "my mail", "*", "a\x00", "é", "-a", "mail\n", "x" * 256])
def test_a_queue_is_called_by_plain_characters(queue: str) -> None:
    with pytest.raises(TaskDefinitionError, match="queue: "):
        TaskOptions(queue=queue)


@pytest.mark.parametrize("queue", ["mail", "eu-west.mail_2", "team/mail", "a:b", "_own", "x" * 255])
def test_plain_queue_names_are_taken(queue: str) -> None:
    assert TaskOptions(queue=queue).queue == queue
