"""The documents of one run, as its tool-using agents reach them.

Responsible for names that a model can say and for reading each document once in a run.  Invariant:
a name stands for exactly one input, and always for the same one.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import PurePath

import anyio

from hivekeep.domain.documents import Document
from hivekeep.domain.errors import DocumentError, ToolError
from hivekeep.domain.runs import InputFile
from hivekeep.journal import decode
from hivekeep.swarm.ports import Ports
from hivekeep.swarm.quarantine import Quarantine
from hivekeep.swarm.reading import read_document
from hivekeep.swarm.steps import RunLog

_KEPT = 64
"""Documents kept decoded; more are decoded again from the journal."""


class RunLibrary:
    """The library of a run; see ``hivekeep.tools.Library``."""

    def __init__(self, log: RunLog, ports: Ports, quarantine: Quarantine) -> None:
        self._log = log
        self._ports = ports
        self._quarantine = quarantine
        self._inputs = _named(log.record.request.inputs)
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._failed: dict[str, DocumentError] = {}
        self._locks: dict[str, anyio.Lock] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """A distinct name for each input, in their order."""
        return tuple(self._inputs)

    def input(self, name: str) -> InputFile:
        """The input of this name.

        :raises ToolError: if there is none.
        """
        if name not in self._inputs:
            raise ToolError(f"There is no document '{name[:80]}'.", why="list_files names them.")
        return self._inputs[name]

    def name_of(self, path: str) -> str:
        """The name of the input at ``path``."""
        return next(name for name, source in self._inputs.items() if source.path == path)

    async def read(self, name: str) -> Document:
        """The document's blocks, read now or before.

        :raises DocumentError: if it cannot be read.
        """
        source = self.input(name)
        async with self._locks.setdefault(name, anyio.Lock()):
            if name in self._failed:
                raise self._failed[name]
            if name not in self._documents:
                try:
                    self._documents[name] = await self._load(name, source)
                except DocumentError as error:
                    self._failed[name] = error
                    raise
            self._documents.move_to_end(name)
            document = self._documents[name]
            if len(self._documents) > _KEPT:
                self._documents.popitem(last=False)
            return document

    async def _load(self, name: str, source: InputFile) -> Document:
        for agent in self._log.record.documents():
            step = agent.steps.get("read")
            if agent.input.path == source.path and step and step.result:
                return decode(Document, json.loads(self._log.blob(step.result["document"])))
        key = f"read:{self.names.index(name) + 1}"
        return await read_document(self._log, self._ports, self._quarantine, source, key=key)


def _named(inputs: tuple[InputFile, ...]) -> dict[str, InputFile]:
    named: dict[str, InputFile] = {}
    for source in inputs:
        plain = PurePath(source.path).name
        name, number = plain, 1
        while name in named:
            number += 1
            name = f"{plain} ({number})"
        named[name] = source
    return named
