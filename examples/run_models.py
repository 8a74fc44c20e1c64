"""Search for the best model of a data set, one task for each set of hyper-parameters.

    python examples/run_models.py [--dataset digits|wine|breast_cancer] [--folds 5]

Two of the tasks fail on purpose: a hyper-parameter that cannot be (a dead letter at once, since
trying again is of no use), and a model so large that its time runs out (its process is killed, it
is tried once more, and then it is a dead letter).
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finished_task import submit_and_wait
from model_job import DATASETS, Score, cross_validate
from ranking import RankedModel, ranked, ranking_table, write_ranking
from report import print_failures, print_places, task_queue_command, write_csv
from rich.console import Console
from rich.text import Text
from sklearn.model_selection import ParameterGrid

from task_queue import Client, TaskQueueError, submit_request
from task_queue.tasks import TaskFunction
from task_queue.wire import SubmitRequest

OUT_DIR = Path(".task-queue/examples/models")

#: What is tried: every combination of the values of each model, 24 in all.
GRIDS: dict[str, dict[str, list[Any]]] = {
    "logistic_regression": {"C": [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]},
    "random_forest": {"n_estimators": [25, 100], "max_depth": [3, 6, 12, None]},
    "support_vector_machine": {"C": [0.1, 1, 10, 100], "gamma": [0.003, 0.03]},
}


@dataclass(frozen=True)
class Trial:
    """One model with its hyper-parameters, and how it is to be treated."""

    model: str
    params: dict[str, Any]
    task: TaskFunction[..., Score] = cross_validate
    may_fail: bool = False  #: it fails on purpose


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 if nothing failed but what does so on purpose."""
    options = parse(argv)
    console = Console()
    try:
        with Client(options.url) as client:
            return run(client, make_trials(), options, console)
    except (TaskQueueError, OSError) as error:
        console.print(Text(f"error: {error}", style="red"))
        return 2


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="A hyper-parameter sweep.")
    parser.add_argument("--url", help="of the task queue; TASK_QUEUE_URL unless given")
    parser.add_argument("--dataset", choices=sorted(DATASETS), default="digits")
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same scores")
    parser.add_argument(
        "--run-id", default=f"models-{secrets.token_hex(4)}",
        help="that of an earlier run: pick up its tasks instead of submitting new ones",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if options.folds < 2:
        parser.error("--folds must be 2 or more")
    return options


def run(
    client: Client, trials: Sequence[Trial], options: argparse.Namespace, console: Console
) -> int:
    """Submit the trials, wait for them, show and save their ranking; the exit code.

    Raises:
        TaskQueueError: the queue did not accept the tasks, or went away.
    """
    console.print(f"Run {options.run_id}: {len(trials)} models of {options.dataset}")
    tasks = submit_and_wait(client, requests_for(trials, options), options.run_id)
    results = [
        RankedModel(trial.model, trial.params, task)
        for trial, task in zip(trials, tasks, strict=True)
    ]
    ranking = ranked(results)
    failures = [(model.title, model.task) for model in results if not model.task.succeeded]
    replay_command = task_queue_command("dlq", "replay", "--tag", options.run_id)
    console.print(ranking_table(ranking))
    print_failures(console, failures, replay_command)
    csv_file, page = OUT_DIR / "results.csv", OUT_DIR / "report.html"
    write_csv(csv_file, [model.as_row() for model in results])
    write_ranking(page, options.dataset, ranking, failures, replay_command)
    print_places(console, [csv_file, page], client.url)
    as_hoped = (t.may_fail or m.task.succeeded for t, m in zip(trials, results, strict=True))
    return 0 if all(as_hoped) else 1


def make_trials() -> list[Trial]:
    """The combinations of all grids, and two that fail."""
    trials = [
        Trial(model, params) for model, grid in GRIDS.items() for params in ParameterGrid(grid)
    ]
    in_two_seconds = cross_validate.options(timeout_seconds=2, max_retries=1)
    return [
        *trials,
        Trial("support_vector_machine", {"C": -1}, may_fail=True),
        Trial("random_forest", {"n_estimators": 100_000}, in_two_seconds, may_fail=True),
    ]


def requests_for(trials: Sequence[Trial], options: argparse.Namespace) -> list[SubmitRequest]:
    """A task for each trial.

    Each has an idempotency key, so that submitting it again does not make a second task: neither
    when the client repeats a request of which nobody knows whether it arrived, nor with --run-id.
    """
    requests = []
    for number, trial in enumerate(trials):
        key = f"{options.run_id}/{number}"
        validate = trial.task.options(idempotency_key=key, tags=[options.run_id])
        arguments = (options.dataset, trial.model, trial.params, options.folds, options.seed)
        requests.append(submit_request(validate, *arguments))
    return requests


if __name__ == "__main__":
    sys.exit(main())
