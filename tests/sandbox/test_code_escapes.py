"""Code of an agent tries to get out of its room, and to take the machine with it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import psutil
import pytest

from hivekeep.sandbox import SandboxError, missing_protections
from hivekeep.sandbox.code import CodeLimits, CodeResult, Ended, Language, run_code

pytestmark = pytest.mark.skipif(
    bool(missing_protections(["landlock", "seccomp", "namespaces"])),
    reason="needs namespaces, Landlock and seccomp",
)
LIMITS = CodeLimits(seconds=60)


@dataclass(frozen=True)
class Cell:
    """A work folder, and beside it what belongs to others."""

    work: Path
    secret: Path
    other: Path
    socket: Path
    port: int

    def python(self, text: str, limits: CodeLimits = LIMITS, **options: object) -> CodeResult:
        return self._run(text, Language.PYTHON, limits, **options)

    def shell(self, text: str, limits: CodeLimits = LIMITS, **options: object) -> CodeResult:
        return self._run(text, Language.SHELL, limits, **options)

    def _run(
        self, text: str, language: Language, limits: CodeLimits, **options: object
    ) -> CodeResult:
        async def main() -> CodeResult:
            return await run_code(text, language, self.work, limits=limits, **options)  # type: ignore[arg-type]

        return anyio.run(main)


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    work, other = tmp_path / "work", tmp_path / "other agent"
    work.mkdir()
    other.mkdir()
    secret = other / "notes.txt"
    secret.write_text("the secret")
    unix, tcp = socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", 0))
    with contextlib.chdir(other):
        unix.bind("api.sock")
    unix.listen()
    with unix, tcp:
        yield Cell(work, secret, other, other / "api.sock", tcp.getsockname()[1])


def left_over(marker: str) -> list[psutil.Process]:
    return [
        p for p in psutil.process_iter(["cmdline"]) if marker in " ".join(p.info["cmdline"] or [])
    ]


def test_what_it_may_do(cell: Cell) -> None:
    (cell.work / "in.csv").write_text("a;b\n1;2\n")
    done = cell.python(
        "import csv, json, os, subprocess, sys\n"
        "rows = list(csv.reader(open('in.csv'), delimiter=';'))\n"
        "json.dump(rows, open('out.json', 'w'))\n"
        "os.makedirs('deep/er'); open('deep/er/x', 'w').write('x')\n"
        "print(subprocess.run(['/bin/echo', 'child'], capture_output=True, text=True).stdout)\n"
        "print('err', file=sys.stderr)\n"
    )
    assert done.ended is Ended.DONE, done
    assert (done.output.strip(), done.errors) == ("child", "err\n")
    assert done.files == ("deep/er/x", "in.csv", "out.json")
    assert (cell.work / "out.json").read_text() == '[["a", "b"], ["1", "2"]]'
    assert {"landlock", "seccomp", "namespaces", "no_network"} <= set(done.held)


PYTHON = {
    "read a secret": "print(open({secret!r}).read())",
    "read another agent's folder": "import os; print(os.listdir({other!r}))",
    "read accounts": "print(open('/etc/passwd').read())",
    "read the home folder": "print(open({home!r} + '/.profile').read(), open({home!r}))",
    "read by climbing": "print(open('../../../../../../..' + {secret!r}).read())",
    "read through a link of its own": (
        "import os; os.symlink({secret!r}, 'l'); print(open('l').read())"
    ),
    "read through proc": "print(open('/proc/1/root' + {secret!r}).read())",
    "read the first process's environment": "print(open('/proc/1/environ').read() or 1/0)",
    "write outside": "open({target!r}, 'w').write('x')",
    "write into the system": "open('/usr/evil', 'w')",
    "write into the interpreter": "import os; open(os.__file__, 'a')",
    "connect to a port": "import socket; socket.create_connection(('127.0.0.1', {port}), 5)",
    "connect to the daemon": ("import socket; socket.socket(socket.AF_UNIX).connect({socket!r})"),
    "resolve a name": "import socket; print(socket.gethostbyname('example.com'))",
    "listen": "import socket; socket.create_server(('', 0))",
    "see other processes": "import os; os.kill({daemon}, 0)",
    "kill everything": "import os; os.kill(1, 9); os.kill(-1, 0); open('/proc/2/mem', 'w')",
    "trace": "import ctypes; assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
    "mount": (
        "import ctypes; assert ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0"
    ),
    "new namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "become root": "import os; os.setuid(0)",
    "make a device": "import os, stat; os.mknod('d', stat.S_IFBLK | 0o600, os.makedev(8, 0))",
    "more memory than a process may have": "x = bytearray(3 << 30)",
    "a file larger than allowed": (
        "f = open('big', 'wb'); [f.write(bytes(1 << 20)) for _ in range(99)]"
    ),
    "fill the scratch folder": (
        "[open(f'/tmp/{{n}}', 'wb').write(bytes(1 << 20)) for n in range(999)]"
    ),
    "import what was not given": "import openpyxl",
    "inherit descriptors": "import os; print([os.fstat(n) for n in range(3, 99)])",
    "leave a daemon behind": (
        "import os\nif os.fork() == 0:\n    os.setsid()\n"
        "    os.execv('/bin/sleep', ['hk-left-behind', '999'])\n1/0"
    ),
}


@pytest.mark.parametrize("name", PYTHON)
def test_python_cannot(cell: Cell, name: str) -> None:
    facts = {
        "secret": str(cell.secret), "other": str(cell.other), "target": str(cell.other / "made"),
        "port": cell.port, "socket": str(cell.socket), "daemon": os.getpid(),
        "home": str(Path.home()),
    }  # fmt: skip
    done = cell.python(PYTHON[name].format(**facts), replace(LIMITS, processes=16))
    assert done.ended is not Ended.DONE, done
    assert "the secret" not in done.output + done.errors
    assert sorted(path.name for path in cell.other.iterdir()) == ["api.sock", "notes.txt"]
    assert cell.secret.read_text() == "the secret"
    assert not left_over("hk-left-behind")


SHELL = {
    "read": "cat '{secret}'",
    "write": "echo x > '{secret}'",
    "remove": "rm -rf '{other}'",
    "connect": "exec 3<>/dev/tcp/127.0.0.1/{port}",
    "change root": "chroot / true",
    "use sudo": "sudo -n true || su -c true || false",
}


@pytest.mark.parametrize("name", SHELL)
def test_the_shell_cannot(cell: Cell, name: str) -> None:
    facts = {"secret": cell.secret, "other": cell.other, "port": cell.port}
    done = cell.shell(SHELL[name].format(**facts))
    assert done.status != 0 or name == "remove"
    assert "the secret" not in done.output
    assert cell.secret.read_text() == "the secret"


EXHAUSTING: dict[str, tuple[str, CodeLimits, set[Ended]]] = {
    "time": ("while True: pass", replace(LIMITS, seconds=2), {Ended.TIME, Ended.FAILED}),
    "sleep": ("import time; time.sleep(999)", replace(LIMITS, seconds=2), {Ended.TIME}),
    "memory over many processes": (
        "import os, time\n"
        "for _ in range(12):\n"
        "    if os.fork() == 0:\n"
        "        x = b'x' * (40 << 20); time.sleep(99)\n"
        "time.sleep(99)",
        replace(LIMITS, memory=256 << 20),
        {Ended.MEMORY, Ended.FAILED},
    ),
    "processes": (
        "import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(99)",
        replace(LIMITS, processes=20),
        {Ended.PROCESSES, Ended.FAILED},
    ),
    "disk": (
        "import time\n"
        "for n in range(400): open(str(n), 'wb').write(b'x' * (1 << 20))\n"
        "time.sleep(99)",
        replace(LIMITS, disk=64 << 20),
        {Ended.DISK},
    ),
    "number of files": (
        "import time\nfor n in range(3000): open(str(n), 'w')\ntime.sleep(99)",
        replace(LIMITS, files=500),
        {Ended.DISK},
    ),
    "output": ("while True: print('x' * 9999)", replace(LIMITS, output=100_000), {Ended.OUTPUT}),
}


@pytest.mark.parametrize("name", EXHAUSTING)
def test_nothing_is_exhausted(cell: Cell, name: str) -> None:
    text, limits, expected = EXHAUSTING[name]
    done = cell.python(text, limits)
    assert done.ended in expected, done
    assert len(done.output) <= limits.output + 100
    me = psutil.Process()
    assert [
        child
        for child in me.children(recursive=True)
        if "sandbox.launch" in " ".join(child.cmdline())
    ] == []


def test_cancelling_ends_it(cell: Cell) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            os.mkfifo(cell.work / "began")
            text = "open('began', 'w').write('.'); import time; time.sleep(999)"
            tasks.start_soon(run_code, text, Language.PYTHON, cell.work)
            assert await anyio.Path(cell.work / "began").read_text() == "."
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert not [p for p in psutil.Process().children(recursive=True) if p.status() != "zombie"]


def test_packages_only_where_they_are_named(cell: Cell) -> None:
    text = (
        "import openpyxl; print('there')\ntry:\n    import httpx\nexcept ImportError: print('not')"
    )
    done = cell.python(text, packages=["openpyxl", "et_xmlfile"])
    assert done.output.split() == ["there", "not"], done.errors
    with pytest.raises(SandboxError, match="not installed"):
        cell.python("1", packages=["no-such-package"])


def test_a_missing_protection_means_nothing_is_run(cell: Cell) -> None:
    with pytest.raises(SandboxError, match="seatbelt"):
        cell.python("open('ran', 'w')", required=["seatbelt"])
    assert not (cell.work / "ran").exists()


def test_without_namespaces_landlock_and_seccomp_still_hold(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems that give users no namespaces: the launcher is told that there are none."""
    launcher = (
        "from hivekeep.sandbox import launch, namespaces\n"
        "def refuse(**_): raise PermissionError(1, 'no')\n"
        "namespaces.leave_everything = refuse\n"
        "launch.main()"
    )
    real = anyio.open_process

    def opened(command: list[str], **options: object) -> object:
        return real([*command[:2], "-c", launcher, *command[4:]], **options)  # type: ignore[arg-type]

    monkeypatch.setattr(anyio, "open_process", opened)
    done = cell.python(f"open('mine', 'w'); print(open({str(cell.secret)!r}).read())")
    assert "namespaces" not in done.held
    assert {"landlock", "seccomp", "no_network"} <= set(done.held)
    assert done.ended is Ended.FAILED
    assert "Permission" in done.errors
    assert done.files == ("mine",)
    assert cell.python("import socket; socket.socket()").ended is Ended.FAILED
    assert cell.python("import os; os.setsid()").ended is Ended.FAILED
    assert cell.python("import os; os.kill(os.getppid(), 9)").ended is Ended.FAILED


def test_many_at_once_do_not_see_each_other(cell: Cell, tmp_path: Path) -> None:
    results: list[str] = []

    async def one(number: int) -> None:
        work = tmp_path / f"cell {number}"
        work.mkdir()
        text = (
            f"open('mine', 'w').write('{number}')\n"
            "import os; numbers = [name for name in os.listdir('/proc') if name.isdigit()]\n"
            "print(os.listdir('.'), max(numbers))"
        )
        results.append((await run_code(text, Language.PYTHON, work)).output)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(one, number)

    anyio.run(main)
    assert results == ["['mine'] 2\n"] * 4
