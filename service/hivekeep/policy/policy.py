"""The policy in force: one question, one answer, and the rule that gave it.

Responsible for deciding from data handed to it; it performs no action and touches no file.
Invariant: whatever denies is asked before whatever allows, and an action that no rule speaks of is
denied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hivekeep.domain.actions import Action, ActionKind, Decision, Label
from hivekeep.domain.errors import PolicyDeniedError, PolicyInvalidError
from hivekeep.policy.loading import Level, PolicySources, read_layers
from hivekeep.policy.merging import DEFAULT_SOURCE, PolicyRow, Setting, as_settings, merge
from hivekeep.policy.paths import components
from hivekeep.policy.rules import RuleList, folder_rules, name_rules, type_rules
from hivekeep.policy.schema import (
    NetworkRules,
    PolicySettings,
    RecipeRules,
    RunRules,
    WatchRules,
)
from hivekeep.policy.types import suffix_of


class Policy:
    """An immutable policy."""

    def __init__(self, settings: Mapping[str, Setting], rows: tuple[PolicyRow, ...]) -> None:
        self._settings = dict(settings)
        self._rows = rows
        self.settings: PolicySettings = as_settings(self._settings)
        self._allowed_folders = folder_rules(settings["files.allowed_folders"])
        self._denied_folders = folder_rules(settings["files.denied_folders"], as_written=True)
        self._output_folders = folder_rules(settings["files.output_folders"])
        self._target_folders = folder_rules(settings["file_actions.target_folders"])
        self._allowed_types = type_rules(settings["files.allowed_types"])
        self._denied_types = type_rules(settings["files.denied_types"])
        self._hosts = name_rules(settings["network.allowed_hosts"], fold=True)
        self._recipes = name_rules(settings["recipes.allowed"])
        self._models = name_rules(settings["models.allowed"])
        self._hashes = name_rules(settings["models.allowed_sha256"])
        self._untrusted = name_rules(settings["labels.untrusted_actions"])
        self._ask: dict[ActionKind, Callable[[Action], Decision]] = {
            ActionKind.READ_FILE: self._read_file,
            ActionKind.WRITE_FILE: self._write_file,
            ActionKind.COPY_FILE: self._copy_or_move,
            ActionKind.MOVE_FILE: self._copy_or_move,
            ActionKind.WATCH_FOLDER: self._watch_folder,
            ActionKind.START_RUN: self._start_run,
            ActionKind.USE_RECIPE: self._use_recipe,
            ActionKind.USE_MODEL: self._use_model,
            ActionKind.CONNECT: self._connect,
        }

    def decide(self, action: Action, *, confirmed: bool = False) -> Decision:
        """Whether ``action`` may happen.

        :param confirmed: a person said yes to exactly this, which is what ``ask`` waits for.
        """
        if action.label is Label.UNTRUSTED:
            granted = self._untrusted.find(action.kind.value)
            if granted is None:
                return _no(
                    self._untrusted,
                    f"What a document says may not lead to '{action.kind.value}'.",
                )
        if action.kind is ActionKind.DOWNLOAD_MODEL:
            return self._download_model(action, confirmed)
        ask = self._ask.get(action.kind)
        if ask is None:
            return Decision(False, "default", DEFAULT_SOURCE, "No rule speaks of this action.")
        return ask(action)

    def require(self, action: Action, *, confirmed: bool = False) -> Decision:
        """The decision, if it allows.

        :raises PolicyDeniedError: if it does not.
        """
        decision = self.decide(action, confirmed=confirmed)
        if not decision.allowed:
            raise PolicyDeniedError(
                decision.reason,
                rule=decision.rule,
                why=f"The rule is {decision.rule} ({decision.source}).",
                next_step="'hivekeep policy show' lists all rules.",
            )
        return decision

    def rows(self) -> tuple[PolicyRow, ...]:
        """Every key with its value and who says so; a key that several sources tighten has more."""
        return self._rows

    # One method per kind of action. Denials come first.

    def _read_file(self, action: Action) -> Decision:
        parts = components(action.path)
        if parts is None:
            return _unresolved("files", action.path)
        place = self._place(parts, action.path)
        if not place.allowed:
            return place
        suffix = suffix_of(action.path)
        denied = self._denied_types.find(suffix)
        if denied is not None:
            return Decision(
                False, denied.rule, denied.source, f"Files of type '{suffix}' may not be read."
            )
        if not self._allowed_types.anything and self._allowed_types.find(suffix) is None:
            return _no(self._allowed_types, f"Files of type '{suffix}' may not be read.")
        limit = self._settings["files.max_size"]
        if limit.value is not None and action.size > limit.value:
            return Decision(
                False, limit.key, limit.source,
                f"The file has {action.size} bytes, at most {limit.value} are allowed.",
            )  # fmt: skip
        return place

    def _write_file(self, action: Action) -> Decision:
        return self._target(action.path, self._output_folders)

    def _copy_or_move(self, action: Action) -> Decision:
        moves = action.kind is ActionKind.MOVE_FILE
        grant = self._settings[f"file_actions.allow_{'move' if moves else 'copy'}"]
        if not grant.value:
            verb = "move" if moves else "copy"
            return Decision(False, grant.key, grant.source, f"Recipes may not {verb} files.")
        source = self._read_file(action)
        if not source.allowed:
            return source
        return self._target(action.target, self._target_folders)

    def _watch_folder(self, action: Action) -> Decision:
        grant = self._settings["watch.allowed"]
        if not grant.value:
            return Decision(False, grant.key, grant.source, "Folders may not be watched.")
        parts = components(action.path)
        if parts is None:
            return _unresolved("files", action.path)
        return self._place(parts, action.path)

    def _start_run(self, action: Action) -> Decision:
        limit = self._settings["runs.max_documents"]
        if action.count > limit.value:
            return Decision(
                False, limit.key, limit.source,
                f"The run has {action.count} documents, at most {limit.value} are allowed.",
            )  # fmt: skip
        return Decision(True, limit.key, limit.source, "The run is not too large.")

    def _use_recipe(self, action: Action) -> Decision:
        grant = self._settings["recipes.user_recipes"]
        if action.user_recipe and not grant.value:
            return Decision(
                False, grant.key, grant.source, "Only recipes that ship with Hivekeep may be used."
            )
        return _listed(self._recipes, action.recipe, f"The recipe '{action.recipe}'")

    def _use_model(self, action: Action) -> Decision:
        by_name = _listed(self._models, action.model, f"The model '{action.model}'")
        if not by_name.allowed or self._hashes.anything:
            return by_name
        return _listed(self._hashes, action.model_sha256, f"The file of model '{action.model}'")

    def _download_model(self, action: Action, confirmed: bool) -> Decision:
        if action.model:
            known = _listed(self._models, action.model, f"The model '{action.model}'")
            if not known.allowed:
                return known
        choice = self._settings["network.model_downloads"]
        allowed = choice.value == "allow" or (choice.value == "ask" and confirmed)
        if allowed:
            reason = "Models may be downloaded."
        elif choice.value == "ask":
            reason = "A model may be downloaded only after a person has agreed."
        else:
            reason = "Models may not be downloaded."
        return Decision(allowed, choice.key, choice.source, reason)

    def _connect(self, action: Action) -> Decision:
        host = action.host.lower().rstrip(".")
        for name in (host, *_wildcards(host)):
            found = self._hosts.find(name)
            if found is not None:
                return Decision(True, found.rule, found.source, f"'{host}' may be connected to.")
        return _no(self._hosts, f"'{host}' may not be connected to.")

    def _place(self, parts: list[str], path: str) -> Decision:
        """Whether a path lies where reading is allowed."""
        denied = self._denied_folders.holding(parts)
        if denied is not None:
            return Decision(False, denied.rule, denied.source, f"'{path}' is in a denied folder.")
        if self._allowed_folders.anything:
            return Decision(
                True, self._allowed_folders.key, self._allowed_folders.source, "All may be read."
            )
        allowed = self._allowed_folders.holding(parts)
        if allowed is None:
            return _no(self._allowed_folders, f"'{path}' is in no allowed folder.")
        return Decision(True, allowed.rule, allowed.source, "It is in an allowed folder.")

    def _target(self, path: str, folders: RuleList) -> Decision:
        """Whether a path lies where ``folders`` allow writing."""
        parts = components(path)
        if parts is None:
            return _unresolved(folders.key, path)
        denied = self._denied_folders.holding(parts)
        if denied is not None:
            return Decision(False, denied.rule, denied.source, f"'{path}' is in a denied folder.")
        if folders.anything:
            return Decision(True, folders.key, folders.source, "All may be written to.")
        found = folders.holding(parts)
        if found is None:
            return _no(folders, f"Nothing may be written to '{path}'.")
        return Decision(True, found.rule, found.source, "It may be written to.")


class InvalidPolicy(Policy):
    """What is in force while the real policy cannot be understood: nothing is allowed."""

    def __init__(self, problem: PolicyInvalidError) -> None:
        row = PolicyRow("policy", str(problem), problem.what, Level.MANDATORY)
        settings, _ = merge([])
        super().__init__(settings, (row,))
        self.problem = problem
        self.settings = PolicySettings(
            runs=RunRules(max_documents=0, max_agents=0),
            recipes=RecipeRules(allowed=(), user_recipes=False),
            network=NetworkRules(model_downloads="deny"),
            watch=WatchRules(allowed=False),
        )

    def decide(self, action: Action, *, confirmed: bool = False) -> Decision:  # noqa: ARG002
        """No."""
        return Decision(False, "policy.invalid", self.problem.what, str(self.problem))


def load_policy(sources: PolicySources) -> Policy:
    """Read, validate and combine all sources.

    :raises PolicyInvalidError: if any file cannot be used; then nothing may be done.
    """
    return Policy(*merge(read_layers(sources)))


def _listed(rules: RuleList, name: str, subject: str) -> Decision:
    if rules.anything:
        return Decision(True, rules.key, rules.source, f"{subject} may be used.")
    found = rules.find(name)
    if found is None:
        return _no(rules, f"{subject} may not be used.")
    return Decision(True, found.rule, found.source, f"{subject} may be used.")


def _no(rules: RuleList, reason: str) -> Decision:
    return Decision(False, rules.key, rules.source, reason)


def _unresolved(key: str, path: str) -> Decision:
    return Decision(False, f"{key}.path", DEFAULT_SOURCE, f"'{path}' is not a resolved path.")


def _wildcards(host: str) -> list[str]:
    labels = host.split(".")
    return ["*." + ".".join(labels[start:]) for start in range(1, len(labels))]
