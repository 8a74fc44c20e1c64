"""Decides whether a history keeps the promises of the queue.

The history must be closed: nothing is submitted any more, everything that was accepted had the time
to end, and its end was asked for. An open history looks as if tasks were lost.
"""

from collections.abc import Sequence

from task_queue.history.bounds import Bounds
from task_queue.history.life import lives_of
from task_queue.history.life_rules import LIFE_RULES
from task_queue.history.order_rules import duplicate_key, fifo_inverted, priority_inverted
from task_queue.history.record import Record
from task_queue.history.stop_rules import run_while_draining, run_while_paused
from task_queue.history.time_rules import (
    expired_early,
    fired_after_deletion,
    fired_overlapping,
    fired_twice,
    not_fired,
    pruned_early,
    run_after_expiry,
)
from task_queue.history.violation import Violation


def check_history(history: Sequence[Record], bounds: Bounds) -> list[Violation]:
    """Every broken promise, with the records that prove it; empty if there is none.

    Args:
        history: in the order in which things were seen.
        bounds: how far orders may be inverted, and how late what depends on a time may be.
    """
    lives = lives_of(history)
    found = [
        Violation(rule, life.task_id, message, proof)
        for rule, check in LIFE_RULES.items()
        for life in lives.values()
        for message, proof in check(life)
    ]
    for rule, findings in (
        ("duplicate_key", duplicate_key(lives)),
        ("priority_inverted", priority_inverted(lives, bounds)),
        ("fifo_inverted", fifo_inverted(lives, bounds)),
        ("run_while_paused", run_while_paused(history, lives, bounds)),
        ("run_while_draining", run_while_draining(history, lives, bounds)),
        ("run_after_expiry", run_after_expiry(lives, bounds)),
        ("expired_early", expired_early(lives, bounds)),
        ("pruned_early", pruned_early(lives, bounds)),
        ("fired_twice", fired_twice(history)),
        ("fired_overlapping", fired_overlapping(history)),
        ("fired_after_deletion", fired_after_deletion(history)),
        ("not_fired", not_fired(history, bounds)),
    ):
        found += [Violation(rule, proof[0].task_id, msg, proof) for msg, proof in findings]
    return found
