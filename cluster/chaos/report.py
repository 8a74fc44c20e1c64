"""What a campaign found: as JSON for programs, as lines for people."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, field

from cluster.chaos.plan import Fault, Plan
from task_queue.history import Kind, Record, Violation


class Hit(Struct, frozen=True):
    """A fault that was done."""

    fault: Fault
    victim: str  #: what it hit; empty: there was nothing to hit


class ScheduleReport(Struct):
    """One schedule. `violations` is empty if every promise was kept."""

    plan: Plan
    seconds: float  #: that it took, its wait for a healthy queue included
    hits: list[Hit]
    counts: dict[str, int]  #: of records: submit_sent, accepted, started, finished, ...
    ends: dict[str, int]  #: tasks by terminal status
    answers: dict[str, int]  #: to clients, other than success
    violations: list[Violation]
    closed: bool  #: everything that was accepted had ended, and every submit was answered
    traces: list[str] = []  #: what was to be seen of the queue, if it did not close

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {status}" for status, count in sorted(self.ends.items()))
        missed = sum(not hit.victim for hit in self.hits)
        lines = [
            f"seed {self.plan.seed}: {self.plan}" + (f" ({missed} hit nothing)" if missed else ""),
            f"  {self.counts.get('accepted', 0)} accepted, {self.counts.get('started', 0)} attempts"
            f" begun, {ends or 'no ends'}, {len(self.violations)} violations, "
            f"{self.seconds:.1f} s" + ("" if self.closed else ", NOT CLOSED"),
        ]
        if self.answers:
            told = ", ".join(f"{count} x {what}" for what, count in sorted(self.answers.items()))
            lines.append(f"  answers: {told}")
        lines += [f"  {line}" for line in self.traces]
        return "\n".join([*lines, *map(str, self.violations)])


class CampaignReport(Struct):
    """All schedules of a campaign, and their sums."""

    queue: str  #: which it was, for people
    load_seconds: float
    kinds: list[str]  #: that a plan could draw from
    schedules: list[ScheduleReport] = field(default_factory=list)
    late_violations: list[Violation] = field(default_factory=list)  #: seen after a schedule's end

    @property
    def broken(self) -> bool:
        """Whether anything went wrong."""
        return bool(self.late_violations) or any(
            schedule.violations or not schedule.closed for schedule in self.schedules
        )

    def summary(self) -> str:
        """The sums, for people."""
        counts, ends, hits, missed = Counter[str](), Counter[str](), Counter[str](), 0
        for schedule in self.schedules:
            counts.update(schedule.counts)
            ends.update(schedule.ends)
            hits.update(str(hit.fault.kind) for hit in schedule.hits if hit.victim)
            missed += sum(not hit.victim for hit in schedule.hits)
        seconds = sum(schedule.seconds for schedule in self.schedules)
        violations = sum(len(s.violations) for s in self.schedules) + len(self.late_violations)
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(hits.items()))
        told = ", ".join(f"{status} {count:,}" for status, count in sorted(ends.items()))
        lines = [
            f"{len(self.schedules)} schedules in {seconds:.0f} s on {self.queue}",
            f"faults: {faults or 'none'}; {missed} hit nothing",
            f"{counts['accepted']:,} acknowledgements, {counts['started']:,} attempts begun, "
            f"{counts['finished']:,} ended by the task, {counts['rerun_acknowledged']:,} reruns; "
            f"tasks: {told or 'none'}",
            f"violations: {violations}",
        ]
        broken = [s.plan.seed for s in self.schedules if s.violations or not s.closed]
        if broken:
            lines.append(f"seeds that broke a promise or did not close: {broken}")
        return "\n".join([*lines, *map(str, self.late_violations)])


def counts_of(history: Sequence[Record]) -> dict[str, int]:
    """Records by kind."""
    return dict(Counter(str(record.kind) for record in history))


def ends_of(history: Sequence[Record]) -> dict[str, int]:
    """Tasks by the end that was told last."""
    last = {record.task_id: record.status for record in history if record.kind is Kind.OVER}
    return dict(Counter(last.values()))
