"""Policy from the Windows registry and macOS managed preferences, both made up; who may write."""

from __future__ import annotations

import plistlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.policy.files import Desk

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.policy import Level, PolicyHolder, PolicySources, load_policy
from hivekeep.policy.machine import machine_sources
from hivekeep.policy.preferences import DOMAIN, preference_files
from hivekeep.policy.registry import POLICY_KEY, Hive, RegistryKey

DAY = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # property lists know no time zones


def key(values: dict[str, int | str] | None = None, **subkeys: RegistryKey) -> RegistryKey:
    return RegistryKey(values or {}, subkeys)


@dataclass
class MadeUpRegistry:
    """A registry in memory; ``broken`` stands for a hive that cannot be read."""

    hives: dict[Hive, RegistryKey] = field(default_factory=dict)
    broken: bool = False
    reads: int = 0

    def read(self, hive: Hive, path: str) -> RegistryKey | None:
        assert path == POLICY_KEY
        self.reads += 1
        if self.broken:
            raise PermissionError("access is denied")
        return self.hives.get(hive)


MACHINE = key(
    files=key(
        {"max_size": 1000},
        denied_folders=key({"2": "/two", "10": "/ten", "1": "/one"}),
    ),
    watch=key({"allowed": 0}),
    network=key({"model_downloads": "deny"}),
    Recommended=key(runs=key({"max_agents": 9})),
)


def with_registry(desk: Desk, registry: MadeUpRegistry) -> PolicySources:
    return replace(desk.sources, registry=registry)


def test_the_registry_as_the_template_writes_it(desk: Desk) -> None:
    user = key(files=key({"max_size": 500}), Recommended=key(runs=key({"max_agents": 5})))
    registry = MadeUpRegistry({Hive.MACHINE: MACHINE, Hive.USER: user})
    policy = load_policy(with_registry(desk, registry))
    settings = policy.settings
    assert settings.files.denied_folders == ("/one", "/two", "/ten")
    assert settings.files.max_size == 500
    assert not settings.watch.allowed
    assert settings.network.model_downloads == "deny"
    assert settings.runs.max_agents == 9
    sources = {row.key: (row.level, row.source) for row in policy.rows()}
    assert sources["watch.allowed"] == (
        Level.MANDATORY, r"HKEY_LOCAL_MACHINE\Software\Policies\Hivekeep",
    )  # fmt: skip
    assert sources["runs.max_agents"] == (
        Level.RECOMMENDED, r"HKEY_LOCAL_MACHINE\Software\Policies\Hivekeep\Recommended",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (key({"max_size": 1}), "max_size"),
        (key(nonsense=key({"x": 1})), "nonsense"),
        (key(files=key({"max_sise": 1})), "files.max_sise"),
        (key(files=key({"max_size": "1"})), "files.max_size"),
        (key(watch=key({"allowed": 2})), "watch.allowed"),
        (key(files=key(denied_folders=key({"1": "C"}))), "files.denied_folders[0]"),
        (key(files=key({"denied_folders": "/a"})), "files.denied_folders"),
        (key(Recommended=key(runs=key({"max_agents": 301}))), "runs.max_agents"),
    ],
)
def test_a_registry_value_that_is_not_understood_closes_everything(
    desk: Desk, wrong: RegistryKey, named: str
) -> None:
    registry = MadeUpRegistry({Hive.MACHINE: wrong})
    with pytest.raises(PolicyInvalidError) as caught:
        load_policy(with_registry(desk, registry))
    assert named in caught.value.why
    assert POLICY_KEY in caught.value.what


def test_a_registry_that_cannot_be_read_closes_everything(desk: Desk) -> None:
    with pytest.raises(PolicyInvalidError, match="access is denied"):
        load_policy(with_registry(desk, MadeUpRegistry(broken=True)))


def test_the_holder_reads_the_registry_once_a_second(desk: Desk) -> None:
    registry, now = MadeUpRegistry(), 0.0
    holder = PolicyHolder(with_registry(desk, registry), monotonic=lambda: now)
    watching = Action(ActionKind.WATCH_FOLDER, path="/a")
    assert holder.current().decide(watching).allowed
    registry.hives[Hive.MACHINE] = MACHINE
    before = registry.reads
    for _ in range(100):
        holder.current()
    assert registry.reads == before
    now = 1.0
    assert not holder.current().decide(watching).allowed
    registry.broken = True
    now = 2.0
    assert holder.problem is not None


