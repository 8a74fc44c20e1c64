"""One operation of the API: its route, and its part of the OpenAPI document.

Both come from one declaration. The schemas are those that msgspec decodes with, so the document
cannot say anything else than the checks do.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from msgspec import Struct

from task_queue.wire import Problem

_REF = "#/components/schemas/{name}"
_PATH_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")

Handler = Callable[[Request], Awaitable[Response]]


class Operation(Struct, frozen=True, kw_only=True):
    """What is done at one method and path."""

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    query: type[Struct] | None = None  #: shape of the query parameters
    body: type[Struct] | None = None  #: shape of the body
    body_example: Any = None
    answer: Any = (
        None  #: shape of a good answer, a struct or a list of one; None: not JSON, or empty
    )
    answer_example: Any = None
    media_type: str = "application/json"  #: of a good answer
    status: int = HTTPStatus.OK
    also: dict[int, str] = {}  #: further good statuses, with what they mean
    problems: tuple[int, ...] = ()


def add_operations(app: FastAPI, operations: Iterable[Operation]) -> None:
    """Put operations on the application."""
    for operation in operations:
        app.add_api_route(
            operation.path,
            operation.handler,
            methods=[operation.method],
            status_code=operation.status,
            response_class=Response,
            summary=operation.summary,
            tags=[operation.tag],
            operation_id=getattr(operation.handler, "__name__", operation.summary),
            openapi_extra=_document(operation),
        )


def components(shapes: Sequence[Any]) -> dict[str, Any]:
    """The schemas of all shapes, for the document's components."""
    return msgspec.json.schema_components(shapes, ref_template=_REF)[1]


def shapes_of(operations: Iterable[Operation]) -> list[Any]:
    """Every shape that the operations name in bodies and answers."""
    named = [shape for o in operations for shape in (o.body, o.answer) if shape is not None]
    return [*dict.fromkeys(named), Problem]


def _document(operation: Operation) -> dict[str, Any]:
    """What FastAPI cannot know from the handler's signature."""
    document: dict[str, Any] = {"responses": _responses(operation)}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(operation.path)
    ]
    if operation.query is not None:
        parameters += _query_parameters(operation.query)
    if parameters:
        document["parameters"] = parameters
    if operation.body is not None:
        content = _content(operation.body, operation.body_example)
        document["requestBody"] = {"required": True, "content": {"application/json": content}}
    return document


def _responses(operation: Operation) -> dict[str, Any]:
    if operation.answer is not None:
        content = {"application/json": _content(operation.answer, operation.answer_example)}
    elif operation.status == HTTPStatus.NO_CONTENT:
        content = {}
    else:
        text = {"schema": {"type": "string"}, "example": operation.answer_example}
        content = {operation.media_type: text}
    phrase = HTTPStatus(operation.status).phrase
    responses: dict[str, Any] = {}
    for status, meaning in {operation.status: phrase, **operation.also}.items():
        responses[str(int(status))] = {"description": meaning}
        if content:
            responses[str(int(status))]["content"] = content
    for code in operation.problems:
        responses[str(int(code))] = _problem(code)
    return responses


def _problem(status: int) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    example = Problem(phrase, int(status), "which field or thing is wrong, and what to do")
    content = {"application/problem+json": _content(Problem, example)}
    return {"description": phrase, "content": content}


def _content(shape: Any, example: Any) -> dict[str, Any]:
    schema, _ = msgspec.json.schema_components([shape], ref_template=_REF)
    content: dict[str, Any] = {"schema": schema[0]}
    if example is not None:
        content["example"] = msgspec.json.decode(msgspec.json.encode(example))
    return content


def _query_parameters(shape: type[Struct]) -> list[dict[str, Any]]:
    (reference,), schemas = msgspec.json.schema_components([shape], ref_template="{name}")
    schema = schemas[reference["$ref"]]
    required = schema.get("required", [])
    parameters = []
    for name, about in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in required, "schema": about}
        if about.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        parameters.append(parameter)
    return parameters
