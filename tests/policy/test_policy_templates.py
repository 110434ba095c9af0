"""The generated files: fresh, well-formed, complete, and read back by the program itself."""

from __future__ import annotations

import json
import plistlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from defusedxml.ElementTree import fromstring
from tests.policy.files import Desk
from tests.policy.test_policy_platforms import MadeUpRegistry

from hivekeep.policy import Level, load_policy
from hivekeep.policy.generated.chinese import CHOICES, KEYS, SECTIONS
from hivekeep.policy.generated.example import MANAGED
from hivekeep.policy.generated.files import generated_files, stale_files, write_files
from hivekeep.policy.keys import Key, Shape, keys
from hivekeep.policy.registry import Hive, RegistryKey
from hivekeep.policy.schema import markers, sections

ROOT = Path(__file__).resolve().parents[2]
NS = {"pd": "http://www.microsoft.com/GroupPolicy/PolicyDefinitions"}
FILES = generated_files()
ADMX = fromstring(FILES["policies/windows/hivekeep.admx"].encode())
ADML = {
    language: fromstring(FILES[f"policies/windows/{language}/hivekeep.adml"].encode())
    for language in ("en-US", "zh-CN")
}


def test_the_committed_files_are_fresh() -> None:
    assert stale_files(ROOT) == [], "run: hivekeep policy generate"


def test_generating_writes_only_what_differs(tmp_path: Path) -> None:
    assert sorted(write_files(tmp_path)) == sorted(FILES)
    assert write_files(tmp_path) == []
    (tmp_path / "policies" / "schema.json").write_bytes(b"\xff")
    assert write_files(tmp_path) == ["policies/schema.json"]


def test_every_key_has_a_shape_and_a_text_in_both_languages() -> None:
    assert [key.id for key in keys()] == list(markers())
    assert set(KEYS) == set(markers())
    assert set(SECTIONS) == set(sections())
    choices = {c for key in keys() if key.shape is Shape.CHOICE for c in key.choices}
    assert choices == set(CHOICES)
    assert len(keys()) > 40


def found(root: ET.Element, path: str) -> list[ET.Element]:
    return root.findall(path, NS)


@pytest.mark.parametrize("language", list(ADML))
def test_every_text_that_the_template_refers_to_exists(language: str) -> None:
    texts = {one.get("id"): one.text for one in found(ADML[language], ".//pd:string")}
    boxes = {one.get("id"): one for one in found(ADML[language], ".//pd:presentation")}
    assert all(text and text.strip() for text in texts.values())
    for element in ADMX.iter():
        for value in element.attrib.values():
            if value.startswith("$(string."):
                assert value[len("$(string.") : -1] in texts
            if value.startswith("$(presentation."):
                assert value[len("$(presentation.") : -1] in boxes
    used = {one.get("presentation", "")[15:-1] for one in found(ADMX, ".//pd:policy")}
    assert used - {""} == set(boxes)


def test_the_templates_structure() -> None:
    """The order and the attributes that PolicyDefinitions.xsd asks for."""
    order = [child.tag.rpartition("}")[2] for child in ADMX]
    assert order == ["policyNamespaces", "resources", "supportedOn", "categories", "policies"]
    categories = {one.get("name") for one in found(ADMX, ".//pd:category")}
    names = [one.get("name", "") for one in found(ADMX, ".//pd:policy")]
    assert len(names) == len(set(names)) == 2 * len(keys())
    for policy in found(ADMX, ".//pd:policy"):
        children = [child.tag.rpartition("}")[2] for child in policy]
        assert children[:2] == ["parentCategory", "supportedOn"]
        assert children[2:] in (["elements"], ["enabledValue", "disabledValue"])
        assert policy[0].get("ref") in categories
        assert policy.get("class") == "Both"
        assert policy.get("name", "").replace("_", "").isalnum()
        assert policy.get("key", "").startswith("Software\\Policies\\Hivekeep\\")
        assert ("valueName" in policy.attrib) == (children[2:] != ["elements"])
    for parent in found(ADMX, ".//pd:parentCategory"):
        assert parent.get("ref") in categories
    for element in found(ADMX, ".//pd:elements/*"):
        kind = element.tag.rpartition("}")[2]
        assert kind in ("list", "decimal", "longDecimal", "enum", "text")
        assert element.get("id")
        limit = {"decimal": 2**32, "longDecimal": 2**64}.get(kind)
        if limit:
            assert 0 <= int(element.get("minValue", "")) <= int(element.get("maxValue", "")) < limit


@pytest.mark.parametrize("language", list(ADML))
def test_each_element_has_its_control(language: str) -> None:
    controls = {
        (one.get("id"), child.get("refId"), child.tag.rpartition("}")[2])
        for one in found(ADML[language], ".//pd:presentation")
        for child in one
    }
    expected = {
        "list": "listBox", "decimal": "decimalTextBox", "longDecimal": "longDecimalTextBox",
        "enum": "dropdownList", "text": "textBox",
    }  # fmt: skip
    for policy in found(ADMX, ".//pd:policy"):
        for element in policy.findall("pd:elements/*", NS):
            kind = element.tag.rpartition("}")[2]
            shown = (policy.get("presentation", "")[15:-1], element.get("id"), expected[kind])
            assert shown in controls


