"""Do the arguments fit the task's signature? Asked before a worker has to find out.

The arguments stay the bytes they came as: the first byte of a JSON value tells its type.
"""

from collections.abc import Sequence

from msgspec import Raw

from serve_app.complaint import Complaint
from serve_app.nearest import hint
from task_queue.tasks import Parameter, TaskType

_TYPES = {
    ord("{"): "object", ord("["): "array", ord('"'): "string",
    ord("t"): "boolean", ord("f"): "boolean", ord("n"): "null",
}  # fmt: skip
_MARKS_OF_FRACTION = frozenset(b".eE")
_MOST_SHAPES = 256

#: The JSON type of each argument by position. If there are others: how many come by position, the
#: types of those, the names of the others, their types.
_Shape = tuple[int | str, ...]
_NO_ARGUMENTS: _Shape = ()


class ArgumentChecks:
    """The checks of calls of one task.

    What they find depends on the shape of a call alone: how many arguments it has, their names and
    their JSON types. So a shape with no fault is remembered and not looked at again.
    """

    def __init__(self, task_type: TaskType) -> None:
        parameters = task_type.parameters
        self._parameters = parameters
        self._positional = [p for p in parameters if p.kind in ("positional_only", "positional")]
        self._named = {p.name: p for p in parameters if p.kind in ("positional", "keyword")}
        kinds = {p.kind for p in parameters}
        self._takes_more = "var_positional" in kinds
        self._takes_any_name = "var_keyword" in kinds
        self._call = task_type.signature or task_type.name
        self._good: set[_Shape] = set()

    @property
    def shapes_known(self) -> int:
        """How many shapes of calls are remembered."""
        return len(self._good)

    def complaints(self, args: Sequence[Raw], kwargs: dict[str, Raw]) -> list[Complaint]:
        """What is wrong with a call of the task; empty if nothing is."""
        shape = _shape(args, kwargs) if args or kwargs else _NO_ARGUMENTS
        if shape in self._good:
            return []
        complaints: list[Complaint] = []
        if len(args) > len(self._positional) and not self._takes_more:
            most = len(self._positional)
            complaints.append(
                Complaint("args", f"{len(args)} given, but {self._call} takes at most {most}")
            )
        given = {p.name for p in self._positional[: len(args)]}
        for place, (parameter, value) in enumerate(zip(self._positional, args, strict=False)):
            complaints += _type_complaints(f"args[{place}]", parameter, value)
        complaints += self._keyword_complaints(given, kwargs)
        complaints += self._missing(given, kwargs)
        if not complaints:
            self._remember(shape, args, kwargs)
        return complaints

    def _keyword_complaints(self, given: set[str], kwargs: dict[str, Raw]) -> list[Complaint]:
        complaints: list[Complaint] = []
        for name, value in kwargs.items():
            field = f"kwargs.{name[:100]}"
            if name in given and name in self._named:
                complaints.append(Complaint(field, "is given in args too: leave one of them out"))
            elif name in self._named:
                complaints += _type_complaints(field, self._named[name], value)
            elif not self._takes_any_name:
                cure = hint(name, self._named, "arguments")
                complaints.append(Complaint(field, f"{self._call} has no such argument; {cure}"))
        return complaints

    def _missing(self, given: set[str], kwargs: dict[str, Raw]) -> list[Complaint]:
        names = []
        for parameter in self._parameters:
            by_name = parameter.kind != "positional_only" and parameter.name in kwargs
            if parameter.required and parameter.name not in given and not by_name:
                names.append(parameter.name)
        if not names:
            return []
        return [Complaint("args", f"{self._call} also needs {', '.join(names)}")]

    def _remember(self, shape: _Shape, args: Sequence[Raw], kwargs: dict[str, Raw]) -> None:
        """Not what callers may make up without end: more values than parameters, free names."""
        spelt_out = len(args) <= len(self._positional) and kwargs.keys() <= self._named.keys()
        if spelt_out and len(self._good) < _MOST_SHAPES:
            self._good.add(shape)


def _shape(args: Sequence[Raw], kwargs: dict[str, Raw]) -> _Shape:
    if not kwargs:
        return tuple(map(json_type, args))
    types = map(json_type, kwargs.values())
    return (len(args), *map(json_type, args), *kwargs, *types)


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
    text = memoryview(value)  # no copy, however large the value is
    word = _TYPES.get(text[0])
    if word is not None:
        return word
    return "integer" if _MARKS_OF_FRACTION.isdisjoint(text) else "number"
