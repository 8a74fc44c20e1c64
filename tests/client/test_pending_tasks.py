"""Which ids are asked about, and how often: waiting for very many tasks stays cheap."""

import math
from collections.abc import Iterable

from msgspec import Raw

from task_queue.client.outcome import Outcome, OutcomesAnswer
from task_queue.client.pending_tasks import Ask, PendingTasks


def answer(task_ids: Iterable[str]) -> OutcomesAnswer:
    return OutcomesAnswer([Outcome(i, "COMPLETED", Raw(b"1")) for i in task_ids], [])


def ask(pending: PendingTasks, now: float) -> Ask:
    asked = pending.next_ask(now)
    assert asked is not None
    return asked


IDS = [f"t{i}" for i in range(50_000)]


def test_few_tasks_are_waited_for_as_long_as_a_request_may() -> None:
    pending = PendingTasks(IDS[:3], 0.0, None)
    assert ask(pending, 0.0) == Ask(IDS[:3], 30.0)


def test_the_deadline_limits_the_wait_and_there_is_one_last_look() -> None:
    pending = PendingTasks(IDS[:3], 0.0, 12.0)
    assert ask(pending, 0.0).wait_seconds == 12.0
    assert ask(pending, 12.0) == Ask(IDS[:3], 0.0)
    assert pending.next_ask(12.0) is None


def test_the_last_look_is_at_all_tasks() -> None:
    pending = PendingTasks(IDS[:5_000], 0.0, 0.0)
    looked = [ask(pending, 0.0) for _ in range(3)]
    assert [i for a in looked for i in a.task_ids] == IDS[:5_000]
    assert pending.next_ask(0.0) is None


def test_at_most_two_thousand_are_asked_for_oldest_first() -> None:
    pending = PendingTasks(IDS, 0.0, None)
    first = ask(pending, 0.0)
    assert first.task_ids == IDS[:2_000]
    pending.take(first, answer(IDS[:1_000]))
    assert ask(pending, 0.1).task_ids == IDS[1_000:3_000]
    assert len(pending) == 49_000 and pending.oldest() == IDS[1_000]


def test_an_answer_with_little_of_much_is_followed_by_a_pause() -> None:
    pending = PendingTasks(IDS, 0.0, None)
    first = ask(pending, 0.0)
    pending.take(first, answer(IDS[:5]))
    assert ask(pending, 0.1).pause_seconds == 0.1
    pending.take(first, answer(IDS[5:405]))
    assert ask(pending, 0.2).pause_seconds == 0.0
    few = PendingTasks(IDS[:50], 0.0, None)
    few.take(ask(few, 0.0), answer(IDS[:1]))
    assert ask(few, 0.1).pause_seconds == 0.0


def test_tasks_behind_a_stuck_head_are_found_without_waiting() -> None:
    pending = PendingTasks(IDS[:6_000], 0.0, None)
    head = ask(pending, 0.0)
    assert head.wait_seconds == 5.0
    pending.take(head, answer([]))
    swept = [ask(pending, 5.0), ask(pending, 5.0)]
    assert [i for a in swept for i in a.task_ids] == IDS[2_000:6_000]
    assert all(a.wait_seconds == 0.0 for a in swept)
    pending.take(swept[0], answer(IDS[2_000:4_000]))
    pending.take(swept[1], answer(IDS[4_000:6_000]))
    assert ask(pending, 5.0) == Ask(IDS[:2_000], 30.0)


def test_fifty_thousand_tasks_that_end_in_order_cost_few_requests() -> None:
    """1,000 tasks a second: about ten requests a second and a sweep every five."""
    pending, now, requests, ids_sent = PendingTasks(IDS, 0.0, None), 0.0, 0, 0
    while pending:
        asked = ask(pending, now)
        now += asked.pause_seconds + 0.002
        requests, ids_sent = requests + 1, ids_sent + len(asked.task_ids)
        ended = math.floor(now * 1_000)
        pending.take(asked, answer(i for i in asked.task_ids if int(i[1:]) < ended))
    assert now < 52
    assert requests < 1_000 and ids_sent < 1_500_000


def test_repeated_ids_are_asked_for_once() -> None:
    pending = PendingTasks(["a", "b", "a"], 0.0, None)
    assert ask(pending, 0.0).task_ids == ["a", "b"]
    assert pending.total == 2