def write_plist(path: Path, data: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps(data, **options))


@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_managed_preferences(desk: Desk, form: plistlib.PlistFormat) -> None:
    machine, own = preference_files("ada", desk.root / "Managed Preferences")
    assert own.parts[-2:] == ("ada", f"{DOMAIN}.plist")
    data = {
        "files": {"denied_folders": ["/secret"]},
        "recommended": {"runs": {"max_agents": 5}},
        "PayloadUUID": "x",
    }
    write_plist(machine, data, fmt=form)
    write_plist(own, {"watch": {"allowed": False}}, fmt=form)
    sources = replace(desk.sources, preferences=(machine, own))
    policy = load_policy(sources)
    assert not policy.decide(Action(ActionKind.READ_FILE, path="/secret/a")).allowed
    assert not policy.settings.watch.allowed
    assert {row.key: row.level for row in policy.rows()}["runs.max_agents"] is Level.RECOMMENDED
    holder = PolicyHolder(sources)
    assert not holder.current().settings.watch.allowed
    own.unlink()
    assert holder.current().settings.watch.allowed


@pytest.mark.parametrize(
    "content",
    [
        b"", b"nonsense", b"<plist><dict>", b'<?xml version="1.0" encoding="UTF-9"?><plist/>',
        b"bplist00\xff\xff",
        plistlib.dumps([1]), plistlib.dumps({"files": {"max_sise": 1}}),
        plistlib.dumps({"watch": {"allowed": DAY}}),
        plistlib.dumps({"watch": {"allowed": b"yes"}}),
        plistlib.dumps({"recommended": {"runs": 1}}),
        plistlib.dumps({"recommended": 1}),
    ],
)  # fmt: skip
def test_a_property_list_that_is_no_policy(desk: Desk, content: bytes) -> None:
    path = desk.root / "org.hivekeep.hivekeep.plist"
    path.write_bytes(content)
    with pytest.raises(PolicyInvalidError, match=r"org\.hivekeep"):
        load_policy(replace(desk.sources, preferences=(path,)))


def test_files_of_the_machine_have_to_belong_to_an_administrator(desk: Desk) -> None:
    desk.managed({})
    nobody = frozenset({4_000_000})
    with pytest.raises(PolicyInvalidError, match="not an administrator"):
        load_policy(replace(desk.sources, owners=nobody))


def test_a_folder_above_that_others_may_write_to_is_not_believed(desk: Desk) -> None:
    path = desk.managed({})
    path.parent.parent.chmod(0o777)
    with pytest.raises(PolicyInvalidError, match="Everybody may write"):
        desk.load()
    path.parent.parent.chmod(0o755)
    desk.load()


def test_a_policy_that_is_no_regular_file(desk: Desk) -> None:
    desk.managed({}).parent.joinpath("20.json").mkdir()
    with pytest.raises(PolicyInvalidError, match=r"20\.json"):
        desk.load()


def test_the_contact_is_found_in_any_policy_that_can_be_read(desk: Desk) -> None:
    desk.managed({"support": {"contact": "IT desk, 1234"}}, "10.json")
    desk.managed("{", "20.json")
    with pytest.raises(PolicyInvalidError) as caught:
        desk.load()
    assert "IT desk, 1234" in caught.value.next_step
    decision = PolicyHolder(desk.sources).current().decide(Action(ActionKind.NOTIFY))
    assert "IT desk, 1234" in decision.reason


def test_each_system_has_its_places(tmp_path: Path) -> None:
    user, state = tmp_path / "policy.json", tmp_path / "seen.json"
    linux = machine_sources(user, state, platform="linux")
    assert linux.managed == Path("/etc/hivekeep/policies/managed")
    assert linux.preferences == ()
    mac = machine_sources(user, state, platform="darwin")
    assert mac.preferences[0] == Path("/Library/Managed Preferences/org.hivekeep.hivekeep.plist")
    assert mac.user == user
    assert linux.owners == frozenset({0})
