"""Calls of any bytes: whole ones come out as they went in, all else is a clear error."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import call_codec
from task_queue.core.effects import Grant
from task_queue.core.events import Event, WorkerPulled
from task_queue.core.spec_runs import SpecRuns, runs_of
from task_queue.core.status import Outcome
from task_queue.core.task import Lease, Report, TaskError, TaskSpec
from task_queue.executor.frames import RunLeases, encode_frame, to_child_reader
from task_queue.stream import scheduler_calls

_MOST = 200


_DECODERS: dict[str, Any] = {
    "submitted": scheduler_calls.decode_submitted,
    "grant": scheduler_calls.decode_grant,
    "runs": scheduler_calls.decode_runs,
    "event": call_codec.decode_event,
    "answer": call_codec.decode_answer,
    "letters": call_codec.decode_letters,
    "told": call_codec.decode_told,
    "worker_told": call_codec.decode_worker_told,
    "catalogue": call_codec.decode_catalogue,
    "reading": call_codec.decode_reading,
}


@pytest.mark.parametrize("name", list(_DECODERS))
@given(data=st.binary(max_size=_MOST))
def test_any_bytes_are_a_message_or_a_decode_error(name: str, data: bytes) -> None:
    try:
        _DECODERS[name](data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_FLOAT = st.floats(allow_nan=False)
_INT = st.integers(0, 2**31)
_LEASES = st.builds(
    Lease, _TEXT, _INT, _INT, _TEXT, _TEXT, st.integers(0, 9), st.binary(max_size=30),
    st.none() | _FLOAT, _INT, _INT, _FLOAT, st.none() | _TEXT, st.none() | _TEXT, _INT,
)  # fmt: skip
_REPORTS = st.builds(
    Report, _TEXT, _INT, st.sampled_from(Outcome), _FLOAT, _FLOAT, st.none() | st.binary(),
    st.none() | st.builds(TaskError, _TEXT, _TEXT, _TEXT), st.booleans(), st.none() | _FLOAT, _TEXT,
)  # fmt: skip
_SPECS = st.builds(
    TaskSpec, _TEXT, _TEXT, _TEXT, st.integers(0, 9), st.binary(),
    idempotency_key=st.none() | _TEXT, tags=st.lists(_TEXT, max_size=3).map(tuple),
    run_at=st.none() | _FLOAT,
)  # fmt: skip


@given(st.lists(_LEASES, max_size=3), _INT)
def test_leases_travel_exactly(leases: list[Lease], number: int) -> None:
    grant = Grant("w", "i", number, leases)
    assert scheduler_calls.decode_grant(scheduler_calls.encode(grant)) == grant
    frame = RunLeases(number, leases)
    assert to_child_reader().feed(encode_frame(frame)) == [frame]


@given(st.lists(_REPORTS, max_size=3))
def test_reports_travel_exactly(reports: list[Report]) -> None:
    event: Event = WorkerPulled("w", "i", 1, 1, reports)
    assert call_codec.decode_event(call_codec.encode(event)) == event


@given(st.lists(_SPECS, max_size=3))
def test_specs_travel_exactly(specs: list[TaskSpec]) -> None:
    blob = scheduler_calls.encode(runs_of(specs))
    assert list(SpecRuns(scheduler_calls.decode_runs(blob))) == specs
