"""What `up` may change on a cluster that runs, and what it must not."""

from typing import Any

import pytest

from cluster.applied import RELEASE, Applied, changed_sections, refuse_fixed_changes
from cluster.generation import generation_of
from task_queue.errors import ConfigError
from task_queue.settings import Settings, settings_to_json
from task_queue.store.query import Pool
from task_queue.tasks import TaskOptions, TaskType


def _settings(**sections: Any) -> Settings:
    return Settings.model_validate({"pools": {"a": {}}, **sections})


def _applied(settings: Settings) -> Applied:
    return Applied(settings_to_json(settings), "g", RELEASE)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"ray": {"gcs_port": 7000}}, "ray.gcs_port"),
        ({"ray": {"namespace": "other"}}, "ray.namespace"),
        ({"http": {"port": 9000}}, "http.port"),
        ({"http": {"host": "0.0.0.0"}}, "http.host"),
        ({"store": {"url": "sqlite:////elsewhere/queue.db"}}, "store.url"),
    ],
)
def test_what_cannot_change_is_refused_by_name(change: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: changed .* 'down', then 'up'"):
        refuse_fixed_changes(_applied(_settings()), _settings(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"pools": {"a": {"task_modules": ["more"]}}},
        {"leases": {"lease_seconds": 30.0}},
        {"limits": {"max_deaths": 5}},
        {"http": {"open_paths": []}},
        {"logging": {"level": "DEBUG"}},
    ],
)
def test_the_rest_may_change_and_is_named(change: dict[str, Any]) -> None:
    old, new = _settings(), _settings(**change)
    refuse_fixed_changes(_applied(old), new)
    assert changed_sections(_applied(old), new) == set(change)
    assert changed_sections(_applied(old), old) == set()


def test_all_is_changed_where_nothing_was_applied() -> None:
    assert {"pools", "ray", "leases"} <= changed_sections(None, _settings())


def test_the_settings_of_another_release_are_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="another release"):
        refuse_fixed_changes(Applied(b'{"pools":{"a":{}},"gone":1}', "g", RELEASE), _settings())


def test_actors_that_speak_otherwise_are_refused_in_words() -> None:
    older = Applied(settings_to_json(_settings()), "g")
    with pytest.raises(ConfigError, match="another release"):
        refuse_fixed_changes(older, _settings())


def test_a_generation_ends_with_what_workers_read_and_with_nothing_else() -> None:
    def generation(settings: Settings, *names: str) -> str:
        pools = [Pool("a", ("*",), names, ())]
        return generation_of(settings, pools, [TaskType(name, (), TaskOptions()) for name in names])

    first = generation(_settings(), "t.one")
    assert generation(_settings(), "t.one") == first
    assert generation(_settings(autoscaler={"idle_seconds": 1.0}), "t.one") == first
    assert generation(_settings(http={"open_paths": []}), "t.one") == first
    assert generation(_settings(pools={"a": {"slots": 3}}), "t.one") != first
    assert generation(_settings(), "t.one", "t.two") != first  # the same settings, another task
