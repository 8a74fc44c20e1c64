"""What `up` last made of a cluster, kept in the cluster itself: `up` again compares with it.

It is in Ray's own key-value store, so it is there for whoever joins the cluster, from whichever
folder, and is gone with it.
"""

import msgspec
from ray.experimental import internal_kv

from task_queue.errors import ConfigError
from task_queue.settings import Settings, settings_from_json, settings_to_json

#: Of what the actors say to each other: code of another one cannot take over what runs.
RELEASE = 2
_NAMESPACE = b"task-queue"
#: Where the parts of the queue find each other and their data, next to the section `ray`.
_FIXED_FIELDS = {"http": ("host", "port"), "store": ("url",)}


class Applied(msgspec.Struct):
    """What the last `up` that succeeded had applied."""

    settings_json: bytes
    generation: str  #: of the workers
    release: int = 1


def read_applied(settings: Settings) -> Applied | None:
    """None: no `up` has succeeded here yet. Ray must be connected."""
    found = internal_kv._internal_kv_get(_key(settings), namespace=_NAMESPACE)
    return None if found is None else msgspec.msgpack.decode(found, type=Applied)


def write_applied(settings: Settings, applied: Applied) -> None:
    """To be called when all of it has succeeded."""
    said = msgspec.msgpack.encode(applied)
    internal_kv._internal_kv_put(_key(settings), said, overwrite=True, namespace=_NAMESPACE)


def forget_applied(settings: Settings) -> None:
    """The queue was ended."""
    internal_kv._internal_kv_del(_key(settings), namespace=_NAMESPACE)


def refuse_fixed_changes(applied: Applied, settings: Settings) -> None:
    """
    Raises:
        ConfigError: something changed that a running queue cannot take over; nothing was touched.
    """
    try:
        old = settings_from_json(applied.settings_json)
    except ConfigError:
        raise _of_another_release() from None
    if applied.release != RELEASE:
        raise _of_another_release()
    fields = {"ray": tuple(type(settings.ray).model_fields), **_FIXED_FIELDS}
    changed = [
        f"{section}.{name}"
        for section, names in fields.items()
        for name in names
        if getattr(getattr(old, section), name) != getattr(getattr(settings, section), name)
    ]
    if changed:
        raise ConfigError(
            f"{', '.join(changed)}: changed since the queue was started, and cannot change while "
            "it runs. Nothing was applied: 'down', then 'up' does it"
        )


def _of_another_release() -> ConfigError:
    return ConfigError(
        "the running queue was started by another release: 'down' of that release, then 'up' "
        "applies this one"
    )


def changed_sections(applied: Applied | None, settings: Settings) -> set[str]:
    """Names of the sections that differ; all, if nothing was applied."""
    new = msgspec.json.decode(settings_to_json(settings))
    old = {} if applied is None else msgspec.json.decode(applied.settings_json)
    return {name for name, section in new.items() if old.get(name) != section}


def _key(settings: Settings) -> bytes:
    """One for each queue of a cluster; a head of our own has one queue, whatever its namespace."""
    ray = settings.ray
    return b"applied" if ray.address is None else f"applied:{ray.namespace}".encode()
