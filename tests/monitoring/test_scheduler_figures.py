"""What /metrics tells of the scheduler itself."""

from monitoring.metrics import MetricsSource, render_metrics
from task_queue.scheduler_api import SchedulerReading


def test_refused_reports_turns_and_commits_are_counters() -> None:
    reading = SchedulerReading(10.0, 1.0, 3, [], [], 7, 40, 1.25, 0.01)
    text, _ = render_metrics(MetricsSource(reading, [], 0, [], []), "")
    lines = text.decode().splitlines()
    for sample in (
        "task_queue_refused_reports_total 7.0",
        "task_queue_scheduler_turns_total 40.0",
        "task_queue_commit_seconds_total 1.25",
    ):
        assert sample in lines
        assert f"# TYPE {sample.split()[0]} counter" in lines


def test_faults_of_chores_are_counted_by_chore() -> None:
    reading = SchedulerReading(10.0, 1.0, 3, [], [], 7, 40, 1.25, 0.01)
    reading.chore_failures = {"prune": 0, "trends": 2}
    lines = render_metrics(MetricsSource(reading, [], 0, [], []), "")[0].decode().splitlines()
    assert 'task_queue_chore_failures_total{chore="prune"} 0.0' in lines
    assert 'task_queue_chore_failures_total{chore="trends"} 2.0' in lines
