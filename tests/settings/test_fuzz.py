"""Whatever the file and the environment hold, the answer is Settings or a ConfigError."""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from task_queue.errors import ConfigError
from task_queue.settings import Settings, load_settings, settings_from_json, settings_to_json

SECTIONS = list(Settings.model_fields)
FIELDS = sorted(
    {
        "queues", "task_modules", "python_path", "env", "resources", "num_cpus", "slots",
        "min_workers", "max_workers", "default", "0", "name", "sha256",
        *(name for field in Settings.model_fields.values()
          for name in getattr(field.annotation, "model_fields", ())),
    }
)  # fmt: skip

scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(),
    st.sampled_from(["*", "memory:", "sqlite:///x", "auto", "a:1", "/tmp/x", "token", "1e999"]),
)  # fmt: skip
names = st.one_of(st.sampled_from(FIELDS), st.text(max_size=5))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(names, scalars), inner, max_size=3)
    ),
    max_leaves=8,
)
documents = st.dictionaries(
    st.one_of(st.sampled_from(SECTIONS), st.text(max_size=5)),
    st.one_of(st.dictionaries(names, values, max_size=4), values),
    max_size=5,
)
variables = st.dictionaries(
    st.one_of(
        st.tuples(st.sampled_from(SECTIONS), st.lists(names, max_size=3)).map(
            lambda parts: "TASK_QUEUE_" + "__".join([parts[0].upper(), *parts[1]])
        ),
        st.text(max_size=8).map(lambda text: f"TASK_QUEUE_{text}"),
    ),
    st.one_of(st.text(max_size=10), scalars.map(str)),
    max_size=3,
)


def settings_or_complaint(data: bytes, environ: dict[str, str]) -> None:
    """Load `data` as a file; what is accepted must also survive the way to an actor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.yaml")
        path.write_bytes(data)
        try:
            loaded = load_settings(path, environ)
        except ConfigError as error:
            assert str(error)
            str(error).encode()  # can be printed
        else:
            assert settings_from_json(settings_to_json(loaded)) == loaded


@settings(max_examples=300, deadline=None)
@given(documents, variables)
def test_documents(document: dict[str, Any], environ: dict[str, str]) -> None:
    document.setdefault("pools", {"default": {}})
    text = yaml.dump(document, allow_unicode=True)
    settings_or_complaint(text.encode("utf-8", "surrogatepass"), environ)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_bytes(data: bytes) -> None:
    settings_or_complaint(data, {})


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="[]{}:,-?&*!|>'\"#%@` \n\tabc019._~<=+\\ux", max_size=60))
def test_punctuation(text: str) -> None:
    settings_or_complaint(f"pools: {{a: {{}}}}\nhttp: {text}".encode(), {})


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_json(data: bytes) -> None:
    try:
        settings_from_json(data)
    except ConfigError as error:
        assert "settings as JSON" in str(error)
