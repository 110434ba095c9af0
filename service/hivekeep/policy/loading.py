"""All sources of policy read into layers: which there are, in what order, and who is to be asked.

Responsible for the order and for failing as a whole; what each source looks like is in its module,
how layers combine is ``merging``'s.  Invariant: a source that exists but cannot be read, understood
or trusted is an error, never skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.policy.bundle import Remembered, verify_bundle
from hivekeep.policy.layers import USER_SOURCE, Layer, Level, parse_text, unusable
from hivekeep.policy.preferences import preference_layers
from hivekeep.policy.registry import RegistryReader, registry_layers
from hivekeep.policy.remembering import recall, remember
from hivekeep.policy.signing import EnvelopeError, key_id, load_public
from hivekeep.policy.trusted_files import (
    ROOT,
    exists,
    list_folder,
    read_file,
    user_owners,
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class PolicySources:
    """Where policy comes from.

    ``managed`` and ``recommended`` are folders of JSON files, ``bundle`` a signed one whose keys
    lie as ``*.pem`` in ``keys``; ``state`` is where what was seen of bundles is remembered.
    ``preferences`` are macOS property lists.  ``contact`` is a text file that says whom to ask when
    nothing else can be read.  Files of the machine have to belong to one of ``owners``.
    """

    managed: Path = Path("/etc/hivekeep/policies/managed")
    recommended: Path = Path("/etc/hivekeep/policies/recommended")
    user: Path | None = None
    bundle: Path | None = None
    keys: Path | None = None
    state: Path | None = None
    contact: Path | None = None
    preferences: tuple[Path, ...] = ()
    registry: RegistryReader | None = None
    owners: frozenset[int] = ROOT
    now: Callable[[], datetime] = _utc_now


@dataclass(frozen=True, slots=True)
class Loaded:
    """Every layer in force; ``expires`` is when they have to be read anew at the latest."""

    layers: tuple[Layer, ...]
    expires: datetime | None = None


def read_all(sources: PolicySources) -> Loaded:
    """Every source, machine policy first, each folder's files in the order of their names.

    :raises PolicyInvalidError: if any of them cannot be used; it says whom to ask, if any source
        that can be read tells.
    """
    found: list[Loaded] = []
    problems: list[PolicyInvalidError] = []
    for read in _readers(sources):
        try:
            found.append(read())
        except PolicyInvalidError as problem:
            problems.append(problem)
    layers = tuple(layer for loaded in found for layer in loaded.layers)
    if problems:
        # A mistake in the user's own file, which is read last, is the user's to correct.
        own = sources.user is not None and str(sources.user) in problems[0].what
        raise problems[0] if own else _with_contact(problems[0], _contact(sources, layers))
    return Loaded(layers, next((one.expires for one in found if one.expires), None))


def watched_paths(sources: PolicySources) -> tuple[Path, ...]:
    """Every path whose change can change the policy."""
    folders = [(sources.managed, ".json"), (sources.recommended, ".json")]
    single = [sources.user, sources.bundle, *sources.preferences]
    if sources.keys is not None:
        folders.append((sources.keys, ".pem"))
    paths = [path for path in single if path is not None]
    for folder, suffix in folders:
        paths.append(folder)
        try:
            paths += sorted(path for path in folder.iterdir() if path.suffix == suffix)
        except OSError:
            continue  # loading says what is wrong with it
    return tuple(paths)


def _readers(sources: PolicySources) -> Iterator[Callable[[], Loaded]]:
    """One way of reading for each source, in the order in which they count."""
    if sources.bundle is not None:
        yield partial(_read_bundle, sources, sources.bundle)
    if sources.registry is not None:
        yield partial(_read_registry, sources.registry)
    for path in sources.preferences:
        yield partial(_read_preferences, path, sources.owners)
    yield from _folder_readers(sources.managed, Level.MANDATORY, sources.owners)
    yield from _folder_readers(sources.recommended, Level.RECOMMENDED, sources.owners)
    if sources.user is not None:
        yield partial(_read_user, sources.user)


def pinned_keys(folder: Path | None, owners: Iterable[int]) -> tuple[str, ...]:
    """The ids of the keys that this machine trusts from the start.

    :raises PolicyInvalidError: if a file of them cannot be used.
    """
    if folder is None:
        return ()
    allowed = frozenset(owners)
    found = []
    for path in list_folder(folder, ".pem", allowed):
        try:
            found.append(key_id(load_public(read_file(path, allowed))))
        except EnvelopeError as error:
            raise unusable(str(path), f"As a key, {error}.") from error
    return tuple(found)


def _read_bundle(sources: PolicySources, bundle: Path) -> Loaded:
    pinned = pinned_keys(sources.keys, sources.owners)
    if not exists(bundle):
        if not pinned:
            return Loaded(())
        raise unusable(str(bundle), "Keys are pinned on this machine, but there is no bundle.")
    # A bundle is believed for its signature, so it does not matter who put it there.
    raw = read_file(bundle, owners=None)
    known = Remembered() if sources.state is None else recall(sources.state)
    verified = verify_bundle(
        raw, source=str(bundle), pinned=pinned, remembered=known, now=sources.now()
    )
    layers = tuple(verified.layers(str(bundle)))
    if sources.state is not None and verified.remember != known:
        remember(sources.state, verified.remember)
    return Loaded(layers, verified.payload.expires)


def _read_registry(reader: RegistryReader) -> Loaded:
    return Loaded(tuple(registry_layers(reader)))


def _read_preferences(path: Path, owners: frozenset[int]) -> Loaded:
    return Loaded(tuple(preference_layers(path, owners)))


def _folder_readers(
    folder: Path, level: Level, owners: frozenset[int]
) -> Iterator[Callable[[], Loaded]]:
    try:
        paths = list_folder(folder, ".json", owners)
    except PolicyInvalidError as problem:
        yield partial(_fail, problem)
        return
    for path in paths:
        yield partial(_read_file, path, level, owners)


def _read_file(path: Path, level: Level, owners: frozenset[int]) -> Loaded:
    return Loaded((parse_text(read_file(path, owners), level, str(path)),))


def _fail(problem: PolicyInvalidError) -> Loaded:
    raise problem


def _read_user(path: Path) -> Loaded:
    if not exists(path):
        return Loaded(())
    raw = read_file(path, owners=user_owners(), folders=False)
    return Loaded((parse_text(raw, Level.USER, USER_SOURCE, name=str(path)),))


def _contact(sources: PolicySources, layers: Iterable[Layer]) -> str:
    for layer in layers:
        if layer.level is Level.MANDATORY and layer.contact:
            return layer.contact
    if sources.contact is None or not exists(sources.contact):
        return ""
    try:
        text = read_file(sources.contact, sources.owners).decode("utf-8", "replace")
    except PolicyInvalidError:
        return ""  # it is only asked when there is a graver problem to tell of
    return " ".join(text.split())[:300]


def _with_contact(problem: PolicyInvalidError, contact: str) -> PolicyInvalidError:
    if not contact:
        return problem
    return PolicyInvalidError(
        problem.what, why=problem.why, next_step=f"Ask whoever looks after this policy: {contact}."
    )
