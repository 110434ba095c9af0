"""Escapes from a confined worker, as native code would try them: straight at the kernel."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hivekeep.sandbox import missing_protections

pytestmark = pytest.mark.skipif(
    bool(missing_protections(["landlock", "seccomp"])), reason="needs Landlock and seccomp"
)
SERVICE = Path(__file__).resolve().parents[2] / "service"

# The audit hook is left out on purpose: what is tested is what stops code that is not Python.
PROLOGUE = """
import ctypes, errno, json, os, signal, socket, sys, threading, time
facts = json.loads(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
held = os.open(facts["secret"], os.O_PATH)
from hivekeep.sandbox import Confinement, confine, paths
from hivekeep.sandbox.confine import leave_network
leave_network()
confine(Confinement(read=paths.worker(), memory=2 << 30, cpu_seconds=60, **facts["keep"]))
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)
def attempt(act):
    try:
        said = act()
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        number = getattr(error, "errno", None)
        return errno.errorcode.get(number, type(error).__name__)
    return f"worked: {said!r:.80}"
"""

ATTEMPTS = {
    "read another file": "open(facts['secret']).read()",
    "list a folder": "os.listdir(facts['folder'])",
    "read through a held descriptor": "os.open(f'/proc/self/fd/{held}', os.O_RDONLY)",
    "read the daemon's memory map": "open(f\"/proc/{facts['daemon']}/maps\").read(100)",
    "read the daemon's environment": "open(f\"/proc/{facts['daemon']}/environ\").read()",
    "write a file": "os.open(facts['target'], os.O_WRONLY | os.O_CREAT)",
    "overwrite a file": "os.open(facts['secret'], os.O_WRONLY)",
    "truncate a file": "os.truncate(facts['secret'], 0)",
    "remove a file": "os.unlink(facts['secret'])",
    "rename a file": "os.rename(facts['secret'], facts['target'])",
    "make a folder": "os.mkdir(facts['target'])",
    "make a link": "os.symlink('/etc/passwd', facts['target'])",
    "make a hard link": "os.link(facts['secret'], facts['target'])",
    "change a mode": "os.chmod(facts['secret'], 0o777)",
    "change a time": "os.utime(facts['secret'], (1, 1))",
    "set an attribute": "os.setxattr(facts['secret'], 'user.x', b'1')",
    "open a TCP socket": "socket.socket()",
    "open a Unix socket": "socket.socket(socket.AF_UNIX)",
    "open a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "reach the daemon's socket": ("socket.socket(socket.AF_UNIX).connect(facts['socket'])"),
    "fork": "os.fork()",
    "run a program": "os.execv('/bin/true', ['true'])",
    "spawn a program": "os.posix_spawn('/bin/true', ['true'], {})",
    "vfork by number": "call('syscall', 58)",
    "clone by number": "call('syscall', 56, 17, 0, 0, 0, 0)",
    "clone3 by number": "call('syscall', 435, 0, 0)",
    "signal the daemon": "os.kill(facts['daemon'], 0)",
    "signal everybody": "os.kill(-1, 0)",
    "signal its group": "os.kill(0, 0)",
    "signal by descriptor": "call('syscall', 434, facts['daemon'], 0)",
    "trace the daemon": "call('ptrace', 16, facts['daemon'], 0, 0)",
    "read the daemon's memory": ("call('process_vm_readv', facts['daemon'], None, 0, None, 0, 0)"),
    "steal a descriptor": "call('syscall', 438, 3, 3, 0)",
    "mount": "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
    "leave the root": "os.chroot('/tmp')",
    "new namespaces": "call('unshare', 0x10000000)",
    "enter namespaces": "call('setns', 0, 0)",
    "open by handle": "call('syscall', 304, -100, 0, 0)",
    "load BPF": "call('syscall', 321, 0, 0, 0)",
    "use io_uring": "call('syscall', 425, 8, 0)",
    "use the keyring": "call('syscall', 250, 0, -3, 0)",
    "watch performance": "call('syscall', 298, 0, 0, -1, -1, 0)",
    "set the clock": "time.clock_settime(time.CLOCK_REALTIME, 0)",
    "share memory": "call('syscall', 29, 1, 4096, 0o1600)",
    "anonymous file": "os.memfd_create('x')",
    "type into the terminal": "call('ioctl', 0, 0x5412, b'x')",
    "a call of tomorrow": "call('syscall', 470, 0, 0, 0)",
    "a call of x32": "call('syscall', 0x40000000 + 39)",
    "raise a limit": (
        "__import__('resource').setrlimit(__import__('resource').RLIMIT_AS, (1 << 60, 1 << 60))"
    ),
    "exhaust memory": "bytearray(3 << 30)",
    "exhaust descriptors": "[os.dup(0) for _ in range(5000)]",
}
_X86 = {name for name, code in ATTEMPTS.items() if "syscall'" in code}


def confined(code: str, facts: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROLOGUE + code, json.dumps(facts)],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(SERVICE)}, cwd=facts["folder"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What there is to attack: a secret, a folder, a socket, and this very process as daemon."""
    folder = tmp_path_factory.mktemp("outside")
    secret = folder / "another agent's notes"
    secret.write_text("the secret")
    with socket.socket(socket.AF_UNIX) as listener:
        with contextlib.chdir(folder):
            listener.bind("api.sock")
        listener.listen()
        yield {
            "secret": str(secret), "folder": str(folder), "target": str(folder / "made"),
            "socket": "api.sock", "daemon": os.getpid(), "keep": {},
        }  # fmt: skip


