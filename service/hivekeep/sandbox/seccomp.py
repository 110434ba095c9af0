"""A system call filter of our own, written as the kernel's BPF.

Responsible for which system calls a confined process has; files are Landlock's.  Invariant: calls
of another machine's numbering kill the process, calls newer than our table do not exist, and what
is refused is refused whatever its arguments, except where the arguments are checked here.

https://docs.kernel.org/userspace-api/seccomp_filter.html; numbers from ``asm/unistd_64.h`` and
``asm-generic/unistd.h`` of Linux 6.1.
"""

from __future__ import annotations

import ctypes
import errno
from dataclasses import dataclass

from hivekeep.sandbox import system

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000
_MODE_FILTER = 2
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C


@dataclass(frozen=True, slots=True)
class _Machine:
    """``column`` is that of the tables below; ``newest`` the last call that they know of."""

    architecture: int
    column: int
    newest: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 0, 450),
    "aarch64": _Machine(0xC00000B7, 1, 451),
}

Calls = dict[str, tuple[int | None, int | None]]

_SOCKETS: Calls = {
    "socket": (41, 198), "bind": (49, 200), "connect": (42, 203), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
}  # fmt: skip
_PROGRAMS: Calls = {"execve": (59, 221), "execveat": (322, 281)}
_PROCESSES: Calls = {"fork": (57, None), "vfork": (58, None)}
_CLONE: Calls = {"clone": (56, 220)}
# Its flags lie in memory, where a filter cannot see them; libc then falls back to clone.
_CLONE3: Calls = {"clone3": (435, 435)}
_SIGNALS: Calls = {
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
}  # fmt: skip
_SIGNALS_BY_PROCESS: Calls = {"kill": (62, 129), "tgkill": (234, 131)}
_SESSIONS: Calls = {"setsid": (112, 157), "setpgid": (109, 154)}
_OTHER_PROCESSES: Calls = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "move_pages": (279, 239), "migrate_pages": (256, 238),
}  # fmt: skip
_PLACES: Calls = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "move_mount": (429, 429), "open_tree": (428, 428),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip
_KERNEL: Calls = {
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "setdomainname": (171, 162), "syslog": (103, 116), "vhangup": (153, 58),
    "personality": (135, 92), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "uselib": (134, None),
    "ustat": (136, None), "sysfs": (139, None), "_sysctl": (156, None),
    "create_module": (174, None), "get_kernel_syms": (177, None), "query_module": (178, None),
    "remap_file_pages": (216, 234),
}  # fmt: skip
# Memory and messages that outlive the process or escape its limits.
_SHARED: Calls = {
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197),
    "mq_open": (240, 180), "mq_unlink": (241, 181), "memfd_secret": (447, 447),
    "memfd_create": (319, 279),
}  # fmt: skip
# Landlock has no right for these, so a process that may write nowhere loses them here.
_MODES: Calls = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip
_IOCTL: Calls = {"ioctl": (16, 29)}


@dataclass(frozen=True, slots=True)
class Filter:
    """What a process keeps of what is taken by default.

    ``own_pid`` is the only process it may signal, where that is not left to a process namespace
    (then 0).  ``sessions`` lets it leave its process group, ``modes`` change files' modes,
    ``sockets`` use the network.
    """

    programs: bool = False
    processes: bool = False
    threads: bool = False
    own_pid: int = 0
    sessions: bool = False
    modes: bool = False
    sockets: bool = False


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


Step = tuple[int, int, int, int]
"""Operation, instructions to skip if true and if false, value."""


def available() -> bool:
    """Whether this kernel and machine can filter; asks the kernel without changing anything."""
    if system.MACHINE not in _MACHINES or not system.LINUX:
        return False
    try:
        # A filter at address 0 is refused as a bad address, and only where filters exist.
        system.call("prctl", system.PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    except OSError as error:
        return error.errno == errno.EFAULT
    return False


def program(keep: Filter, machine: str) -> list[Step]:
    """The filter for ``machine`` as ``platform.machine()`` names it.

    :raises KeyError: for a machine whose numbers are not known.
    """
    known = _MACHINES[machine]
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    steps: list[Step] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, known.architecture),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
        # x32 numbers, and everything invented after our table, are beyond it too.
        (_JUMP_AT_LEAST, 0, 1, known.newest + 1),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for number in _numbers(_refused(keep), known.column):
        steps += [(_JUMP_EQUAL, 0, 1, number), refuse]
    for number in _numbers(_CLONE3, known.column):
        steps += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for number in _numbers(_CLONE, known.column):
        steps += _on(number, _clone(keep))
    for number in _numbers(_IOCTL, known.column):
        # Typing into the terminal that we were started from.
        steps += _on(number, [(_LOAD, 0, 0, _ARGUMENTS + 8), *_unless_equal(_TIOCSTI, _TIOCLINUX)])
    if keep.own_pid:
        for number in _numbers(_SIGNALS_BY_PROCESS, known.column):
            check = [(_LOAD, 0, 0, _ARGUMENTS), (_JUMP_EQUAL, 1, 0, keep.own_pid), refuse]
            steps += _on(number, [*check, (_RETURN, 0, 0, _ALLOW)])
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def install(keep: Filter) -> None:
    """Filter the calling thread and all it starts, for good; ``no_new_privs`` has to be set.

    :raises OSError: if this kernel or machine has no filters.
    """
    if system.MACHINE not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no system call table for {system.MACHINE}")
    steps = program(keep, system.MACHINE)
    instructions = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    filter_ = _Program(len(steps), instructions)
    zero = ctypes.c_ulong(0)
    system.call(
        "prctl", system.PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(filter_),
        zero, zero,
    )  # fmt: skip


def _refused(keep: Filter) -> Calls:
    refused = _OTHER_PROCESSES | _PLACES | _KERNEL | _SHARED
    if not keep.sockets:
        refused |= _SOCKETS
    if not keep.programs:
        refused |= _PROGRAMS
    if not keep.processes:
        refused |= _PROCESSES
    if keep.own_pid:
        refused |= _SIGNALS
    if not keep.sessions:
        refused |= _SESSIONS
    if not keep.modes:
        refused |= _MODES
    return refused


def _clone(keep: Filter) -> list[Step]:
    """Threads where allowed, processes where allowed, new namespaces never."""
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    steps: list[Step] = [
        (_LOAD, 0, 0, _ARGUMENTS),
        (_JUMP_ANY_BIT, 0, 1, system.CLONE_NAMESPACES),
        refuse,
        (_JUMP_ANY_BIT, 0, 1, system.CLONE_THREAD),
        allow if keep.threads else refuse,
        allow if keep.processes else refuse,
    ]
    return steps


def _unless_equal(*values: int) -> list[Step]:
    steps: list[Step] = []
    for value in values:
        steps += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def _on(number: int, body: list[Step]) -> list[Step]:
    """``body``, which ends by returning, for one call only; the number is loaded again after it."""
    return [(_JUMP_EQUAL, 0, len(body), number), *body]


def _numbers(calls: Calls, column: int) -> list[int]:
    return sorted(number for pair in calls.values() if (number := pair[column]) is not None)
