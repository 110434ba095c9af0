"""What can be checked of every system's sandbox without running on it."""

from __future__ import annotations

import ctypes
import sys

import pytest

from hivekeep.sandbox import (
    Confinement,
    Protection,
    missing_protections,
    seatbelt,
    seccomp,
    windows,
)
from hivekeep.sandbox.status import protections, wanted

_LOAD, _EQUAL, _AT_LEAST, _ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def verdict(steps: list[seccomp.Step], architecture: int, number: int, *arguments: int) -> int:
    """A small interpreter of the filter's own language."""
    memory = {0: number, 4: architecture}
    memory |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate(arguments)}
    accumulator, at = 0, 0
    while True:
        operation, yes, no, value = steps[at]
        at += 1
        match operation:
            case 0x20:
                accumulator = memory.get(value, 0)
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no
            case _:
                return value


@pytest.mark.parametrize(
    ("machine", "allowed", "refused"),
    [
        ("x86_64", (0, 1, 9, 12, 202, 257, 231), (41, 59, 57, 101, 165, 321, 425, 62)),
        ("aarch64", (63, 64, 222, 214, 98, 56, 94), (198, 221, 117, 40, 280, 425, 129)),
    ],
)
def test_the_filter_of_each_machine(
    machine: str, allowed: tuple[int, ...], refused: tuple[int, ...]
) -> None:
    steps = seccomp.program(seccomp.Filter(own_pid=77), machine)
    here = _ARCHITECTURES[machine]
    assert all(verdict(steps, here, number) == _ALLOW for number in allowed)
    assert all(verdict(steps, here, number) == 0x00050001 for number in refused)
    assert verdict(steps, 0x40000003, 0) == _KILL
    assert verdict(steps, here, 452) == 0x00050000 | 38
    # Every jump stays inside, and the last step returns.
    assert all(at + 1 + max(yes, no) < len(steps) for at, (_, yes, no, _v) in enumerate(steps[:-1]))
    assert steps[-1][0] == _RETURN
    assert len(steps) < 4096


def test_arguments_decide_where_they_must() -> None:
    here, kill, clone, ioctl = _ARCHITECTURES["x86_64"], 62, 56, 16
    steps = seccomp.program(seccomp.Filter(own_pid=77, threads=True), "x86_64")
    assert verdict(steps, here, kill, 77) == _ALLOW
    assert verdict(steps, here, kill, 78) != _ALLOW
    assert verdict(steps, here, kill, -1) != _ALLOW
    assert verdict(steps, here, clone, 0x00010000) == _ALLOW
    assert verdict(steps, here, clone, 17) != _ALLOW
    assert verdict(steps, here, clone, 0x00010000 | 0x10000000) != _ALLOW
    assert verdict(steps, here, ioctl, 0, 0x5401) == _ALLOW
    assert verdict(steps, here, ioctl, 0, 0x5412) != _ALLOW


def test_the_seatbelt_profile_begins_with_no() -> None:
    text = seatbelt.profile(Confinement(read=('/a"b\\c',), write=("/work",), processes=4))
    lines = text.splitlines()
    assert lines[:3] == ["(version 1)", "(deny default)", "(deny network*)"]
    assert '(allow file-read* (subpath "/a\\"b\\\\c"))' in lines
    assert '(allow file-write* (subpath "/work"))' in lines
    assert "(allow process-fork)" in lines
    assert not any("process-exec" in line for line in lines)
    assert text.count("(") == text.count(")")
    assert "fork" not in seatbelt.profile(Confinement())
    assert "file-write" not in seatbelt.profile(Confinement())


def test_windows_structures_have_the_documented_size() -> None:
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        pytest.skip("sizes of 64-bit Windows")
    assert ctypes.sizeof(windows.BasicLimits) == 64
    assert ctypes.sizeof(windows.ExtendedLimits) == 144
    assert ctypes.sizeof(windows.StartupInfo) == 104
    limits = windows.job_limits(Confinement(memory=5, cpu_seconds=2, processes=0))
    assert limits.basic.active_processes == 1
    assert limits.basic.per_process_user_time == 20_000_000
    assert limits.job_memory == limits.process_memory == 5
    assert limits.basic.limit_flags & 0x2000


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux answers")
def test_other_systems_protections_are_not_claimed() -> None:
    for use in (windows.try_job, windows.try_token, lambda: seatbelt.apply(Confinement())):
        with pytest.raises(OSError, match="belong"):
            use()
    assert {status.protection for status in protections()} == set(wanted())
    assert missing_protections(["seatbelt", "no such thing"]) == ("no such thing", "seatbelt")
    assert missing_protections([]) == ()


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux has")
def test_what_is_said_to_be_active_is_said_with_a_reason_otherwise() -> None:
    for status in protections():
        assert status.active == (status.detail == ""), status
    assert Protection.RESOURCE_LIMITS in {s.protection for s in protections() if s.active}
