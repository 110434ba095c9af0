"""The processes behind the pool: limits, crashes, cancellation, restarts, confinement."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from PIL import Image

from hivekeep.documents import ReaderPool, Reason, file_sha256
from hivekeep.domain.documents import Document, ReadLimits
from hivekeep.domain.errors import DocumentError

SERVICE = Path(__file__).resolve().parents[2] / "service"


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A document that takes several seconds."""
    path = tmp_path / "slow.txt"
    path.write_text("This line is short, and many of them follow.\n\n" * 99_000 + "end")
    return path


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    path = tmp_path / "quick.txt"
    path.write_text("quick words")
    return path


async def children_of(pool: ReaderPool) -> list[psutil.Process]:
    """The reader processes that are running, as soon as there are any."""
    with anyio.fail_after(60):
        while True:
            for pid in pool.process_ids:
                found = psutil.Process(pid).children()
                if found:
                    return found
            await anyio.lowlevel.checkpoint()


async def outcome(pool: ReaderPool, path: Path) -> Document | DocumentError:
    try:
        return await pool.read(path)
    except DocumentError as error:
        return error


async def disturb(
    pool: ReaderPool, path: Path, quick: Path, act: Callable[[psutil.Process], None]
) -> tuple[Document | DocumentError, Document | DocumentError]:
    """Read ``path``, do something to its process, and read ``quick`` meanwhile."""
    results: dict[str, Document | DocumentError] = {}

    async def read(name: str, path: Path) -> None:
        results[name] = await outcome(pool, path)

    async with pool, anyio.create_task_group() as tasks:
        tasks.start_soon(read, "disturbed", path)
        act((await children_of(pool))[0])
        tasks.start_soon(read, "other", quick)
    return results["disturbed"], results["other"]


def test_a_crash_concerns_only_its_document(slow: Path, quick: Path) -> None:
    async def main() -> None:
        crash, other = await disturb(
            ReaderPool(ReadLimits()), slow, quick, lambda child: child.send_signal(signal.SIGSEGV)
        )
        assert isinstance(crash, DocumentError)
        assert crash.reason == Reason.CRASHED
        assert "egmentation" in crash.why
        assert isinstance(other, Document)

    anyio.run(main)


def test_used_up_processor_time_is_too_slow(slow: Path, quick: Path) -> None:
    async def main() -> None:
        stopped, _ = await disturb(
            ReaderPool(ReadLimits()), slow, quick, lambda child: child.send_signal(signal.SIGXCPU)
        )
        assert isinstance(stopped, DocumentError)
        assert stopped.reason == Reason.TOO_SLOW

    anyio.run(main)


def test_a_killed_host_is_replaced_and_nothing_is_lost(slow: Path, quick: Path) -> None:
    async def main() -> None:
        again, other = await disturb(
            ReaderPool(ReadLimits()),
            slow,
            quick,
            lambda child: os.kill(child.ppid(), signal.SIGKILL),
        )
        assert isinstance(again, Document)
        assert isinstance(other, Document)

    anyio.run(main)


def test_a_document_that_takes_too_long_is_stopped(slow: Path, quick: Path) -> None:
    async def main() -> None:
        async with ReaderPool(ReadLimits(seconds=0.2)) as pool:
            # The first document also waits for the host, which need not be ready in this time.
            stopped = await outcome(pool, slow)
            assert isinstance(stopped, DocumentError)
            assert stopped.reason == Reason.TOO_SLOW
            # The pool waits until its process is gone before it takes the next document.
            for host in pool.process_ids:
                assert psutil.Process(host).children() == []

    anyio.run(main)


def test_cancelling_kills_the_process(slow: Path, quick: Path) -> None:
    async def main() -> None:
        async with ReaderPool(ReadLimits()) as pool:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pool.read, slow)
                (child,) = await children_of(pool)
                tasks.cancel_scope.cancel()
            assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
            assert (await pool.read(quick)).blocks[0].text == "quick words"

    anyio.run(main)


def test_closing_leaves_no_process_behind(quick: Path) -> None:
    async def main() -> None:
        pool = ReaderPool(ReadLimits())
        await pool.read(quick)
        (host,) = pool.process_ids
        await pool.aclose()
        assert pool.process_ids == ()
        assert not psutil.pid_exists(host)

    anyio.run(main)


def test_an_idle_host_ends_and_a_new_one_serves(quick: Path) -> None:
    async def main() -> None:
        async with ReaderPool(ReadLimits(), idle_seconds=0.05) as pool:
            for _ in range(2):
                await pool.read(quick)
                with anyio.fail_after(30):
                    while pool.process_ids:
                        await anyio.lowlevel.checkpoint()

    anyio.run(main)