@pytest.fixture(scope="module")
def answers(facts: dict[str, Any]) -> dict[str, str]:
    """What became of every attempt, all in one process, the fatal ones in none."""
    code = "answers = {}\n"
    for name, attempt in ATTEMPTS.items():
        code += f"answers[{name!r}] = attempt(lambda: {attempt})\n"
    done = confined(code + "print(json.dumps(answers))", facts)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ATTEMPTS)
def test_is_refused(name: str, answers: dict[str, str], facts: dict[str, Any]) -> None:
    if name in _X86 and os.uname().machine != "x86_64":
        pytest.skip("numbered for x86-64")
    allowed = {"EPERM", "EACCES", "ENOSYS", "EMFILE", "MemoryError", "EXDEV", "ValueError"}
    assert answers[name] in allowed, answers[name]


def test_nothing_was_changed(answers: dict[str, str], facts: dict[str, Any]) -> None:
    assert Path(facts["secret"]).read_text() == "the secret"
    assert sorted(path.name for path in Path(facts["folder"]).iterdir()) == [
        "another agent's notes",
        "api.sock",
    ]


def test_what_a_worker_needs_still_works(facts: dict[str, Any]) -> None:
    done = confined(
        "import email, sqlite3, zlib, decimal\n"
        "ours, theirs = socket.socketpair()\n"
        "ours.sendall(b'words'); assert theirs.recv(9) == b'words'\n"
        "os.kill(os.getpid(), 0)\n"
        "print('fine')",
        facts,
    )
    assert done.stdout == "fine\n", done.stderr


def test_threads_only_where_they_are_kept(facts: dict[str, Any]) -> None:
    code = (
        "thread = threading.Thread(target=lambda: print('ran'))\n"
        "print(attempt(lambda: (thread.start(), thread.join())))\n"
        "print(attempt(os.fork))"
    )
    without = confined(code, facts).stdout.splitlines()
    kept = confined(code, facts | {"keep": {"threads": True}}).stdout.splitlines()
    assert without == ["RuntimeError", "EPERM"]
    assert kept[0] == "ran"
    assert kept[-1] == "EPERM"


def test_processor_time_ends(facts: dict[str, Any]) -> None:
    done = confined(
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
        facts,
    )
    assert done.returncode < 0


def test_a_required_protection_that_is_missing_stops_the_work(facts: dict[str, Any]) -> None:
    done = confined(
        "from hivekeep.sandbox import SandboxError\n"
        "try:\n"
        "    confine(Confinement(), required=['seatbelt'])\n"
        "except SandboxError as error:\n"
        "    print(error.why)",
        facts,
    )
    assert "requires seatbelt" in done.stdout, done.stderr
