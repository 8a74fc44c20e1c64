"""The models of a sweep from best to worst: in a table, a CSV file and a web page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finished_task import FinishedTask
from model_job import Score
from report import cell, failure_section, html_table, write_page
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class RankedModel:
    """A model with its hyper-parameters, and the task that scored it."""

    model: str
    params: dict[str, Any]
    task: FinishedTask

    @property
    def score(self) -> Score:
        """What the task returned; only if it succeeded."""
        score: Score = self.task.result
        return score

    @property
    def title(self) -> str:
        return f"{self.model} ({self.params_text})"

    @property
    def params_text(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.params.items())

    def as_row(self) -> dict[str, object]:
        """As a line of the CSV file; a model that failed has no score."""
        score: Score | None = self.task.result
        seconds = self.task.seconds
        return {
            "model": self.model,
            "params": self.params_text,
            "mean_score": score["mean_score"] if score else "",
            "std_score": score["std_score"] if score else "",
            "fit_seconds": score["fit_seconds"] if score else "",
            "status": self.task.status,
            "attempts": self.task.attempts,
            "worker": self.task.worker_id or "",
            "seconds": "" if seconds is None else round(seconds, 3),
            "error": self.task.error or "",
            "task_id": self.task.task_id,
        }


def ranked(models: Sequence[RankedModel]) -> list[RankedModel]:
    """Those that have a score, the best first; of equal ones the one that is quicker to fit."""
    scored = [model for model in models if model.task.succeeded]
    return sorted(scored, key=lambda m: (-m.score["mean_score"], m.score["fit_seconds"]))


def ranking_table(ranking: Sequence[RankedModel]) -> Table:
    """The ranking for a terminal."""
    headings = ("rank", "model", "parameters", "accuracy", "fit s", "tries")
    table = Table(*headings, title="Ranking", title_justify="left")
    for rank, model in enumerate(ranking, start=1):
        table.add_row(
            str(rank), Text(model.model), Text(model.params_text), _accuracy(model.score),
            f"{model.score['fit_seconds']:.2f}", str(model.task.attempts),
        )  # fmt: skip
    return table


def write_ranking(
    path: Path,
    dataset: str,
    ranking: Sequence[RankedModel],
    failures: Sequence[tuple[str, FinishedTask]],
    replay_command: str,
) -> None:
    """Write the page: a bar for each model, then the failures."""
    rows = [
        [
            cell(str(rank), "number"),
            cell(model.model),
            cell(model.params_text),
            _bar(model.score["mean_score"]),
            cell(_accuracy(model.score), "number"),
            cell(f"{model.score['fit_seconds']:.2f}", "number"),
            cell(model.task.worker_id or ""),
        ]
        for rank, model in enumerate(ranking, start=1)
    ]
    headings = ("Rank", "Model", "Parameters", "", "Accuracy", "Fit, s", "Worker")
    summary = f"Accuracy on {dataset}, mean ± standard deviation over the folds; bars start at 0"
    sections = [html_table(headings, rows), failure_section(failures, replay_command)]
    write_page(path, f"Models of {dataset}", summary, sections)


def _bar(share: float) -> str:
    return f'<td><div class="bar"><div style="width:{share:.1%}"></div></div></td>'


def _accuracy(score: Score) -> str:
    return f"{score['mean_score']:.4f} ± {score['std_score']:.4f}"
