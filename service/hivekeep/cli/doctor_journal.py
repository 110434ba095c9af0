"""The part of ``hivekeep doctor`` that looks at the journal, and the one thing it can repair.

Responsible for finding the key and for keeping the daemon away meanwhile; reading damaged files is
``journal.salvage``'s, stopping the runs that lost something ``swarm.recovery``'s.
"""

from __future__ import annotations

import time

from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.cli.client import DaemonClient
from hivekeep.cli.finding import Finding
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.starting import locked
from hivekeep.journal import Journal, examine, journal_key, repair
from hivekeep.secrets import Passphrase, needs_passphrase, open_key_store
from hivekeep.swarm.recovery import reckon


def look_at_journal(profile: Profile) -> Finding:
    """Whether the journal is sound, as far as it can be told without asking for a passphrase."""
    client = DaemonClient(profile)
    if not profile.journal.exists():
        return Finding("journal", "ok", "there is none yet")
    if client.running():
        problems = client.post("/v1/journal/check")["problems"]
    elif needs_passphrase(profile.root, profile_id=profile.id):
        return Finding(
            "journal", "remark", "not looked at: its key is under the passphrase",
            "Start the daemon first, or run 'hivekeep doctor --repair'.",
        )  # fmt: skip
    else:
        keys = open_key_store(
            profile.root, profile_id=profile.id, passphrase=Passphrase(prompt=False)
        )
        problems = examine(profile.journal, journal_key(keys, profile.journal))
    if problems:
        return Finding(
            "journal", "problem", f"damaged: {problems[0]}",
            "hivekeep daemon stop, then hivekeep doctor --repair",
        )  # fmt: skip
    return Finding("journal", "ok", "encrypted, every page and index is sound")


def repair_journal(profile: Profile, passphrase_fd: int | None) -> Finding:
    """Rebuild what can be rebuilt; the audit log says so.

    :raises DaemonError: if the daemon is running.
    :raises JournalError: if nothing can be read under this profile's key.
    """
    with locked(profile.lock):
        keys = open_key_store(
            profile.root, profile_id=profile.id, passphrase=Passphrase(passphrase_fd)
        )
        if not profile.journal.exists():
            return Finding("repair", "ok", "there is no journal yet")
        key = journal_key(keys, profile.journal)
        result = repair(profile.journal, key, suffix=time.strftime("%Y%m%d-%H%M%S"))
        if not result.problems:
            return Finding("repair", "ok", "the journal was sound; nothing was changed")
        with Journal(profile.journal, key=key, clock=time.time) as journal:
            runs = reckon(journal, result.affected)
        audit = AuditLog.open(profile.audit, keys)
        try:
            audit.append(
                AuditEvent(
                    "user", "journal.repair", subject=str(profile.journal), outcome="repaired",
                    detail={
                        "problem": result.problems[0], "events": result.events,
                        "lost_events": result.lost_events, "lost_contents": result.lost_blobs,
                        "stopped": list(runs.stopped), "removed": list(runs.removed),
                    },
                )
            )  # fmt: skip
        finally:
            audit.close()
    if result.kept_file is None:
        return Finding("repair", "ok", "the journal's indexes were rebuilt; nothing was lost")
    text = (
        f"{result.events} events were saved, {result.lost_events} events and {result.lost_blobs} "
        f"stored texts are lost; the damaged file is {result.kept_file}"
    )
    said = (
        ("stopped, look before you resume them", runs.stopped),
        ("had ended, their history has gaps", runs.ended),
        ("forgotten, too little was left", runs.removed),
    )
    steps = [f"{what}: {', '.join(which)}" for what, which in said if which]
    return Finding("repair", "remark" if steps else "ok", text, "; ".join(steps))
