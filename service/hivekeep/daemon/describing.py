"""The local API's description of itself, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0).

Responsible for the document, which is made when it is asked for; what it says is read off the
routes, so that it cannot differ from them.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from hivekeep.daemon.routing import JSON, Body, Operation, Parameter, Routes

_REFERENCE = "#/components/schemas/{model}"
_ERROR = {
    "type": "object",
    "description": "What went wrong: what happened, why, and what to do next.",
    "required": ["error", "exit"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "what", "why", "next"],
            "properties": {name: {"type": "string"} for name in ("code", "what", "why", "next")},
        },
        "exit": {"type": "integer", "description": "The exit status of the command line for it."},
    },
}


def describe(routes: Routes, title: str, version: str) -> dict[str, Any]:
    """The document."""
    bodies = {operation.body[1] for operation in routes.operations if operation.body}
    ordered = sorted(bodies, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in ordered], ref_template=_REFERENCE
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in routes.operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": {**schemas.get("$defs", {}), "Error": _ERROR}},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    name = operation.function.__name__
    answer = {"type": "object"} if operation.media_type == JSON else {}
    described: dict[str, Any] = {
        "operationId": f"{name}_{operation.method.lower()}",
        "summary": name.replace("_", " ").capitalize(),
        "responses": {
            str(operation.status): {
                "description": "The answer.",
                "content": {operation.media_type: {"schema": answer} if answer else {}},
            },
            "default": {
                "description": "An error.",
                "content": {JSON: {"schema": {"$ref": _REFERENCE.format(model="Error")}}},
            },
        },
    }
    if operation.parameters:
        described["parameters"] = [_parameter(item) for item in operation.parameters]
    if operation.body is not None:
        described["requestBody"] = _body(operation.body[1])
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.adapter.json_schema(ref_template=_REFERENCE)
    if not parameter.required:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "schema": schema,
    }


def _body(model: type[Body]) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"required": True, "content": {JSON: {"schema": schema}}}
