"""The description of the API that programs read: every answer, errors included, with its type."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import MEDIA_TYPE, FieldProblem, Problem

_REFERENCE = {"schema": {"$ref": "#/components/schemas/Problem"}}
_OF_EVERYONE = {
    "401": "Nobody is signed in, or what was shown opens nothing any more",
    "403": "This is for others",
    "422": "Some values are not what they must be",
    "429": "Too many requests from one place",
    "500": "Something is wrong on our side",
    "503": "The database cannot be reached; try again after `Retry-After`",
}
_OF_ONE = {"404": "There is no such thing for the caller"}
_OF_A_CHANGE = {"409": "It is not in a state that allows this", "413": "The body is too large"}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
        )
        schemas = document["components"]["schemas"]
        for model in (FieldProblem, Problem):
            schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas[model.__name__].pop("$defs", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if path.startswith("/api/"):
                    _add_problems(path, method, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _add_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    found = dict(_OF_EVERYONE)
    if "{" in path or path.endswith("/readings") or (method == "post" and path.endswith(("/tickets", "/reports"))):
        found |= _OF_ONE
    if method in {"post", "put", "patch"}:
        found |= _OF_A_CHANGE
    if "security" not in operation and not path.endswith(("/token", "/session")):
        del found["401"], found["403"]
    for status, meaning in sorted(found.items()):
        operation["responses"][status] = {"description": meaning, "content": {MEDIA_TYPE: _REFERENCE}}
