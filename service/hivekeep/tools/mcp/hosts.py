"""The running MCP servers of a daemon, each in the sandbox with a process that speaks with it.

Responsible for starting them when they are needed, for time and memory that only somebody outside
can bound, and for ending them when nobody has asked for a while.  Invariant: a server that hangs,
dies, floods or describes itself anew costs its call and nothing else, and no process is left.

Linux only, like the room for code: elsewhere nothing is started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from hivekeep.domain.errors import NotFoundError, ToolError
from hivekeep.sandbox import paths, system
from hivekeep.sandbox.code import memory_below, size_below
from hivekeep.tools.mcp.servers import Server, ToolPin, pins_of

IDLE_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_START_SECONDS = 60.0
_MOST_ANSWER = 1024 * 1024
_MEMORY = 1024**3
_DISK = 1024**3
_FILE = 64 * 1024**2
_PACKAGES = str(Path(__file__).resolve().parents[3])
# Names are looked up and certificates checked with these, if a server may use the network.
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/pki",
                  "/etc/ca-certificates")  # fmt: skip

Permit = Callable[[Server], Awaitable[None]]
"""Asks policy whether a server may start; raises if not."""


class McpHosts:
    """The servers' processes; ``serve`` bounds them and ends those that are idle.

    :param find: the server of a name, as it is kept.
    :param work: the folder below which each server has one of its own to write to.
    :param required: names the protections without which policy lets nothing run.
    """

    def __init__(
        self,
        find: Callable[[str], Server],
        permit: Permit,
        work: Path,
        required: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._find, self._permit, self._work, self._required = find, permit, work, required
        self._hosts: dict[str, _Host] = {}
        self._locks: dict[str, anyio.Lock] = {}
        self._wake = anyio.Event()

    async def serve(self) -> None:
        """Look after the servers until cancelled; then none is left. Sleeps while there is none."""
        try:
            while True:
                if not self._hosts:
                    self._wake = anyio.Event()
                    await self._wake.wait()
                await anyio.sleep(_LOOK_SECONDS)
                for name, host in list(self._hosts.items()):
                    memory = await anyio.to_thread.run_sync(memory_below, host.server.pid)
                    if memory > _MEMORY:
                        host.stop("it used too much memory")
                    size = await anyio.to_thread.run_sync(size_below, self._work / name)
                    if size > _DISK:
                        host.stop("it wrote too much into its own folder")
                    if host.why or (not host.busy and host.idle > IDLE_SECONDS):
                        await self._end(name, host)
        finally:
            with anyio.CancelScope(shield=True):
                for name, host in list(self._hosts.items()):
                    await self._end(name, host)

    async def call(self, server: str, tool: str, arguments: dict[str, Any]) -> str:
        """The text of a tool's reply.

        :raises ToolError: if the server does not start or answer, answers with an error, or
            describes the tool otherwise than when a person agreed to it.
        :raises PolicyDeniedError: if policy does not let it start.
        """
        known = self._find(server)
        pin = known.tool(tool)
        if pin is None:
            raise ToolError(f"The server '{server}' has no tool '{tool[:80]}'.")
        async with self._lock(server):
            host = await self._running(known)
            order = {"do": "call", "tool": tool, "arguments": arguments, "schema": pin.arguments}
            answer = await self._ask(host, order)
        if "refused" in answer:
            raise ToolError(f"'{server}/{tool}' cannot be called so.", why=f"{answer['refused']}.")
        if answer.get("error"):
            raise ToolError(f"'{server}/{tool}' reports a failure.", why=answer["text"][:2_000])
        return str(answer["text"])

    async def listing(self, server: Server) -> tuple[ToolPin, ...]:
        """What a server says its tools are, asked of a process that ends afterwards.

        :raises ToolError: if it does not start or answer.
        :raises PolicyDeniedError: if policy does not let it start.
        """
        await self._permit(server)
        host = await self._start(server)
        try:
            return pins_of((await self._ask(host, {"do": "list"}))["tools"])
        finally:
            with anyio.CancelScope(shield=True):
                await host.close()

    async def forget(self, server: str) -> None:
        """End a server's processes, because it is described anew or not at all any more."""
        async with self._lock(server):
            if host := self._hosts.get(server):
                await self._end(server, host)

    def _lock(self, server: str) -> anyio.Lock:
        return self._locks.setdefault(server, anyio.Lock())

    async def _running(self, server: Server) -> _Host:
        host = self._hosts.get(server.name)
        if host is not None and not host.why and host.described == server:
            return host
        if host is not None:
            await self._end(server.name, host)
        await self._permit(server)
        host = await self._start(server)
        self._hosts[server.name] = host
        self._wake.set()
        try:
            found = {
                pin.name: pin for pin in pins_of((await self._ask(host, {"do": "list"}))["tools"])
            }
            changed = [pin.name for pin in server.tools if found.get(pin.name) != pin]
            if changed:
                raise ToolError(
                    f"The server '{server.name}' describes {', '.join(changed[:5])} otherwise than "
                    "when it was added, so it is not used.",
                    next_step=f"'hivekeep mcp test {server.name} --accept' shows and takes it.",
                )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._end(server.name, host)
            raise
        return host

    async def _start(self, server: Server) -> _Host:
        if not system.LINUX:
            raise ToolError("MCP servers can be started on Linux only.", why="There is no room "
                            "for them on this system yet.")  # fmt: skip
        if find_spec("mcp") is None:
            raise NotFoundError(
                "The MCP client is not installed.",
                next_step="Install Hivekeep with its extra: pip install 'hivekeep[mcp]'.",
            )
        work = self._work / server.name
        await anyio.to_thread.run_sync(lambda: work.mkdir(mode=0o700, parents=True, exist_ok=True))
        return await start_host(server, await anyio.to_thread.run_sync(work.resolve),
                                self._required())  # fmt: skip

    async def _ask(self, host: _Host, order: dict[str, Any]) -> dict[str, Any]:
        """The answer to an order; a host that gives none is ended.

        :raises ToolError: if there is none.
        """
        name, limit = host.described.name, max(host.described.seconds, 1.0)
        begins = not host.asked
        answer: dict[str, Any] = {"failed": "it did not answer in time"}
        with anyio.move_on_after(limit + (_START_SECONDS if begins else 0.0)):
            answer = await host.ask(order)
        if "failed" in answer or host.why:
            why = host.why or str(answer.get("failed"))
            told = host.said()
            host.stop(why)
            if self._hosts.get(name) is host:
                with anyio.CancelScope(shield=True):
                    await self._end(name, host)
            raise ToolError(f"The MCP server '{name}' failed.", why=f"{why}.{told}")
        return answer

    async def _end(self, name: str, host: _Host) -> None:
        if self._hosts.get(name) is host:
            del self._hosts[name]
        await host.close()


