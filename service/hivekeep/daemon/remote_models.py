"""Remote models as verbs and routes of the local API.

Responsible for adding, listing, testing and removing them, and for asking policy before each of
their connections.  Invariant: a server's key goes from the request into the key store and is never
shown again.
"""

from __future__ import annotations

import secrets
from typing import Any

import anyio
from pydantic import Field

from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.routing import Body, Routes
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import UsageError
from hivekeep.domain.inference import GenerateRequest, Message, Role
from hivekeep.engine.protocol import Engine
from hivekeep.engine.remote import RemoteModel, RemoteModels
from hivekeep.engine.remote.models import remote_model
from hivekeep.engine.store import ModelStore
from hivekeep.secrets import KeyStore

_PROBE: dict[str, Any] = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


class RemoteBody(Body):
    """A remote model; ``key`` empty leaves the key that is kept."""

    name: str
    url: str
    model: str
    guided: str = "json_schema"
    ca_file: str = ""
    host_limit: int = 64
    key: str = Field(default="", repr=False)


class RemoteDesk:
    """The verbs. ``engine`` is set once it is open."""

    def __init__(
        self, models: RemoteModels, store: ModelStore, keys: KeyStore, gate: PolicyGate
    ) -> None:
        self.models = models
        self._store = store
        self._keys = keys
        self._gate = gate

    async def permit(self, remote: RemoteModel, request: GenerateRequest) -> None:
        """Before every connection.

        :raises PolicyDeniedError: if policy does not allow the host.
        """
        await self._gate.require(
            Action(ActionKind.CONNECT, host=remote.host), run=request.run, agent=request.agent
        )

    def key(self, remote: RemoteModel) -> str | None:
        """The key of the model's server, if it has one."""
        kept = self._keys.get(remote.key_name)
        return kept.decode() if kept else None

    def view(self, remote: RemoteModel) -> dict[str, Any]:
        """A model as clients see it."""
        connect = Action(ActionKind.CONNECT, host=remote.host)
        decision = self._gate.policy.current().decide(connect)
        return {
            **remote.model_dump(mode="json"),
            "key": self._keys.get(remote.key_name) is not None,
            "allowed": decision.allowed,
            "rule": decision.rule,
        }

    def add(self, body: RemoteBody) -> dict[str, Any]:
        """Add or replace a model.

        :raises UsageError: if it is described wrongly, or a local model has its name.
        """
        remote = remote_model(**body.model_dump(exclude={"key"}))
        if any(status.entry.name == remote.name for status in self._store.list()):
            raise UsageError(
                f"'{remote.name}' is the name of a local model.",
                next_step="Give the remote model another name.",
            )
        if body.key:
            self._keys.put(remote.key_name, body.key.encode())
        self.models.add(remote)
        return self.view(remote)

    def remove(self, name: str) -> dict[str, Any]:
        """Forget a model and its key."""
        remote = self.models.remove(name)
        self._keys.delete(remote.key_name)
        return {"name": remote.name}

    async def test(self, name: str, engine: Engine) -> dict[str, Any]:
        """Ask the model one small question with a schema.

        :raises HivekeepError: if policy forbids it or the server does not answer as it should.
        """
        self.models.get(name)
        question = "Which colour has grass? Answer with JSON."
        finish = await engine.complete(
            GenerateRequest(
                id=f"test-{secrets.token_hex(4)}", run="", agent="", model=name,
                messages=(Message(Role.USER, question),), schema=_PROBE, max_tokens=64,
            )
        )  # fmt: skip
        return {
            "name": name,
            "answer": finish.text,
            "seconds": finish.seconds,
            "prompt_tokens": finish.usage.prompt,
            "completion_tokens": finish.usage.completion,
            "logprobs": bool(finish.logprobs),
        }


def add_remote_routes(routes: Routes, desk: RemoteDesk, engine: Engine) -> None:
    """The routes below ``/v1/remotes``."""

    @routes.get("/v1/remotes")
    async def list_remotes() -> dict[str, Any]:
        return {"remotes": [desk.view(remote) for remote in desk.models.list()]}

    @routes.post("/v1/remotes", status=201)
    async def add_remote(body: RemoteBody) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(desk.add, body)

    @routes.delete("/v1/remotes/{name}")
    async def remove_remote(name: str) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(desk.remove, name)

    @routes.post("/v1/remotes/{name}/test")
    async def test_remote(name: str) -> dict[str, Any]:
        return await desk.test(name, engine)
