"""What is remembered of good calls never changes what is said of a call."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from serve_app import argument_checks
from serve_app.argument_checks import ArgumentChecks
from task_queue.tasks import TaskFunction, TaskOptions
from tests.serve_app.api_world import TYPES


def mixed(a: int, /, b: str, c: float = 0.5, *more: Any, d: bool, **named: Any) -> None:
    """A parameter of each kind."""


KINDS = [*TYPES, TaskFunction(mixed, "shop.mixed", TaskOptions()).task_type()]
NAMES = sorted({p.name for kind in KINDS for p in kind.parameters} | {"nope", "string"})
VALUES = [Raw(b) for b in (b"1", b"1.5", b"-2", b"1e3", b'"x"', b'"."', b"null", b"true", b"[1.5]",
                           b'{"a":1}')]  # fmt: skip

calls = st.tuples(
    st.lists(st.sampled_from(VALUES), max_size=5),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=4),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(told=st.lists(calls, max_size=30))
def test_old_checks_say_what_fresh_ones_say(
    kind: Any, told: list[tuple[list[Raw], dict[str, Raw]]]
) -> None:
    checks = ArgumentChecks(kind)
    for args, kwargs in [*told, *told]:
        assert checks.complaints(args, kwargs) == ArgumentChecks(kind).complaints(args, kwargs)


def test_a_good_call_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = ArgumentChecks(TYPES[0])
    assert checks.complaints([Raw(b'"cat.png"')], {"size": Raw(b"64")}) == []

    def must_not_look(*_: Any) -> None:
        pytest.fail("it was looked at again")

    monkeypatch.setattr(argument_checks, "_type_complaints", must_not_look)
    assert checks.complaints([Raw(b'"dog.png"')], {"size": Raw(b"128")}) == []


def test_what_callers_make_up_is_not_kept() -> None:
    checks = ArgumentChecks(TYPES[2])
    for number in range(1_000):
        assert checks.complaints([Raw(b"1")] * number, {f"name{number}": Raw(b"1")}) == []
    assert checks.shapes_known == 0


def test_the_number_of_shapes_is_bounded() -> None:
    def many(a: Any, b: Any, c: Any, d: Any) -> None:
        """Takes four of any type."""

    checks = ArgumentChecks(TaskFunction(many, "many", TaskOptions()).task_type())
    for a in VALUES:
        for b in VALUES:
            for c in VALUES:
                assert checks.complaints([a, b, c, Raw(b"1")], {}) == []
    assert checks.shapes_known <= 256


@pytest.mark.parametrize("text", ["1", "-1", "10000000000000000000000"])
def test_whole_numbers_are_integers(text: str) -> None:
    assert argument_checks.json_type(Raw(text.encode())) == "integer"


@pytest.mark.parametrize("value", [0.5, 1e300, "1", [1], {"a": 1}, None, True])
def test_other_types(value: Any) -> None:
    names = {float: "number", str: "string", list: "array", dict: "object", bool: "boolean"}
    raw = Raw(msgspec.json.encode(value))
    assert argument_checks.json_type(raw) == names.get(type(value), "null")
