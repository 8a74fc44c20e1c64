"""A task as a row, and back."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from task_queue.core.status import Status
from task_queue.core.task import Progress, Task, TaskError, TaskSpec
from task_queue.store.task_row import FIXED, MOVING, fixed_columns, moving_columns, task_of

_text = st.text(max_size=20)
_float = st.floats(allow_nan=False)
_int = st.integers(0, 2**53)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_specs = st.builds(
    TaskSpec, _text, _text, _text, st.integers(0, 9), st.binary(max_size=20), _int, _float, _float,
    _maybe(_float), _maybe(_float), _maybe(_float), _float, _maybe(_text),
    st.lists(_text, max_size=3).map(tuple), _maybe(_text), _maybe(_text),
)  # fmt: skip
_tasks = st.builds(
    Task, _specs, _int, _float, st.sampled_from(Status), _int, _int, _int, _float, _maybe(_float),
    _maybe(_text), _maybe(_float), _maybe(_float), _maybe(_float), st.booleans(), st.booleans(),
    _maybe(st.builds(TaskError, _text, _text, _text)), _maybe(st.builds(Progress, _float, _text)),
)  # fmt: skip


@given(_tasks)
def test_a_task_survives_being_a_row(task: Task) -> None:
    row = fixed_columns(task) + moving_columns(task)
    assert len(row) == len(FIXED) + len(MOVING)
    assert task_of(row, task.spec.arguments) == task


@given(_tasks)
def test_a_row_holds_only_what_a_database_can(task: Task) -> None:
    kinds = {type(value) for value in fixed_columns(task) + moving_columns(task)}
    assert kinds <= {str, int, float, bytes, bool, type(None)}


def test_every_field_of_a_task_is_in_the_row() -> None:
    # A field that is added to Task or TaskSpec and forgotten here would be lost with a restart.
    spec = {"id", "name", "queue", "priority", "idempotency_key", "tags"}
    options = {
        "max_retries", "retry_base_seconds", "retry_cap_seconds", "timeout_seconds", "run_at",
        "expires_at", "result_ttl_seconds", "traceparent", "request_id",
    }  # fmt: skip
    assert spec | options | {"arguments"} == set(TaskSpec.__struct_fields__)
    columns = set(FIXED + MOVING) - spec - {"options", "error_type", "error_message"}
    assert columns - {"error_traceback"} | {"spec", "error"} == set(Task.__struct_fields__)
