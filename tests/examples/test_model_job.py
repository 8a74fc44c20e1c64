"""Cross-validation, called directly: real scores, clear refusals, one thread, progress."""

from typing import Any

import model_job
import pytest
from sklearn.dummy import DummyClassifier
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # it has no types

from task_queue.codec import to_json
from task_queue.testing import InMemoryQueue


def test_the_score_is_real_and_the_same_each_time() -> None:
    score = model_job.cross_validate("wine", "logistic_regression", {"C": 0.1}, folds=3)
    again = model_job.cross_validate("wine", "logistic_regression", {"C": 0.1}, folds=3)
    assert score["fold_scores"] == again["fold_scores"] and len(score["fold_scores"]) == 3
    assert 0.9 < score["mean_score"] <= 1 and 0 < score["std_score"] < 0.1
    assert score["fit_seconds"] > 0
    to_json(score, "result")


@pytest.mark.parametrize("dataset", model_job.DATASETS)
@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("logistic_regression", {}),
        ("random_forest", {"n_estimators": 5}),
        ("support_vector_machine", {}),
    ],
)
def test_every_model_learns_every_data_set(
    dataset: str, model: str, params: dict[str, Any]
) -> None:
    assert model_job.cross_validate(dataset, model, params, folds=2)["mean_score"] > 0.8


@pytest.mark.parametrize(
    ("dataset", "model", "params", "folds", "complaint"),
    [
        ("wine", "support_vector_machine", {"C": -1}, 5, "'C' parameter of SVC must be"),
        ("wine", "support_vector_machine", {"c": 1}, 5, "unexpected keyword argument 'c'"),
        ("vine", "support_vector_machine", {}, 5, "dataset 'vine' is unknown: use one of breast_"),
        ("wine", "svm", {}, 5, "model 'svm' is unknown: use one of logistic_regression, "),
        ("wine", "random_forest", {}, 1, "n_splits=1"),
    ],
)
def test_what_cannot_be_is_refused_and_not_tried_again(
    dataset: str, model: str, params: dict[str, Any], folds: int, complaint: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=complaint) as caught:
        model_job.cross_validate(dataset, model, params, folds)
    assert not model_job.cross_validate.is_retryable(caught.value)


class ThreadCounting(DummyClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """A model that looks how many threads it may have while it is fitted."""

    seen: set[int] = set()  # noqa: RUF012  a model is cloned for each fold

    def fit(self, X: Any, y: Any) -> Any:
        self.seen.update(pool["num_threads"] for pool in threadpool_info())
        return super().fit(X, y)


def test_numerical_libraries_get_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_job.MODELS, "counting", lambda seed, params: ThreadCounting())
    model_job.cross_validate("wine", "counting", {}, folds=2)
    assert ThreadCounting.seen == {1}


def test_progress_is_told_after_each_fold(client: InMemoryQueue) -> None:
    client.submit(model_job.cross_validate, "wine", "random_forest", {}, folds=4).result()
    assert [note.progress.fraction for note in client.progress] == [0.25, 0.5, 0.75, 1.0]