def test_too_much_memory_has_its_reason(make_reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    Image.new("RGB", (11_000, 11_000), "red").save(path, compress_level=1)
    assert make_reader(max_memory=400 * 1024**2).failure(path).reason == "memory"


def test_a_changed_file_is_told(reader: Any, quick: Path) -> None:
    digest, size = file_sha256(quick)
    assert (digest, size) == (hashlib.sha256(b"quick words").hexdigest(), 11)
    document = reader(quick, expected_sha256=digest)
    assert document.sha256 == digest
    assert document.size == size
    quick.write_text("other words")
    assert reader.failure(quick, expected_sha256=digest).reason == "changed"


def test_a_file_that_grows_while_it_is_read_is_told(make_reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "growing.txt"
    path.write_bytes(b"x" * 60_000_000)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"x")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        assert make_reader().failure(path).reason == "changed"
    finally:
        stop.set()
        writer.join()


def test_what_is_no_readable_file(reader: Any, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.txt"
    os.mkfifo(fifo)
    assert reader.failure(fifo).reason == "not_a_file"
    assert reader.failure(tmp_path).reason == "not_a_file"
    assert reader.failure(tmp_path / "gone.txt").reason == "vanished"
    assert reader.failure(tmp_path / "gone" / "gone.txt").reason == "vanished"
    for missing, reason in ((fifo, "not_a_file"), (tmp_path / "gone.txt", "vanished")):
        with pytest.raises(DocumentError) as caught:
            file_sha256(missing)
        assert caught.value.reason == reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(reader: Any, quick: Path) -> None:
    quick.chmod(0)
    assert reader.failure(quick).reason == "permission"


def test_many_documents_at_once(reader: Any, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(40)]
    for path in paths:
        path.write_text(f"words of {path.stem}")

    async def read_all() -> dict[str, str]:
        found: dict[str, str] = {}

        async def read(path: Path) -> None:
            found[path.stem] = (await reader.pool.read(path)).blocks[0].text

        async with anyio.create_task_group() as tasks:
            for path in paths:
                tasks.start_soon(read, path)
        return found

    assert reader.portal.call(read_all) == {p.stem: f"words of {p.stem}" for p in paths}


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(SERVICE)},
    ).stdout


def test_the_caller_never_loads_a_parser() -> None:
    loaded = run_python(
        "import sys, hivekeep.documents; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    ).split()
    heavy = {"pypdfium2", "pypdf", "docx", "pptx", "lxml", "PIL", "numpy", "cv2", "onnxruntime"}
    heavy |= {"rapidocr", "selectolax", "python_calamine", "oxmsg", "olefile"}
    assert heavy.isdisjoint(loaded)


ATTEMPTS = """
import os, socket, sys
from hivekeep.sandbox import Confinement, limits
from hivekeep.sandbox.confine import drop_privileges, leave_network
listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
leave_network()
limits.limit_resources(Confinement(memory=2 << 30, cpu_seconds=60))
drop_privileges()
if {hook}:
    limits.forbid_side_effects()
def attempt(name, act):
    try:
        act()
    except OSError as error:
        print(name, "refused")
    else:
        print(name, "allowed")
def connect():
    socket.create_connection(address, timeout=5).close()
def write():
    descriptor = os.open({path!r}, os.O_RDWR)
    os.write(descriptor, b"x" * 10)
attempt("connect", connect)
attempt("write", write)
attempt("resolve", lambda: socket.getaddrinfo("example.com", 80))
attempt("run", lambda: os.posix_spawn("/bin/true", ["true"], {{}}) if {hook} else None)
attempt("read", lambda: open({path!r}).close())
"""


def test_a_reader_process_cannot_connect_write_or_run(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")
    out = run_python(ATTEMPTS.format(hook=True, path=str(path))).splitlines()
    assert out == [
        "connect refused",
        "write refused",
        "resolve refused",
        "run refused",
        "read allowed",
    ]
    assert path.read_text() == "before"


def test_the_system_itself_refuses_too(tmp_path: Path) -> None:
    """Native code knows no audit hooks, so the limits must hold without them."""
    path = tmp_path / "file.txt"
    path.write_text("before")
    out = run_python(
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        + ATTEMPTS.format(hook=False, path=str(path))
    )
    assert "write refused" in out
    assert path.read_text() == "before"
    probe = run_python(
        "from hivekeep.sandbox.confine import leave_network\n"
        "leave_network()\n"
        "print('interfaces', open('/proc/net/dev').read().count(':'))"
    )
    if not probe.strip().endswith(" 1"):
        pytest.skip("this system does not allow network namespaces")
    assert "connect refused" in out
