"""Decisions about runs, schedules, recipes and models."""

from __future__ import annotations

import re

from hivekeep.domain.actions import Action, Decision, Effect
from hivekeep.domain.saying import say
from hivekeep.policy.deciding.answers import listed, malformed, no, no_by, yes
from hivekeep.policy.rules import Rulebook

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def start_run(book: Rulebook, action: Action) -> Decision:
    """Whether a run of this size may start."""
    limit = book.setting("runs.max_documents")
    if action.count > limit.value:
        reason = say(
            "rule.run_size", "The run has {count} documents, at most {most} are allowed.",
            count=action.count, most=limit.value,
        )  # fmt: skip
        return no(limit, reason)
    return yes(limit, say("rule.run_fits", "The run is not too large."))


def schedule_run(book: Rulebook, action: Action) -> Decision:
    """Whether a schedule may be made, or may start a run now."""
    grant = book.setting("schedules.allowed")
    if not grant.value:
        return no(grant, say("rule.no_schedule", "Schedules may not start runs."))
    quiet = book.rules("schedules.quiet_hours")
    if action.local_time and quiet.names:
        if not _CLOCK.fullmatch(action.local_time):
            return malformed(
                quiet.key,
                say("rule.no_time", "'{time}' is not a time of day.", time=action.local_time),
            )
        for hours, item in quiet.names.items():
            if _within(hours, action.local_time):
                reason = say("rule.quiet", "{time} is within quiet hours.", time=action.local_time)
                return no_by(item, reason)
    return yes(grant, say("rule.schedule", "Schedules may start runs."))


def use_recipe(book: Rulebook, action: Action) -> Decision:
    """Whether a recipe may be used: its origin, its signature, its name."""
    if action.user_recipe:
        grant = book.setting("recipes.user_recipes")
        if not grant.value:
            return no(
                grant, say("rule.own_recipes", "Only recipes that ship with Hivekeep may be used.")
            )
        duty = book.setting("recipes.require_signature")
        keys = book.rules("recipes.trusted_keys")
        if duty.value and keys.find(action.signer) is None:
            name = action.recipe
            unsigned = say("rule.unsigned", "The recipe '{recipe}' is not signed.", recipe=name)
            untrusted = say(
                "rule.untrusted_key",
                "The recipe '{recipe}' is not signed by a key that is trusted here.",
                recipe=name,
            )
            return no(duty, untrusted if action.signer else unsigned)
    return listed(
        book.rules("recipes.allowed"),
        action.recipe,
        say("subject.recipe", "The recipe '{name}'", name=action.recipe),
    )


def use_model(book: Rulebook, action: Action) -> Decision:
    """Whether a model may be used: its name and the hash of its file."""
    by_name = listed(
        book.rules("models.allowed"),
        action.model,
        say("subject.model", "The model '{name}'", name=action.model),
    )
    hashes = book.rules("models.allowed_sha256")
    if by_name.effect is Effect.DENY or hashes.anything:
        return by_name
    return listed(
        hashes,
        action.model_sha256,
        say("subject.model_file", "The file of model '{name}'", name=action.model),
    )


def _within(hours: str, time: str) -> bool:
    begin, _, end = hours.partition("-")
    return begin <= time < end if begin < end else time >= begin or time < end
