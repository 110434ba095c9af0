"""Routes whose inputs are declared by a function's signature, on Starlette.

Responsible for reading path, query and body by pydantic and for writing answers as JSON; it knows
no route, and their description is made by ``describing``.  Invariant: a route's function is called
only with inputs that fit its annotations.

A parameter named in the path comes from there, one annotated with a ``Body`` from the body, any
other from the query.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from hivekeep.domain.errors import UsageError
from hivekeep.domain.saying import say

Function = TypeVar("Function", bound=Callable[..., Awaitable[Any]])
Place = Literal["path", "query"]
JSON = "application/json"


class Body(BaseModel):
    """What a request carries; an unknown key is an error."""

    # Most bodies are not sent in most lives of the daemon, so their validators are built when used.
    model_config = ConfigDict(extra="forbid", defer_build=True)


@dataclass(frozen=True)
class Parameter:
    """One input of a route by its name; ``default`` is ``inspect.Parameter.empty`` if required."""

    name: str
    place: Place
    annotation: Any
    default: Any

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """What checks it."""
        return TypeAdapter(self.annotation)

    @property
    def required(self) -> bool:
        """Whether a request must have it."""
        return self.default is inspect.Parameter.empty

    def read(self, request: Request) -> Any:
        """Its value in ``request``.

        :raises UsageError: if it does not fit.
        """
        given = request.path_params if self.place == "path" else request.query_params
        if self.name not in given and not self.required:
            return self.default
        try:
            return self.adapter.validate_python(given.get(self.name))
        except ValidationError as error:
            raise _malformed(self.place, error, self.name) from error


@dataclass(frozen=True)
class Operation:
    """One route: what is called, by which method and path, with what, and what it answers."""

    method: str
    path: str
    function: Callable[..., Awaitable[Any]]
    status: int
    media_type: str
    parameters: tuple[Parameter, ...]
    body: tuple[str, type[Body]] | None

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        inputs = {parameter.name: parameter.read(request) for parameter in self.parameters}
        if self.body is not None:
            name, model = self.body
            inputs[name] = await _read_body(model, request)
        answer = await self.function(**inputs)
        return answer if isinstance(answer, Response) else json_response(answer, self.status)


@dataclass(frozen=True)
class Routes:
    """The routes of one API, in the order in which they are tried."""

    operations: list[Operation] = field(default_factory=list)

    def get(self, path: str, *, media_type: str = JSON) -> Callable[[Function], Function]:
        """Declare the function for ``GET path``."""
        return self._add("GET", path, media_type=media_type)

    def post(self, path: str, *, status: int = 200) -> Callable[[Function], Function]:
        """Declare the function for ``POST path``."""
        return self._add("POST", path, status=status)

    def put(self, path: str) -> Callable[[Function], Function]:
        """Declare the function for ``PUT path``."""
        return self._add("PUT", path)

    def delete(self, path: str) -> Callable[[Function], Function]:
        """Declare the function for ``DELETE path``."""
        return self._add("DELETE", path)

    def _add(
        self, method: str, path: str, *, status: int = 200, media_type: str = JSON
    ) -> Callable[[Function], Function]:
        def declare(function: Function) -> Function:
            parameters, body = _inputs(function, path)
            self.operations.append(
                Operation(method, path, function, status, media_type, parameters, body)
            )
            return function

        return declare


def application(
    routes: Routes,
    guards: list[Middleware],
    errors: Mapping[Any, Callable[[Request, Exception], Coroutine[Any, Any, Response]]],
) -> Starlette:
    """What serves ``routes``, behind ``guards``; ``errors`` make answers of exceptions."""
    served = [
        Route(operation.path, _endpoint(operation), methods=[operation.method])
        for operation in routes.operations
    ]
    application = Starlette(routes=served, middleware=guards, exception_handlers=errors)
    # An address with a slash too many is a wrong address, which is said as for any other.
    application.router.redirect_slashes = False
    return application


def json_response(content: Any, status: int = 200) -> Response:
    """``content``, which may hold dates, paths and the like, as JSON.

    Everything beyond ASCII is escaped, because file names need not be valid text.
    """
    plain = to_jsonable_python(content, inf_nan_mode="null")
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    return Response(text, status, media_type=JSON)


def _endpoint(operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await operation(request)

    return endpoint


def _inputs(
    function: Callable[..., Awaitable[Any]], path: str
) -> tuple[tuple[Parameter, ...], tuple[str, type[Body]] | None]:
    hints = get_type_hints(function, include_extras=True)
    parameters: list[Parameter] = []
    body: tuple[str, type[Body]] | None = None
    for name, declared in inspect.signature(function).parameters.items():
        kind = hints[name]
        if isinstance(kind, type) and issubclass(kind, Body):
            body = name, kind
        else:
            place: Place = "path" if f"{{{name}}}" in path else "query"
            parameters.append(Parameter(name, place, kind, declared.default))
    return tuple(parameters), body


async def _read_body(model: type[Body], request: Request) -> Body:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise _malformed("body", error) from error
    except ClientDisconnect as error:
        raise UsageError(
            say("error.cut_off", "The request is too long, or was cut off.")
        ) from error


def _malformed(place: str, error: ValidationError, *names: str) -> UsageError:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in (place, *names, *first["loc"]))
    return UsageError(
        say("error.malformed", "The request is malformed."), why=f"{where}: {first['msg']}."
    )
