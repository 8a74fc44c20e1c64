"""Do the arguments fit the task's signature? Asked before a worker has to find out.

The arguments stay the bytes they came as: the first byte of a JSON value tells its type.
"""

from collections.abc import Sequence

from msgspec import Raw

from serve_app.complaint import Complaint
from serve_app.nearest import hint
from task_queue.tasks import Parameter, TaskType

_TYPES = {"{": "object", "[": "array", '"': "string", "t": "boolean", "f": "boolean", "n": "null"}
_MARKS_OF_FRACTION = frozenset(b".eE")


def argument_complaints(
    task_type: TaskType, args: Sequence[Raw], kwargs: dict[str, Raw]
) -> list[Complaint]:
    """What is wrong with a call of the task; empty if nothing is."""
    positional = [p for p in task_type.parameters if p.kind in ("positional_only", "positional")]
    kinds = {p.kind for p in task_type.parameters}
    complaints: list[Complaint] = []
    if len(args) > len(positional) and "var_positional" not in kinds:
        most = len(positional)
        complaints.append(
            Complaint("args", f"{len(args)} given, but {_shown(task_type)} takes at most {most}")
        )
    given = {p.name for p in positional[: len(args)]}
    for place, (parameter, value) in enumerate(zip(positional, args, strict=False)):
        complaints += _type_complaints(f"args[{place}]", parameter, value)
    complaints += _keyword_complaints(task_type, given, kwargs)
    complaints += _missing(task_type, given, kwargs)
    return complaints


def _keyword_complaints(
    task_type: TaskType, given: set[str], kwargs: dict[str, Raw]
) -> list[Complaint]:
    named = {p.name: p for p in task_type.parameters if p.kind in ("positional", "keyword")}
    takes_any = any(p.kind == "var_keyword" for p in task_type.parameters)
    complaints: list[Complaint] = []
    for name, value in kwargs.items():
        field = f"kwargs.{name[:100]}"
        if name in given and name in named:
            complaints.append(Complaint(field, "is given in args too: leave one of them out"))
        elif name in named:
            complaints += _type_complaints(field, named[name], value)
        elif not takes_any:
            text = f"{_shown(task_type)} has no such argument; {hint(name, named, 'arguments')}"
            complaints.append(Complaint(field, text))
    return complaints


def _missing(task_type: TaskType, given: set[str], kwargs: dict[str, Raw]) -> list[Complaint]:
    names = []
    for parameter in task_type.parameters:
        by_name = parameter.kind != "positional_only" and parameter.name in kwargs
        if parameter.required and parameter.name not in given and not by_name:
            names.append(parameter.name)
    if not names:
        return []
    return [Complaint("args", f"{_shown(task_type)} also needs {', '.join(names)}")]


def _type_complaints(field: str, parameter: Parameter, value: Raw) -> list[Complaint]:
    if not parameter.types:
        return []
    found = json_type(value)
    if found in parameter.types:
        return []
    wanted = " or ".join(parameter.types)
    text = f"parameter '{parameter.name}' takes a JSON {wanted}, and this is a JSON {found}"
    return [Complaint(field, text)]


def json_type(value: Raw) -> str:
    """The JSON type of a value: object, array, string, boolean, null, integer or number."""
    text = bytes(value)
    word = _TYPES.get(chr(text[0]))
    if word is not None:
        return word
    return "integer" if _MARKS_OF_FRACTION.isdisjoint(text) else "number"


def _shown(task_type: TaskType) -> str:
    return task_type.signature or task_type.name
