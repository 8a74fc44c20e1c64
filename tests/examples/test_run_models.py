"""The runner of the sweep, on a queue that runs its tasks at once."""

import csv
import io
from pathlib import Path

import pytest
import run_models
from finished_task import FinishedTask
from model_job import cross_validate
from ranking import RankedModel, ranked
from rich.console import Console
from run_models import Trial

from task_queue import Client
from tests.examples.web_page import WebPage

TRIALS = [
    Trial("support_vector_machine", {"C": 0.1, "gamma": 0.003}),  # 0.40
    Trial("logistic_regression", {"C": 0.1}),  # 0.99
    Trial("support_vector_machine", {"C": -1}, may_fail=True),
]


def run(client: Client, console: Console, trials: list[Trial]) -> int:
    options = run_models.parse(["--dataset", "wine", "--folds", "3", "--run-id", "test"])
    return run_models.run(client, trials, options, console)


def test_the_sweep_is_24_models_and_two_that_fail() -> None:
    trials = run_models.make_trials()
    assert len([trial for trial in trials if not trial.may_fail]) == 24
    assert len({str((trial.model, trial.params)) for trial in trials}) == len(trials) == 26
    assert {trial.model for trial in trials} == set(run_models.GRIDS)


def test_the_huge_model_has_two_seconds_and_two_attempts() -> None:
    options = run_models.parse(["--run-id", "test"])
    request = run_models.requests_for(run_models.make_trials(), options)[-1]
    assert (request.timeout_seconds, request.max_retries) == (2, 1)
    assert cross_validate.task_options.timeout_seconds == 300


def test_the_ranking_is_written_best_first(folder: Path, client: Client, console: Console) -> None:
    assert run(client, console, TRIALS) == 0
    page = WebPage(run_models.OUT_DIR / "report.html")
    assert page.text.index("logistic_regression") < page.text.index("support_vector_machine")
    assert "Got -1 instead" in page.text and page.sources == []
    with (run_models.OUT_DIR / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["COMPLETED", "COMPLETED", "FAILED"]
    assert float(rows[1]["mean_score"]) > 0.95 and rows[2]["mean_score"] == ""
    assert rows[2]["error"].startswith("InvalidParameterError: The 'C' parameter of SVC must be")


def test_what_is_printed(folder: Path, client: Client, console: Console) -> None:
    run(client, console, TRIALS)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "C=0.1, gamma=0.003" in printed
    assert (
        "In the dead-letter queue: 1" in printed and "task-queue dlq replay --tag test" in printed
    )
    assert (folder / run_models.OUT_DIR / "report.html").as_uri() in printed


def test_a_model_that_should_have_worked_fails_the_run(
    folder: Path, client: Client, console: Console
) -> None:
    assert run(client, console, [TRIALS[1], Trial("random_forest", {"n_estimators": 0})]) == 1


def test_no_model_has_a_score(folder: Path, client: Client, console: Console) -> None:
    assert run(client, console, TRIALS[2:]) == 0
    assert "Got -1 instead" in WebPage(run_models.OUT_DIR / "report.html").text


def test_of_equal_scores_the_quicker_model_is_first() -> None:
    def scored(name: str, score: float, fit_seconds: float) -> RankedModel:
        result = {"mean_score": score, "fit_seconds": fit_seconds}
        task = FinishedTask(
            task_id=name, name="model_job.cross_validate", status="COMPLETED", attempts=1,
            worker_id="models-1", seconds=1.0, in_dlq=False, result=result,
        )  # fmt: skip
        return RankedModel(name, {}, task)

    models = [scored("low", 0.8, 1), scored("slow", 0.9, 2), scored("quick", 0.9, 1)]
    assert [model.model for model in ranked(models)] == ["quick", "slow", "low"]


def test_one_fold_is_refused() -> None:
    with pytest.raises(SystemExit):
        run_models.parse(["--folds", "1"])
