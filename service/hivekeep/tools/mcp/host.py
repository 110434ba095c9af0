"""The process that speaks with one MCP server, so that no byte of it is parsed in the daemon.

Run as ``python -m hivekeep.tools.mcp.host PARENT FROM_SERVER TO_SERVER [REQUIRED…]``: two
descriptors are the server's pipes, orders come as lines of JSON on standard input and are answered,
one line each, on standard output.  Responsible for the protocol, for checking arguments and replies
against the server's schemas, and for bounds on what is passed on.  Invariant: it is confined before
the server's first byte, and every line that it writes is at most ``MOST_ANSWER`` bytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

MOST_LINE = 4 * 1024 * 1024
"""Bytes of one message of a server; a longer one ends the conversation."""
MOST_MESSAGES = 10_000
"""Messages of a server that nobody asked for, until it answers."""
MOST_ANSWER = 1024 * 1024
_MOST_TEXT = 100_000
_MOST_PAGES = 10
_MEMORY = 1024**3


async def _main() -> None:
    from hivekeep.sandbox import Confinement, confine, limits, paths

    parent, source, sink = (int(text) for text in sys.argv[1:4])
    limits.die_with_parent(parent)
    # Imported before the process is confined and before a byte of the server's is read.
    import jsonschema
    from mcp_types import Implementation

    from mcp import ClientSession

    keep = Confinement(read=paths.worker(), threads=True, memory=_MEMORY, cpu_seconds=1 << 30)
    confine(keep, required=tuple(sys.argv[4:]))
    limits.forbid_side_effects()
    orders = await _reader(0)
    channel = _Channel(await _reader(source), sink)
    async with channel:
        client = Implementation(name="hivekeep", version="1")
        session = ClientSession(
            channel.incoming, channel.outgoing, client_info=client, message_handler=channel.ignore
        )
        async with session:
            talk = _Talk(session, jsonschema, channel)
            while line := await orders.readline():
                order = json.loads(line)
                _answer({"id": order["id"], **await talk.obey(order)})


class _Talk:
    """What can be ordered."""

    def __init__(self, session: Any, jsonschema: Any, channel: _Channel) -> None:
        self._session, self._jsonschema, self._channel = session, jsonschema, channel
        self._begun = False

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """The answer to one order; a failure is an answer too."""
        self._channel.unasked = 0
        work = asyncio.ensure_future(self._do(order))
        ended = asyncio.ensure_future(self._channel.ended.wait())
        try:
            await asyncio.wait({work, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return {"failed": self._channel.why or "the server ended"}
            return work.result()
        except Exception as error:  # noqa: BLE001 - whatever a server causes is an answer
            return {"failed": f"{type(error).__name__}: {error}"[:500]}
        finally:
            work.cancel()
            ended.cancel()

    async def _do(self, order: dict[str, Any]) -> dict[str, Any]:
        if not self._begun:
            await self._session.initialize()
            self._begun = True
        if order["do"] == "list":
            return {"tools": await self._tools()}
        try:
            self._jsonschema.validate(order["arguments"], order["schema"])
        except self._jsonschema.ValidationError as error:
            return {"refused": f"{error.json_path}: {error.message}"[:500]}
        except Exception as error:  # noqa: BLE001 - a schema that cannot be used, in many ways
            return {"refused": f"its schema cannot be used: {type(error).__name__}"}
        result = await self._session.call_tool(order["tool"], order["arguments"])
        return {"text": _text(result), "error": bool(result.is_error)}

    async def _tools(self) -> list[dict[str, Any]]:
        from mcp_types import PaginatedRequestParams

        found: list[dict[str, Any]] = []
        cursor = None
        for _ in range(_MOST_PAGES):
            params = PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await self._session.list_tools(params=params)
            found += [
                {
                    "name": tool.name,
                    "description": (tool.description or "")[:4_000],
                    "arguments": tool.input_schema,
                }
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if not cursor:
                break
        return found


class _Channel:
    """The server's pipes as the session's streams: lines of JSON, each of bounded length."""

    def __init__(self, source: asyncio.StreamReader, sink: int) -> None:
        import anyio

        self._source, self._sink = source, sink
        self._to_session, self.incoming = anyio.create_memory_object_stream[Any](16)
        self.outgoing, self._from_session = anyio.create_memory_object_stream[Any](16)
        self._tasks: list[asyncio.Task[None]] = []
        self.ended = asyncio.Event()
        self.why = ""
        self.unasked = 0

    async def __aenter__(self) -> _Channel:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._speak())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()

    async def ignore(self, message: Any) -> None:
        """What a server says unasked is counted and dropped."""

    async def _listen(self) -> None:
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        try:
            while line := await self._source.readline():
                self.unasked += 1
                if self.unasked > MOST_MESSAGES:
                    self.why = f"it sent more than {MOST_MESSAGES} messages before it answered"
                    break
                try:
                    message = jsonrpc_message_adapter.validate_json(line)
                except ValueError:
                    continue  # servers print greetings on their standard output
                await self._to_session.send(SessionMessage(message))
        except ValueError:
            self.why = f"it sent a message of more than {MOST_LINE} bytes"
        except OSError as error:
            self.why = str(error.strerror)
        self.why = self.why or "it ended"
        self.ended.set()

    async def _speak(self) -> None:
        async for message in self._from_session:
            line = message.message.model_dump_json(by_alias=True, exclude_unset=True) + "\n"
            data = memoryview(line.encode())
            try:
                while data:
                    # Whoever waits for a server that does not listen is ended by the daemon.
                    data = data[os.write(self._sink, data) :]
            except OSError:
                self.why = "it does not listen any more"
                self.ended.set()
                return


def _text(result: Any) -> str:
    """The words of a reply; what is no text is only named."""
    parts = []
    for part in result.content:
        if part.type == "text":
            parts.append(part.text)
        else:
            parts.append(f"[{part.type}, not shown]")
    if not parts and result.structured_content is not None:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False))
    return "\n".join(parts)[:_MOST_TEXT]


def _answer(answer: dict[str, Any]) -> None:
    line = json.dumps(answer).encode() + b"\n"
    if len(line) > MOST_ANSWER:
        line = json.dumps({"id": answer["id"], "failed": "it said too much"}).encode() + b"\n"
    data = memoryview(line)
    while data:
        data = data[os.write(1, data) :]


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=MOST_LINE)
    make: Callable[[], asyncio.StreamReaderProtocol] = lambda: asyncio.StreamReaderProtocol(reader)  # noqa: E731
    connected: Awaitable[Any] = asyncio.get_running_loop().connect_read_pipe(
        make,
        os.fdopen(descriptor, "rb", 0),
    )
    await connected
    return reader


if __name__ == "__main__":
    asyncio.run(_main())
