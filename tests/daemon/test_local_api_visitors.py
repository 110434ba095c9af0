"""Who may talk to the local API: the same user's programs, and nobody else."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hivekeep.daemon.server import ApiServer, bind
from hivekeep.daemon.visitors import HOST, MOST_BODY, Visitors, objection
from hivekeep.domain.errors import DaemonError

NOBODY = 65534


@dataclass
class Api:
    """A served application that counts what reached it."""

    path: Path
    reached: list[str]

    def client(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.path))
        return httpx.Client(transport=transport, base_url=f"http://{HOST}", timeout=30)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The real server and its guard, in front of one route."""
    reached: list[str] = []

    async def thing(_request: Request) -> JSONResponse:
        reached.append("thing")
        return JSONResponse({"ok": True})

    route = Route("/v1/thing", thing, methods=["GET", "POST", "DELETE"])
    application = Starlette(routes=[route], middleware=[Middleware(Visitors)])
    # Short, because a socket's path may have 107 bytes only.
    folder = Path("/tmp") / f"hk-{os.getpid()}-{threading.get_native_id()}"
    listener = bind(folder / "api.sock")
    server = ApiServer(application)
    thread = threading.Thread(target=anyio.run, args=(server.run_on, listener))
    thread.start()
    served = Api(folder / "api.sock", reached)
    try:
        with served.client() as client:
            assert client.get("/v1/thing").json() == {"ok": True}
        reached.clear()
        yield served
    finally:
        server.should_exit = True
        server._stopping._loop.call_soon_threadsafe(server.stop)  # type: ignore[attr-defined]
        thread.join(30)
        shutil.rmtree(folder)


def test_the_socket_is_for_its_owner_only(api: Api) -> None:
    assert stat.S_IMODE(api.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(api.path.parent.stat().st_mode) == 0o700


AS_NOBODY = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(30)
try:
    peer.connect(sys.argv[1])
    peer.sendall(b"GET /v1/thing HTTP/1.1\\r\\nHost: hivekeep\\r\\n\\r\\n")
    print("answer", peer.recv(100))
except OSError as error:
    print("refused", type(error).__name__)
"""


def as_nobody(path: Path) -> str:
    """What another local user gets."""
    command = ["setpriv", f"--reuid={NOBODY}", "--clear-groups", "/usr/bin/env", "python3", "-c"]
    done = subprocess.run(
        [*command, AS_NOBODY, str(path)], capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"}, cwd="/",
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"cannot act as another user here: {done.stderr[-200:]}")
    return done.stdout.strip()


needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or shutil.which("setpriv") is None,
    reason="needs to become another user",
)


@needs_root
def test_another_user_cannot_even_reach_the_socket(api: Api) -> None:
    assert as_nobody(api.path) == "refused PermissionError"
    assert api.reached == []


@needs_root
def test_another_user_is_refused_by_name_where_the_files_are_open(api: Api) -> None:
    api.path.parent.chmod(0o777)
    api.path.chmod(0o777)
    said = as_nobody(api.path)
    assert said.startswith("refused") or said == "answer b''"
    assert api.reached == []


def test_a_stale_socket_is_replaced_and_a_live_folder_kept() -> None:
    folder = Path("/tmp") / f"hk-stale-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as stale:
            stale.bind("api.sock")
        with pytest.raises(ConnectionRefusedError):
            socket.socket(socket.AF_UNIX).connect(str(folder / "api.sock"))
        with bind(folder / "api.sock"):
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(folder / "api.sock"))
            peer.close()
    finally:
        shutil.rmtree(folder)


def test_a_planted_link_is_not_bound_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    folder = tmp_path / "f"
    folder.mkdir(mode=0o700)
    (folder / "s").symlink_to(victim)
    with contextlib.chdir(folder), bind(Path("s").absolute()):
        assert victim.read_text() == "kept"
        assert not (folder / "s").is_symlink()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(DaemonError, match="open to other users"):
        bind(folder / "s")


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(DaemonError, match="open to other users"):
        bind(tmp_path / "link" / "s")


WEB_PAGES = {
    "DNS rebinding": (421, "GET", {"Host": "attacker.example"}),
    "DNS rebinding with a port": (421, "GET", {"Host": "hivekeep:8080"}),
    "an address": (421, "GET", {"Host": "127.0.0.1"}),
    "localhost": (421, "GET", {"Host": "localhost"}),
    "a form": (403, "POST", {"Origin": "https://attacker.example",
                             "Content-Type": "application/x-www-form-urlencoded"}),
    "a sandboxed frame": (403, "POST", {"Origin": "null"}),
    "our own name as origin": (403, "POST", {"Origin": "http://hivekeep"}),
    "an image": (403, "GET", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
    "a followed link": (403, "GET", {"Sec-Fetch-Site": "none"}),
    "a request with cookies": (403, "GET", {"Cookie": "a=b"}),
    "a page that names itself": (403, "GET", {"Referer": "https://attacker.example/"}),
    "asking first": (403, "OPTIONS", {"Access-Control-Request-Method": "POST"}),
    "a web socket": (403, "GET", {"Sec-WebSocket-Key": "x", "Upgrade": "websocket"}),
    "text that is JSON": (415, "POST", {"Content-Type": "text/plain"}),
    "a form without origin": (415, "POST", {"Content-Type": "multipart/form-data; boundary=x"}),
    "two kinds at once": (415, "POST", {"Content-Type": "text/plain; application/json"}),
}  # fmt: skip


@pytest.mark.parametrize("page", WEB_PAGES)
def test_a_web_page_is_refused(api: Api, page: str) -> None:
    status, method, headers = WEB_PAGES[page]
    with api.client() as client:
        answer = client.request(method, "/v1/thing", headers=headers)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "what", "why", "next"}
    assert "access-control-allow-origin" not in answer.headers
    assert api.reached == []


@pytest.mark.parametrize("length", [str(MOST_BODY + 1), "9" * 40, "-1", "1, 2", "x"])
def test_a_body_that_is_too_long_or_odd_is_refused(length: str) -> None:
    sent = [(b"host", HOST.encode()), (b"content-length", length.encode())]
    refused = objection(sent)
    assert refused
    assert refused[0] == 413


def test_our_clients_are_let_through(api: Api) -> None:
    with api.client() as client:
        assert client.post("/v1/thing", json={"a": 1}).is_success
        assert client.post("/v1/thing").is_success
        assert client.delete("/v1/thing").is_success
    assert len(api.reached) == 3


names = st.sampled_from([b"host", b"origin", b"cookie", b"content-type", b"content-length",
                         b"sec-fetch-site", b"accept", b"x-other"])  # fmt: skip
headers = st.lists(st.tuples(names, st.binary(max_size=12)), max_size=6)


@given(headers)
def test_only_plain_requests_pass(sent: list[tuple[bytes, bytes]]) -> None:
    """Whatever stands in the headers: what passes has our name and nothing of a browser."""
    for given_headers in (sent, [*sent, (b"host", HOST.encode())]):
        if objection(given_headers) is None:
            assert [value for name, value in given_headers if name == b"host"] == [HOST.encode()]
            assert not {name for name, _ in given_headers} & {b"origin", b"cookie"}
            assert not any(name.startswith(b"sec-") for name, _ in given_headers)
