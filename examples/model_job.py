"""A machine-learning task: cross-validate one model with one set of hyper-parameters.

A sweep is many of these tasks; `run_models.py` submits one. The data sets are those that
scikit-learn ships, so nothing is downloaded. This module does not know who runs it.

A worker runs several tasks at a time, each in a process of its own. If each of them also started a
thread per core, they would only be in each other's way, so numerical libraries get one thread here.
The limit is set around the work and not by OMP_NUM_THREADS, which libraries read only when they are
loaded: too late in a process that has run another task before.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypedDict

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from task_queue import current_task, task
from task_queue.context import NoCurrentTask

#: The data sets by name, all for classification.
DATASETS: dict[str, Callable[..., Any]] = {
    "breast_cancer": load_breast_cancer,  # 569 samples, 30 features, 2 classes
    "digits": load_digits,  # 1,797 samples, 64 features, 10 classes
    "wine": load_wine,  # 178 samples, 13 features, 3 classes
}

#: The models by name: each makes one from a seed and hyper-parameters.
MODELS: dict[str, Callable[..., BaseEstimator]] = {
    "logistic_regression": lambda seed, params: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=5_000, random_state=seed, **params)
    ),
    "random_forest": lambda seed, params: RandomForestClassifier(random_state=seed, **params),
    "support_vector_machine": lambda seed, params: make_pipeline(
        StandardScaler(), SVC(random_state=seed, **params)
    ),
}


class Score(TypedDict):
    """What `cross_validate` returns. Scores are accuracies, 0..1."""

    dataset: str
    model: str
    params: dict[str, Any]
    mean_score: float
    std_score: float
    fold_scores: list[float]
    fit_seconds: float  #: of all folds together


# A hyper-parameter that is wrong stays wrong: ValueError is not tried again.
@task(
    queue="models",
    timeout_seconds=300,
    max_retries=2,
    retry_base_seconds=0.2,
    never_retry_on=(ValueError, TypeError),
)
def cross_validate(
    dataset: str, model: str, params: dict[str, Any], folds: int = 5, seed: int = 0
) -> Score:
    """Fit and score `model` on each of `folds` parts of `dataset`; the same seed, the same score.

    Raises:
        ValueError: no such data set or model, or a hyper-parameter out of range.
        TypeError: a hyper-parameter that the model does not have.
    """
    features, classes = _load(dataset)
    estimator = _known(MODELS, "model", model)(seed, params)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(features, classes)
    scores: list[float] = []
    fit_seconds = 0.0
    with threadpool_limits(limits=1):
        for train, test in splits:
            started = time.perf_counter()
            fitted = clone(estimator).fit(features[train], classes[train])
            fit_seconds += time.perf_counter() - started
            scores.append(float(fitted.score(features[test], classes[test])))
            _report_progress(len(scores), folds)
    return {
        "dataset": dataset,
        "model": model,
        "params": params,
        "mean_score": float(np.mean(scores)),
        "std_score": float(np.std(scores)),
        "fold_scores": scores,
        "fit_seconds": fit_seconds,
    }


@cache  # executor processes are reused, so the next task finds the data in memory
def _load(dataset: str) -> tuple[Any, Any]:
    features, classes = _known(DATASETS, "dataset", dataset)(return_X_y=True)
    return features, classes


def _known(choices: dict[str, Any], what: str, name: str) -> Any:
    if name not in choices:
        raise ValueError(f"{what} '{name}' is unknown: use one of {', '.join(sorted(choices))}")
    return choices[name]


def _report_progress(done: int, folds: int) -> None:
    """Tell the queue, if a worker runs this; whoever calls the function directly needs no news."""
    try:
        context = current_task()
    except NoCurrentTask:
        return
    context.progress(done / folds, f"{done} of {folds} folds")