@dataclass(slots=True)
class _Host:
    """A server in its room, and the process that speaks with it."""

    described: Server
    server: Process
    speaker: Process
    errors: IO[bytes]
    asked: int = 0
    busy: bool = False
    why: str = ""
    _since: float = field(default_factory=anyio.current_time)
    _answers: BufferedByteReceiveStream | None = None

    @property
    def idle(self) -> float:
        """Seconds since the last answer."""
        return anyio.current_time() - self._since

    async def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """The answer to one order; a broken conversation is an answer with ``failed``."""
        assert self.speaker.stdin is not None
        assert self.speaker.stdout is not None
        self.asked += 1
        self.busy = True
        if self._answers is None:
            self._answers = BufferedByteReceiveStream(self.speaker.stdout)
        try:
            await self.speaker.stdin.send(json.dumps({"id": self.asked, **order}).encode() + b"\n")
            line = await self._answers.receive_until(b"\n", _MOST_ANSWER)
            answer: dict[str, Any] = json.loads(line)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream,
                anyio.IncompleteRead, anyio.DelimiterNotFound, ValueError):  # fmt: skip
            return {"failed": "the process that speaks with it ended"}
        finally:
            self.busy = False
            self._since = anyio.current_time()
        return answer if answer.get("id") == self.asked else {"failed": "the answers are confused"}

    def said(self) -> str:
        """The end of what the server wrote on its standard error, as words for a person."""
        with suppress(OSError, ValueError):
            size = self.errors.seek(0, os.SEEK_END)
            self.errors.seek(max(size - 600, 0))
            text = self.errors.read(600).decode("utf-8", "replace")
            kept = " ".join("".join(c if c.isprintable() else " " for c in text).split())
            return f" It said: {kept[-400:]}" if kept else ""
        return ""

    def stop(self, why: str) -> None:
        """Kill both processes and all that the server started."""
        self.why = self.why or why
        for process in (self.server, self.speaker):
            with suppress(ProcessLookupError, PermissionError):
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill, and wait until nothing is left."""
        self.stop("it was ended")
        for process in (self.server, self.speaker):
            await process.wait()
            await process.aclose()
        self.errors.close()


async def start_host(server: Server, work: Path, required: Sequence[str]) -> _Host:
    """Start ``server`` in its room and the process that speaks with it.

    :raises ToolError: if it cannot be confined as required, or its program cannot be started.
    """
    ends = [*os.pipe(), *os.pipe(), *os.pipe(), *os.pipe()]
    hears, tells, listens, says, status, told, order, sent = ends
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the host
    kept = {status, sent}
    try:
        process = await anyio.open_process(
            [sys.executable, "-P", "-m", "hivekeep.sandbox.launch", str(os.getpid()), str(told),
             str(order)],
            stdin=hears, stdout=says, stderr=errors, pass_fds=(told, order),
            start_new_session=True, cwd="/", env={"PYTHONPATH": _PACKAGES, "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        speaker = await anyio.open_process(
            [sys.executable, "-P", "-m", "hivekeep.tools.mcp.host", str(os.getpid()), str(listens),
             str(tells), *required],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            pass_fds=(listens, tells), start_new_session=True, cwd="/",
            env={**os.environ, "PYTHONPATH": _PACKAGES},
        )  # fmt: skip
    except OSError as error:
        errors.close()
        for end in kept:
            os.close(end)
        raise ToolError("An MCP server could not be started.", why=f"{error}.") from error
    finally:
        for end in set(ends) - kept:
            os.close(end)
    host = _Host(server, process, speaker, errors)
    try:
        said = await anyio.to_thread.run_sync(_order, sent, status, _room(server, work, required))
    except BaseException:
        with anyio.CancelScope(shield=True):
            await host.close()
        raise
    if "held" not in said:
        why = said.get("error") or "it ended without a word"
        with anyio.CancelScope(shield=True):
            await host.close()
        raise ToolError(f"The MCP server '{server.name}' could not be started.", why=f"{why}.")
    return host


def _order(sent: int, status: int, room: dict[str, Any]) -> dict[str, Any]:
    """Send the launcher its order and take its first word."""
    try:
        with os.fdopen(sent, "wb") as file:
            file.write(json.dumps(room).encode())
    except BrokenPipeError:
        pass  # it ended before it read; what it said tells why
    finally:
        with os.fdopen(status, "rb", 0) as file:
            said = file.read(65_536)
    found: dict[str, Any] = json.loads(said) if said else {}
    return found


def _room(server: Server, work: Path, required: Sequence[str]) -> dict[str, Any]:
    shown = [server.command[0], os.path.realpath(server.command[0]), *server.read]
    if server.network:
        shown += [*_NETWORK_FILES, *(os.path.realpath(path) for path in _NETWORK_FILES)]
    return {
        "command": list(server.command),
        "read": [*paths.interpreter(), *shown],
        "packages": [],
        "work": str(work),
        "scratch": _FILE,
        "environment": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **server.environment},
        # Address space: some runtimes reserve far more than they use, which is bounded outside.
        "memory": 1 << 40,
        "cpu_seconds": 1 << 30,
        "file_size": _FILE,
        "processes": 128,
        "network": server.network,
        "required": sorted(set(required)),
    }
