"""Builds the parts that commands and the daemon share from a profile.

Responsible for where policy comes from, for the permission to download, and for what policy is told
of a recipe; it starts nothing.
"""

from __future__ import annotations

import os

from hivekeep.daemon.profile import Profile
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.domain.saying import say
from hivekeep.engine.calibration import Calibrations
from hivekeep.engine.store import ModelStore, Permit
from hivekeep.policy import Policy, PolicySources, load_policy, machine_sources
from hivekeep.policy.detached import file_signers
from hivekeep.recipes import Recipe


def policy_sources(profile: Profile) -> PolicySources:
    """Where the policy of this machine and of the profile's owner is written."""
    return machine_sources(profile.policy, profile.root / "policy-seen.json")


def open_store(profile: Profile, *, permit: Permit | None = None) -> ModelStore:
    """The user's model store; without ``permit`` it makes no connection."""
    folder = profile.models()
    return ModelStore(folder) if permit is None else ModelStore(folder, permit=permit)


def open_calibrations(profile: Profile) -> Calibrations:
    """What was measured on this machine; it lies beside the models, for all profiles of a user."""
    return Calibrations(profile.models() / "calibration")


class DownloadPermit:
    """Asks policy, and through it a person, before each host a download connects to.

    :param confirmed: whether the person has agreed already, for example with ``--yes``.
    :raises PolicyInvalidError: if the policy cannot be used.
    """

    def __init__(self, profile: Profile, *, confirmed: bool = False) -> None:
        self._policy: Policy = load_policy(policy_sources(profile))
        self._confirmed = confirmed

    def decided(self) -> bool:
        """Whether there is nothing left to ask a person: policy says yes, or no in any case."""
        action = Action(ActionKind.DOWNLOAD_MODEL)
        without = self._policy.decide(action, confirmed=False).allowed
        return without == self._policy.decide(action, confirmed=True).allowed or self._confirmed

    def confirm(self) -> None:
        """A person has agreed."""
        self._confirmed = True

    def __call__(self, host: str) -> None:
        """Allow a connection to ``host`` or refuse it.

        :raises PolicyDeniedError: with the rule that forbids it.
        """
        action = Action(ActionKind.DOWNLOAD_MODEL, host=host)
        decision = self._policy.decide(action, confirmed=self._confirmed)
        if not decision.allowed:
            raise PolicyDeniedError(
                say("error.download", "Downloading a model from {host} is not allowed.", host=host),
                rule=decision.rule,
                why=f"{decision.reason} ({decision.rule}, {decision.source})",
                next_step="Ask whoever administers this machine, or answer yes when asked.",
            )


def resolved(path: str) -> str:
    """``path`` without symbolic links, as policy wants it; empty stays empty."""
    return os.path.realpath(path) if path else ""


def recipe_action(recipe: Recipe, policy: Policy) -> Action:
    """Using ``recipe`` as policy judges it: where it comes from and whose signature it bears."""
    if recipe.builtin:
        return Action(ActionKind.USE_RECIPE, recipe=recipe.name)
    signers = file_signers(recipe.path, recipe.sha256)
    trusted = policy.settings.recipes.trusted_keys
    signer = next((key for key in signers if key in trusted), next(iter(signers), ""))
    return Action(ActionKind.USE_RECIPE, recipe=recipe.name, user_recipe=True, signer=signer)