def sample(key: Key) -> Any:
    """A value of the key that differs from its default where it can."""
    texts = {
        "files.allowed_types": ".pdf", "files.denied_types": ".pdf",
        "models.allowed_sha256": "a" * 64,
        "recipes.trusted_keys": "a" * 64, "audit.recipients": "a" * 64,
        "schedules.quiet_hours": "22:00-06:00", "network.remote_inference": "https://a.org",
        "network.ray_clusters": "a.org:1", "network.recipients": "a@b.org",
        "tools.commands": "/bin/true", "audit.sinks": "syslog+tls://a.org",
        "audit.witnesses": "https://a.org/add",
    }  # fmt: skip
    match key.shape:
        case Shape.SWITCH:
            return not key.default
        case Shape.NUMBER:
            return key.minimum if key.maximum is None else min(key.maximum, 200)
        case Shape.CHOICE:
            return key.choices[0]
        case Shape.TEXT:
            return "text"
        case Shape.LIST:
            folder = "/a" if "folders" in key.name else "a.org"
            return [key.choices[0] if key.choices else texts.get(key.id, folder)]


def as_the_editor_writes(policy: ET.Element, key: Key, value: Any) -> RegistryKey:
    """What Group Policy puts under the section's registry key, following the template."""
    if "valueName" in policy.attrib:
        chosen = policy.find(f"pd:{'enabled' if value else 'disabled'}Value/pd:decimal", NS)
        assert chosen is not None
        return RegistryKey({policy.attrib["valueName"]: int(chosen.attrib["value"])}, {})
    (element,) = policy.findall("pd:elements/*", NS)
    if element.tag.endswith("}list"):
        folder = element.attrib["key"].removeprefix(policy.attrib["key"] + "\\")
        entries: dict[str, int | str] = {str(n): v for n, v in enumerate(value, 1)}
        return RegistryKey({}, {folder: RegistryKey(entries, {})})
    if element.tag.endswith("}enum"):
        assert value in [one.text for one in element.findall(".//pd:string", NS)]
    return RegistryKey({element.attrib["valueName"]: value}, {})


@pytest.mark.parametrize("key", keys(), ids=lambda key: key.id)
def test_what_the_template_writes_is_what_the_program_reads(desk: Desk, key: Key) -> None:
    value = sample(key)
    for suffix, level in (("", Level.MANDATORY), ("_recommended", Level.RECOMMENDED)):
        name = f"{key.section}_{key.name}{suffix}"
        (policy,) = (one for one in found(ADMX, ".//pd:policy") if one.get("name") == name)
        written = RegistryKey({}, {key.section: as_the_editor_writes(policy, key, value)})
        place = policy.attrib["key"].removeprefix("Software\\Policies\\Hivekeep\\").split("\\")
        if place[0] == "Recommended":
            written = RegistryKey({}, {"Recommended": written})
        assert place[-1] == key.section
        registry = MadeUpRegistry({Hive.MACHINE: written})
        rows = load_policy(replace(desk.sources, registry=registry)).rows()
        (row,) = (row for row in rows if row.key == key.id)
        assert (row.value, row.level) == (value, level)


def test_the_configuration_profile_is_what_the_program_reads(desk: Desk) -> None:
    profile = plistlib.loads(FILES["policies/macos/hivekeep.mobileconfig"].encode())
    assert profile["PayloadType"] == "Configuration"
    (payload,) = profile["PayloadContent"]
    for part in (profile, payload):
        assert {"PayloadIdentifier", "PayloadUUID", "PayloadVersion"} <= part.keys()
    assert payload["PayloadType"] == "org.hivekeep.hivekeep"
    path = desk.root / "org.hivekeep.hivekeep.plist"
    path.write_bytes(plistlib.dumps(payload))
    policy = load_policy(replace(desk.sources, preferences=(path,)))
    stated = {f"{section}.{name}" for section, names in MANAGED.items() for name in names}
    assert {row.key for row in policy.rows() if row.level is Level.MANDATORY} == stated


def test_the_manifest_describes_every_key() -> None:
    path = "policies/macos/org.hivekeep.hivekeep.manifest.plist"
    manifest = plistlib.loads(FILES[path].encode())
    described = {
        f"{section['pfm_name']}.{key['pfm_name']}": key
        for section in manifest["pfm_subkeys"]
        if section["pfm_name"] != "recommended"
        for key in section["pfm_subkeys"]
    }
    assert set(described) == set(markers())
    for key in keys():
        if key.default is not None:
            assert described[key.id]["pfm_default"] == key.default


def test_the_linux_examples_are_policies(desk: Desk) -> None:
    desk.managed(FILES["policies/linux/managed/10-example.json"])
    desk.recommended(FILES["policies/linux/recommended/10-defaults.json"])
    policy = desk.load()
    levels = {row.level for row in policy.rows()}
    assert {Level.MANDATORY, Level.RECOMMENDED} <= levels
    # The defaults, written down, change nothing.
    plain = load_policy(replace(desk.sources, managed=desk.root / "none"))
    bare = load_policy(
        replace(desk.sources, managed=desk.root / "none", recommended=desk.root / "none")
    )
    assert plain.settings == bare.settings


def test_the_schema_is_one(desk: Desk) -> None:
    schema = json.loads(FILES["policies/schema.json"])
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["properties"]) == {"$schema", *sections()}
