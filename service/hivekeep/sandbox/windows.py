"""Windows: a process with a restricted token of low integrity, inside a job object.

Responsible for starting such a process and for ending it with all it started.  Written after the
documentation of the calls it names; the layout of its structures is tested, the calls have not been
run on Windows by us yet.  Invariant: the process is created suspended and runs only once it is in
its job.

A low integrity token does not take the network away; that needs an AppContainer, which is not
written, so ``no_network`` is never reported as active on Windows.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hivekeep.sandbox.model import Confinement

_DISABLE_MAX_PRIVILEGE = 0x1
_LUA_TOKEN = 0x4
_TOKEN_ALL_ACCESS = 0xF01FF
_TOKEN_INTEGRITY_LEVEL = 25
_SE_GROUP_INTEGRITY = 0x20
_LOW_INTEGRITY = "S-1-16-4096"
_CREATE_SUSPENDED = 0x4
_CREATE_NO_WINDOW = 0x08000000
_CREATE_UNICODE_ENVIRONMENT = 0x400
_STARTF_USESTDHANDLES = 0x100

_EXTENDED_LIMITS, _UI_RESTRICTIONS = 9, 4
_LIMIT_PROCESS_TIME, _LIMIT_ACTIVE_PROCESS = 0x2, 0x8
_LIMIT_PROCESS_MEMORY, _LIMIT_JOB_MEMORY = 0x100, 0x200
_LIMIT_DIE_ON_UNHANDLED, _LIMIT_KILL_ON_CLOSE = 0x400, 0x2000
_ALL_UI_RESTRICTIONS = 0xFF

# LPVOID and HANDLE have the width of a pointer on every Windows.
_HANDLE = ctypes.c_void_p
_DWORD = ctypes.c_uint32


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("per_process_user_time", ctypes.c_int64),
        ("per_job_user_time", ctypes.c_int64),
        ("limit_flags", _DWORD),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_processes", _DWORD),
        ("affinity", ctypes.c_size_t),
        ("priority_class", _DWORD),
        ("scheduling_class", _DWORD),
    )


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("basic", BasicLimits),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


class _SidAndAttributes(ctypes.Structure):
    _fields_ = (("sid", ctypes.c_void_p), ("attributes", _DWORD))


class StartupInfo(ctypes.Structure):
    """STARTUPINFOW."""

    _fields_ = (
        ("size", _DWORD),
        ("reserved", ctypes.c_wchar_p),
        ("desktop", ctypes.c_wchar_p),
        ("title", ctypes.c_wchar_p),
        ("position_and_size", _DWORD * 4),
        ("count_chars", _DWORD * 2),
        ("fill", _DWORD),
        ("flags", _DWORD),
        ("show", ctypes.c_uint16),
        ("reserved2_size", ctypes.c_uint16),
        ("reserved2", ctypes.c_void_p),
        ("input", _HANDLE),
        ("output", _HANDLE),
        ("error", _HANDLE),
    )


class _ProcessInformation(ctypes.Structure):
    _fields_ = (
        ("process", _HANDLE),
        ("thread", _HANDLE),
        ("process_id", _DWORD),
        ("thread_id", _DWORD),
    )


def job_limits(keep: Confinement) -> ExtendedLimits:
    """The limits of ``keep`` as a job object has them."""
    limits = ExtendedLimits()
    limits.basic.limit_flags = (
        _LIMIT_PROCESS_TIME | _LIMIT_ACTIVE_PROCESS | _LIMIT_PROCESS_MEMORY | _LIMIT_JOB_MEMORY
        | _LIMIT_DIE_ON_UNHANDLED | _LIMIT_KILL_ON_CLOSE
    )  # fmt: skip
    limits.basic.active_processes = max(keep.processes, 1)
    # In units of 100 nanoseconds.
    limits.basic.per_process_user_time = keep.cpu_seconds * 10_000_000
    limits.process_memory = keep.memory
    limits.job_memory = keep.memory
    return limits


class ConfinedProcess:
    """A running process and the job that ends it; closing the job kills everything in it."""

    def __init__(self, process: int, process_id: int, job: int) -> None:
        self.pid = process_id
        self._process = process
        self._job = job

    def wait(self, seconds: float) -> int | None:
        """The exit code, or ``None`` if it still runs after ``seconds``."""
        kernel = _library("kernel32")
        if kernel.WaitForSingleObject(_HANDLE(self._process), _DWORD(int(seconds * 1000))):
            return None
        code = _DWORD()
        _check(kernel.GetExitCodeProcess(_HANDLE(self._process), ctypes.byref(code)))
        return int(code.value)

    def close(self) -> None:
        """End the process and all it started."""
        kernel = _library("kernel32")
        kernel.CloseHandle(_HANDLE(self._job))
        kernel.CloseHandle(_HANDLE(self._process))


def start(
    command: Sequence[str],
    keep: Confinement,
    *,
    folder: str,
    environment: dict[str, str],
    handles: tuple[int, int, int],
) -> ConfinedProcess:
    """Start ``command`` in ``folder`` with ``handles`` as its input, output and error.

    :raises OSError: on any other system, or if Windows refuses a step.
    """
    kernel, advanced = _library("kernel32"), _library("advapi32")
    info = StartupInfo(size=ctypes.sizeof(StartupInfo), flags=_STARTF_USESTDHANDLES)
    info.input, info.output, info.error = handles
    block = "".join(f"{name}={text}\0" for name, text in sorted(environment.items())) + "\0"
    made = _ProcessInformation()
    with _restricted_token(advanced, kernel) as token:
        _check(
            advanced.CreateProcessAsUserW(
                token, None, ctypes.create_unicode_buffer(subprocess.list2cmdline(command)),
                None, None, True,
                _DWORD(_CREATE_SUSPENDED | _CREATE_NO_WINDOW | _CREATE_UNICODE_ENVIRONMENT),
                ctypes.create_unicode_buffer(block), ctypes.c_wchar_p(folder),
                ctypes.byref(info), ctypes.byref(made),
            )
        )  # fmt: skip
    try:
        job = _job(kernel, keep)
        _check(kernel.AssignProcessToJobObject(_HANDLE(job), made.process))
        if kernel.ResumeThread(made.thread) == 0xFFFFFFFF:
            _check(0)
    except OSError:
        kernel.TerminateProcess(made.process, 1)
        kernel.CloseHandle(made.process)
        raise
    finally:
        kernel.CloseHandle(made.thread)
    return ConfinedProcess(int(made.process), int(made.process_id), job)


def try_token() -> str:
    """Make a restricted token; empty if that works."""
    with _restricted_token(_library("advapi32"), _library("kernel32")):
        return ""


def try_job() -> str:
    """Make a job object with limits; empty if that works."""
    kernel = _library("kernel32")
    kernel.CloseHandle(_HANDLE(_job(kernel, Confinement())))
    return ""


@contextmanager
def _restricted_token(advanced: Any, kernel: Any) -> Iterator[Any]:
    """Our own token without privileges or administrators' groups, and with low integrity.

    Low integrity cannot write to anything of the user's, whatever the file's permissions say.
    """
    own, token, sid = _HANDLE(), _HANDLE(), ctypes.c_void_p()
    kernel.GetCurrentProcess.restype = _HANDLE
    _check(
        advanced.OpenProcessToken(
            _HANDLE(kernel.GetCurrentProcess()), _DWORD(_TOKEN_ALL_ACCESS), ctypes.byref(own)
        )
    )
    try:
        _check(
            advanced.CreateRestrictedToken(
                own, _DWORD(_DISABLE_MAX_PRIVILEGE | _LUA_TOKEN), 0, None, 0, None, 0, None,
                ctypes.byref(token),
            )
        )  # fmt: skip
        _check(advanced.ConvertStringSidToSidW(ctypes.c_wchar_p(_LOW_INTEGRITY), ctypes.byref(sid)))
        label = _SidAndAttributes(sid, _SE_GROUP_INTEGRITY)
        _check(
            advanced.SetTokenInformation(
                token, _TOKEN_INTEGRITY_LEVEL, ctypes.byref(label), ctypes.sizeof(label)
            )
        )
        yield token
    finally:
        if sid:
            kernel.LocalFree(sid)
        for handle in (own, token):
            if handle:
                kernel.CloseHandle(handle)


def _job(kernel: Any, keep: Confinement) -> int:
    kernel.CreateJobObjectW.restype = _HANDLE
    job = kernel.CreateJobObjectW(None, None)
    _check(job)
    limits, screen = job_limits(keep), _DWORD(_ALL_UI_RESTRICTIONS)
    for kind, value in ((_EXTENDED_LIMITS, limits), (_UI_RESTRICTIONS, screen)):
        _check(
            kernel.SetInformationJobObject(
                _HANDLE(job), kind, ctypes.byref(value), ctypes.sizeof(value)
            )
        )
    return int(job)


def _library(name: str) -> Any:
    if sys.platform != "win32":
        raise OSError(errno.ENOSYS, "restricted tokens and job objects belong to Windows")
    return ctypes.WinDLL(name, use_last_error=True)


def _check(result: Any) -> None:
    """:raises OSError: if a call failed, with Windows' own message."""
    if not result:
        number = getattr(ctypes, "get_last_error", lambda: 0)()
        message = getattr(ctypes, "FormatError", os.strerror)(number)
        raise OSError(number, message)
