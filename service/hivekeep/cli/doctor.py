"""``hivekeep doctor``: whether this machine has what Hivekeep needs, and what to do if not.

Responsible for looking; the only thing it repairs, when told to, is the journal.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psutil
import typer

from hivekeep.cli.client import DaemonClient
from hivekeep.cli.finding import Finding
from hivekeep.cli.output import JsonFlag, PassphraseFd, console, print_json, safe, size
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.wiring import open_store, policy_sources
from hivekeep.domain.errors import HivekeepError
from hivekeep.engine.store import DEFAULT_MODEL
from hivekeep.policy import load_policy
from hivekeep.sandbox import missing_protections, protections
from hivekeep.secrets import needs_passphrase

_INOTIFY = Path("/proc/sys/fs/inotify/max_user_watches")
_FEW_WATCHES = 8192
_DISK_WANTED = 2_000_000_000


def doctor(
    context: typer.Context,
    as_json: JsonFlag = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="First repair the journal, with the daemon stopped: rebuild its indexes, or save "
            "what can be read into a new file and keep the damaged one.",
        ),
    ] = False,
    passphrase_fd: PassphraseFd = None,
) -> int:
    """Check the installation: libraries, model, memory, disk, keys, journal, audit log,
    policy, daemon.

    Ends with 1 if something has to be repaired.
    """
    findings = [_repair(context.obj, passphrase_fd)] if repair else []
    findings += _examine(context.obj)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        marks = {"ok": "[green]✓[/]", "remark": "[yellow]![/]", "problem": "[red]✗[/]"}
        for finding in findings:
            console.print(f"{marks[finding.state]} [bold]{finding.subject}[/] {safe(finding.text)}")
            if finding.next_step:
                console.print(f"    next: {safe(finding.next_step)}")
    return 1 if any(finding.state == "problem" for finding in findings) else 0


def _examine(profile: Profile) -> Iterator[Finding]:
    looks: tuple[tuple[str, Callable[[Profile], Finding]], ...] = (
        ("python", _python),
        ("llama.cpp", lambda _: _imports("llama.cpp", "llama_cpp", "llguidance")),
        ("documents", lambda _: _imports("documents", "pypdfium2", "docx", "python_calamine")),
        ("text recognition", lambda _: _imports("text recognition", "rapidocr", "onnxruntime")),
        ("model", _model),
        ("memory", _memory),
        ("disk", _disk),
        ("keys", _keys),
        ("journal", _journal),
        ("audit log", _audit),
        ("policy", _policy),
        ("sandbox", _sandbox),
        ("watching", _watching),
        ("daemon", _daemon),
    )
    for subject, look in looks:
        try:
            yield look(profile)
        except HivekeepError as error:
            text = " ".join(part for part in (error.what, error.why) if part)
            yield Finding(subject, "problem", text, error.next_step)


def _python(_profile: Profile) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", version)


def _imports(subject: str, *modules: str) -> Finding:
    # In a child process: a broken native library must not take this command along.
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]
    environment = {"ORT_DISABLE_TELEMETRY": "1", "PATH": "/usr/bin:/bin"}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, timeout=60, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(subject, "problem", "loading takes more than a minute")
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Finding(
            subject, "problem", last[0] if last else f"status {done.returncode}",
            "Install Hivekeep's packages again: make env",
        )  # fmt: skip
    return Finding(subject, "ok", f"{', '.join(modules)} can be loaded")


def _model(profile: Profile) -> Finding:
    store = open_store(profile)
    if store.is_installed(DEFAULT_MODEL):
        return Finding("model", "ok", f"{DEFAULT_MODEL} is installed and verified")
    return Finding(
        "model", "problem", f"{DEFAULT_MODEL} is not installed or not verified yet",
        "hivekeep models pull",
    )  # fmt: skip


def _memory(profile: Profile) -> Finding:
    needed = open_store(profile).entry(DEFAULT_MODEL).memory
    free = psutil.virtual_memory().available
    text = f"{size(free)} free, the default model needs {size(needed)}"
    if free < needed:
        return Finding("memory", "problem", text, "Close other programs, or use a smaller model.")
    return Finding("memory", "ok", text)


def _disk(profile: Profile) -> Finding:
    place = next(path for path in (profile.root, *profile.root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    text = f"{size(free)} free at {place}"
    if free < _DISK_WANTED:
        return Finding("disk", "remark", text, "Journal, audit log and results need some room.")
    return Finding("disk", "ok", text)


def _keys(profile: Profile) -> Finding:
    if needs_passphrase(profile.root, profile_id=profile.id):
        return Finding(
            "keys", "remark",
            "no OS keyring is used here; the keys are in a file under a passphrase",
            "'hivekeep daemon start' asks for it.",
        )  # fmt: skip
    return Finding("keys", "ok", "the OS keyring holds the keys")


def _journal(profile: Profile) -> Finding:
    # Imported here: no other command needs the database's library.
    from hivekeep.cli.doctor_journal import look_at_journal

    return look_at_journal(profile)


def _audit(profile: Profile) -> Finding:
    client = DaemonClient(profile)
    if client.running():
        audit = client.get("/v1/status")["audit"]
        if audit["state"] != "ok":
            return Finding(
                "audit log", "problem", f"it is not written, so nothing is done: {audit['why']}",
                "Make room or make the folder writable; the next action tries again."
                if audit["state"] == "blocked" else "Remove the cause and restart the daemon.",
            )  # fmt: skip
        if audit["anchor"] != "ok":
            return Finding("audit log", "remark", f"the key store lags behind: {audit['anchor']}")
        return Finding("audit log", "ok", f"{audit['records']} records, the newest in place")
    if profile.audit.exists() and not os.access(profile.audit, os.W_OK):
        return Finding(
            "audit log", "problem", f"{profile.audit} cannot be written",
            "Make the folder writable; without it nothing is done.",
        )  # fmt: skip
    return Finding("audit log", "ok", "looked at when the daemon runs; 'hivekeep audit verify'")


def _repair(profile: Profile, passphrase_fd: int | None) -> Finding:
    from hivekeep.cli.doctor_journal import repair_journal

    return repair_journal(profile, passphrase_fd)


def _policy(profile: Profile) -> Finding:
    rows = load_policy(policy_sources(profile)).rows()
    stated = [row for row in rows if str(row.level) != "default"]
    return Finding("policy", "ok", f"{len(stated)} of {len(rows)} keys are set, the rest defaults")


def _sandbox(profile: Profile) -> Finding:
    found = protections()
    active = ", ".join(status.protection for status in found if status.active)
    absent = "; ".join(
        f"{status.protection}: {status.detail}" for status in found if not status.active
    )
    required = load_policy(policy_sources(profile)).settings.sandbox.required
    if missing := missing_protections(required):
        return Finding(
            "sandbox", "problem", f"the policy requires {', '.join(missing)}; {absent}",
            "No document is opened until the system has it or the policy is changed.",
        )  # fmt: skip
    if absent:
        return Finding("sandbox", "remark", f"active: {active or 'nothing'}; not {absent}")
    return Finding("sandbox", "ok", f"active: {active}")


def _watching(_profile: Profile) -> Finding:
    try:
        most = int(_INOTIFY.read_text())
    except (OSError, ValueError):
        return Finding("watching", "ok", "this system has no limit on watched folders to look at")
    if most < _FEW_WATCHES:
        return Finding(
            "watching", "remark", f"the system allows {most} watched folders",
            "sudo sysctl fs.inotify.max_user_watches=524288",
        )  # fmt: skip
    return Finding("watching", "ok", f"the system allows {most} watched folders")


def _daemon(profile: Profile) -> Finding:
    client = DaemonClient(profile)
    if not client.running():
        return Finding("daemon", "remark", "not running", "hivekeep daemon start")
    status = client.get("/v1/status")
    return Finding("daemon", "ok", f"{status['state']}, process {status['pid']}")
