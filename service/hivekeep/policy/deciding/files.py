"""Decisions about files and folders.

Responsible for places, types and sizes.  Invariant: a path that is not absolute and resolved lies
in no folder, so nothing may be done with it.
"""

from __future__ import annotations

from hivekeep.domain.actions import Action, Decision, Effect
from hivekeep.domain.saying import Said, say
from hivekeep.policy.deciding.answers import malformed, no, no_by, yes, yes_by
from hivekeep.policy.paths import components
from hivekeep.policy.rules import Rulebook, RuleList
from hivekeep.policy.types import suffix_of


def read(book: Rulebook, action: Action) -> Decision:
    """Whether a file may be read: its place, its type, its size."""
    parts = components(action.path)
    if parts is None:
        return _unresolved("files", action.path)
    place = _place(book, parts, action.path)
    if place.effect is Effect.DENY:
        return place
    suffix = suffix_of(action.path)
    denied = book.rules("files.denied_types").find(suffix)
    if denied is not None:
        return no_by(
            denied, say("rule.type", "Files of type '{suffix}' may not be read.", suffix=suffix)
        )
    types = book.rules("files.allowed_types")
    if not types.anything and types.find(suffix) is None:
        return no(
            types, say("rule.type", "Files of type '{suffix}' may not be read.", suffix=suffix)
        )
    limit = book.setting("files.max_size")
    if limit.value is not None and action.size > limit.value:
        reason = say(
            "rule.size", "The file has {size} bytes, at most {most} are allowed.",
            size=action.size, most=limit.value,
        )  # fmt: skip
        return no(limit, reason)
    return place


def write(book: Rulebook, action: Action) -> Decision:
    """Whether a result may be written."""
    return _target(book, action.path, book.rules("files.output_folders"))


def copy(book: Rulebook, action: Action) -> Decision:
    """Whether a recipe may copy an input."""
    grant = book.setting("file_actions.allow_copy")
    if not grant.value:
        return no(grant, say("rule.no_copy", "Recipes may not copy files."))
    source = read(book, action)
    if source.effect is Effect.DENY:
        return source
    return _target(book, action.target, book.rules("file_actions.target_folders"))


def move(book: Rulebook, action: Action) -> Decision:
    """Whether a recipe may move an input."""
    grant = book.setting("file_actions.allow_move")
    if not grant.value:
        return no(grant, say("rule.no_move", "Recipes may not move files."))
    source = _changed(book, action)
    if source.effect is Effect.DENY:
        return source
    return _target(book, action.target, book.rules("file_actions.target_folders"))


def delete(book: Rulebook, action: Action) -> Decision:
    """Whether a file may be deleted."""
    grant = book.setting("file_actions.allow_delete")
    if not grant.value:
        return no(grant, say("rule.no_delete", "Files may not be deleted."))
    source = _changed(book, action)
    return (
        source
        if source.effect is Effect.DENY
        else yes(grant, say("rule.delete", "Files may be deleted."))
    )


def watch(book: Rulebook, action: Action) -> Decision:
    """Whether a folder may be watched."""
    grant = book.setting("watch.allowed")
    if not grant.value:
        return no(grant, say("rule.no_watch", "Folders may not be watched."))
    parts = components(action.path)
    if parts is None:
        return _unresolved("files", action.path)
    return _place(book, parts, action.path)


def show(book: Rulebook, path: str) -> Decision:
    """Whether a program may see a folder with all below it, or a file.

    Nobody is asked again for each file in it, so it may hold no denied folder, and where only some
    types may be read none is shown.
    """
    parts = components(path)
    if parts is None:
        return _unresolved("files", path)
    place = _place(book, parts, path)
    if place.effect is Effect.DENY:
        return place
    inside = book.rules("files.denied_folders").below(parts)
    if inside is not None:
        return no_by(inside, f"'{path}' holds a denied folder.")
    for key in ("files.allowed_types", "files.denied_types"):
        types = book.rules(key)
        if not types.anything and (types.names or key == "files.allowed_types"):
            return no(types, f"Not every type of file may be read, so '{path}' is not shown whole.")
    return place


def _changed(book: Rulebook, action: Action) -> Decision:
    """Whether a file may be read and then taken away from where it is."""
    source = read(book, action)
    if source.effect is Effect.DENY:
        return source
    fixed = book.rules("files.read_only_folders").holding(components(action.path) or [])
    if fixed is not None:
        return no_by(fixed, _fixed(action.path))
    return source


def _place(book: Rulebook, parts: list[str], path: str) -> Decision:
    """Whether a path lies where reading is allowed."""
    denied = book.rules("files.denied_folders").holding(parts)
    if denied is not None:
        return no_by(
            denied, say("rule.denied_folder", "'{path}' is in a denied folder.", path=path)
        )
    folders = book.rules("files.allowed_folders")
    if folders.anything:
        return yes(folders, say("rule.read_all", "All may be read."))
    allowed = folders.holding(parts)
    if allowed is None:
        return no(folders, say("rule.no_folder", "'{path}' is in no allowed folder.", path=path))
    return yes_by(allowed, say("rule.allowed_folder", "It is in an allowed folder."))


def _target(book: Rulebook, path: str, folders: RuleList) -> Decision:
    """Whether a path lies where ``folders`` allow writing."""
    parts = components(path)
    if parts is None:
        return _unresolved(folders.key, path)
    denied = book.rules("files.denied_folders").holding(parts)
    if denied is not None:
        return no_by(
            denied, say("rule.denied_folder", "'{path}' is in a denied folder.", path=path)
        )
    fixed = book.rules("files.read_only_folders").holding(parts)
    if fixed is not None:
        return no_by(fixed, _fixed(path))
    if folders.anything:
        return yes(folders, say("rule.write_all", "All may be written to."))
    found = folders.holding(parts)
    if found is None:
        return no(folders, say("rule.no_write", "Nothing may be written to '{path}'.", path=path))
    return yes_by(found, say("rule.write", "It may be written to."))


def _fixed(path: str) -> Said:
    return say("rule.read_only", "'{path}' is in a read-only folder.", path=path)


def _unresolved(key: str, path: str) -> Decision:
    return malformed(
        f"{key}.path", say("rule.unresolved", "'{path}' is not a resolved path.", path=path)
    )
