"""Whether a request may become a run: its size against the limits of policy and recipe.

Responsible for refusing before anything starts.  Invariant: nothing is cut off silently; what does
not fit is refused with the number that would.
"""

from __future__ import annotations

from dataclasses import replace

from hivekeep.domain.errors import UsageError
from hivekeep.domain.fields import PlanKind
from hivekeep.swarm.agent import steps_per_document
from hivekeep.swarm.events import RunRecord, RunRequest
from hivekeep.swarm.patterns.reduce import most_reducers
from hivekeep.swarm.ports import Limits

_OWN_STEPS = 6
"""Steps of a run itself: its overview, preparing and publishing up to four files."""


def most_steps(request: RunRequest) -> int:
    """The most steps that a run of this request can take; 0 if only its plan will tell."""
    plan = request.plan
    if plan.kind is PlanKind.ASK:
        return 0
    documents = len(request.inputs)
    reducers = most_reducers(plan, documents) if plan.overview else 0
    return steps_per_document(plan) * documents + reducers + _OWN_STEPS


def require_within(request: RunRequest, limits: Limits) -> None:
    """Refuse what would not fit.

    :raises UsageError: if there is nothing to do, or too much.
    """
    if not request.inputs and not request.goal:
        raise UsageError("There is nothing to do.", why="No input file was given.")
    wanted = request.plan.limits
    for name, asked, most in (
        ("sub-agents at once", wanted.agents, limits.agents),
        ("steps", wanted.run.steps, limits.steps),
        ("levels of sub-agents", wanted.depth, limits.depth),
    ):
        if asked is not None and asked > most:
            raise UsageError(
                f"The recipe asks for {asked} {name}.",
                why=f"{most} is the limit that policy sets.",
                next_step="Lower it in the recipe's 'limits'.",
            )
    allowed = min(limits.steps, wanted.run.steps or limits.steps)
    steps = most_steps(request)
    if steps > allowed:
        each = steps_per_document(request.plan)
        raise UsageError(
            f"The run would need up to {steps} steps.",
            why=f"{allowed} is the limit for one run.",
            next_step=f"Give at most {_fitting(request, allowed, each)} documents at a time.",
        )


def parted(request: RunRequest, limits: Limits) -> list[RunRequest]:
    """The request as runs that each fit the limits, in order; most often it is one.

    Parts of a batch are told apart by a number after the batch's id, so that a batch that is
    delivered again finds the runs that it has.
    """
    allowed = min(limits.steps, request.plan.limits.run.steps or limits.steps)
    most = _fitting(request, allowed, steps_per_document(request.plan))
    if most < 1 or len(request.inputs) <= most:
        return [request]
    return [
        replace(
            request,
            inputs=request.inputs[start : start + most],
            batch=f"{request.batch}/{start // most + 1}" if request.batch else "",
        )
        for start in range(0, len(request.inputs), most)
    ]


def joined(record: RunRecord, request: RunRequest, limits: Limits) -> RunRequest | None:
    """The run's request with the inputs of another one from the same folder, if they fit in.

    They do if nothing else is asked for, the whole is within the limits, and the run has used less
    than half of each of its budgets: what joins must not starve what is there.
    """
    ours, budget = record.request, record.request.plan.limits.run
    whole = replace(ours, inputs=ours.inputs + request.inputs)
    same = replace(request, inputs=whole.inputs, batch=ours.batch) == whole
    if not same or budget.exhausted(record.spent + record.spent):
        return None
    try:
        require_within(whole, limits)
    except UsageError:
        return None
    return whole


def _fitting(request: RunRequest, allowed: int, each: int) -> int:
    count = max((allowed - _OWN_STEPS) // each, 0)
    if request.plan.overview:
        while count and each * count + most_reducers(request.plan, count) + _OWN_STEPS > allowed:
            count -= 1
    return count
