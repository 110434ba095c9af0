"""What a repaired journal means for the runs that lost events.

Responsible for stopping runs whose past is no longer certain, so that a person decides whether
they go on; the journal's own repair is ``journal.salvage``.  Invariant: after it every run in the
journal can be folded, and no run that lost an event goes on by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from hivekeep.domain.errors import JournalError
from hivekeep.journal import Journal, NewEvent
from hivekeep.swarm.events import Kind, fold

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Runs by what became of them; those that had ended only have a thinner history."""

    stopped: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def reckon(journal: Journal, affected: Iterable[str]) -> Reckoning:
    """Stop the ``affected`` runs that were under way; remove those that make no sense any more."""
    stopped, ended, removed = list[str](), list[str](), list[str]()
    for run in affected:
        try:
            record = fold(list(journal.events(run))).get(run)
        except Exception:  # any error of folding means the same: too much is missing
            logger.exception("run %s cannot be put together any more", run)
            record = None
        if record is None:
            removed.append(run)
        elif record.state.ended:
            ended.append(run)
        else:
            stopped.append(run)
            journal.append_now(
                [NewEvent(run, Kind.RUN_FAILED, {"error": _in_doubt(run).as_dict()})]
            )
    if removed:
        journal.forget(removed)
    return Reckoning(tuple(stopped), tuple(ended), tuple(removed))


def _in_doubt(run: str) -> JournalError:
    return JournalError(
        "Part of this run's journal was lost to a damaged file.",
        why="A step whose record is gone may have been done already.",
        next_step=f"Look at its results first; 'hivekeep runs resume {run}' does again what is not "
        "recorded.",
    )
