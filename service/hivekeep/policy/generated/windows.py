r"""The administrative template for Group Policy: ADMX, and ADML in English and Chinese.

Responsible for the XML that Windows' Group Policy editor and MDM read; ``policy.registry`` reads
what they then write.  Structure after "Group Policy ADMX Syntax Reference Guide" and
PolicyDefinitions.xsd, both Microsoft's.  Invariant: every text that the ADMX refers to is in each
ADML.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hivekeep.policy.generated.chinese import CHOICES as CHINESE_CHOICES
from hivekeep.policy.generated.chinese import KEYS as CHINESE_KEYS
from hivekeep.policy.generated.chinese import PHRASES as CHINESE_PHRASES
from hivekeep.policy.generated.chinese import SECTIONS as CHINESE_SECTIONS
from hivekeep.policy.keys import Key, Shape, keys, section_description
from hivekeep.policy.registry import POLICY_KEY, RECOMMENDED
from hivekeep.policy.schema import sections

_NAMESPACE = "http://www.microsoft.com/GroupPolicy/PolicyDefinitions"
_VERSION = {"revision": "1.0", "schemaVersion": "1.0"}
_LARGEST_DWORD = 2**32 - 1
_SUFFIXES = {"": POLICY_KEY, "_recommended": rf"{POLICY_KEY}\{RECOMMENDED}"}
_PHRASES = {
    "title": "Hivekeep",
    "recommended": "Recommended settings (users may change them)",
    "supported": "Windows 10 and later",
    "description": "Policy settings of Hivekeep.",
    "one_per_line": "one entry per line",
}
LANGUAGES = ("en-US", "zh-CN")


def admx() -> str:
    """``hivekeep.admx``."""
    root = ET.Element("policyDefinitions", {"xmlns": _NAMESPACE, **_VERSION})
    namespaces = ET.SubElement(root, "policyNamespaces")
    ET.SubElement(
        namespaces, "target", {"prefix": "hivekeep", "namespace": "Hivekeep.Policies.Hivekeep"}
    )
    ET.SubElement(root, "resources", {"minRequiredRevision": "1.0"})
    supported = ET.SubElement(ET.SubElement(root, "supportedOn"), "definitions")
    ET.SubElement(
        supported, "definition", {"name": "SUPPORTED", "displayName": "$(string.supported)"}
    )
    _categories(ET.SubElement(root, "categories"))
    policies = ET.SubElement(root, "policies")
    for suffix, place in _SUFFIXES.items():
        for key in keys():
            _policy(policies, key, suffix, rf"{place}\{key.section}")
    return _text(root)


def adml(language: str) -> str:
    """``hivekeep.adml`` in one of ``LANGUAGES``."""
    chinese = language == "zh-CN"
    phrases = CHINESE_PHRASES if chinese else _PHRASES
    root = ET.Element("policyDefinitionResources", {"xmlns": _NAMESPACE, **_VERSION})
    ET.SubElement(root, "displayName").text = phrases["title"]
    ET.SubElement(root, "description").text = phrases["description"]
    resources = ET.SubElement(root, "resources")
    table = ET.SubElement(resources, "stringTable")
    for name in ("title", "recommended", "supported"):
        _string(table, name, phrases[name])
    for section in sections():
        described = CHINESE_SECTIONS[section] if chinese else _section_title(section)
        _string(table, section, described)
    for key in keys():
        title, meaning = _texts(key, chinese)
        _string(table, _id(key), title)
        _string(table, f"{_id(key)}_explain", f"{meaning}\n\n{key.id}")
        if key.shape is Shape.CHOICE:
            for choice in key.choices:
                shown = CHINESE_CHOICES[choice] if chinese else choice
                _string(table, f"{_id(key)}_{choice}", shown)
    presentations = ET.SubElement(resources, "presentationTable")
    for key in keys():
        if key.shape is not Shape.SWITCH:
            title, _ = _texts(key, chinese)
            _presentation(presentations, key, title, phrases["one_per_line"])
    return _text(root)


def _categories(parent: ET.Element) -> None:
    ET.SubElement(parent, "category", {"name": "hivekeep", "displayName": "$(string.title)"})
    _category(parent, "recommended", "recommended", "hivekeep")
    for section in sections():
        _category(parent, section, section, "hivekeep")
        _category(parent, f"{section}_recommended", section, "recommended")


def _category(parent: ET.Element, name: str, text: str, above: str) -> None:
    category = ET.SubElement(parent, "category", {"name": name, "displayName": f"$(string.{text})"})
    ET.SubElement(category, "parentCategory", {"ref": above})


def _policy(parent: ET.Element, key: Key, suffix: str, place: str) -> None:
    attributes = {
        "name": f"{_id(key)}{suffix}",
        "class": "Both",
        "displayName": f"$(string.{_id(key)})",
        "explainText": f"$(string.{_id(key)}_explain)",
        "key": place,
    }
    if key.shape is Shape.SWITCH:
        attributes["valueName"] = key.name
    else:
        attributes["presentation"] = f"$(presentation.{_id(key)})"
    policy = ET.SubElement(parent, "policy", attributes)
    ET.SubElement(policy, "parentCategory", {"ref": f"{key.section}{suffix}"})
    ET.SubElement(policy, "supportedOn", {"ref": "SUPPORTED"})
    if key.shape is Shape.SWITCH:
        for name, value in (("enabledValue", "1"), ("disabledValue", "0")):
            ET.SubElement(ET.SubElement(policy, name), "decimal", {"value": value})
        return
    _element(ET.SubElement(policy, "elements"), key, place)


def _element(elements: ET.Element, key: Key, place: str) -> None:
    common = {"id": key.name}
    match key.shape:
        case Shape.LIST:
            ET.SubElement(
                elements, "list", {**common, "key": rf"{place}\{key.name}", "valuePrefix": ""}
            )
        case Shape.NUMBER:
            limits = {"minValue": str(key.minimum), "maxValue": str(key.maximum)}
            ET.SubElement(
                elements,
                _number(key),
                {**common, "valueName": key.name, "required": "true", **limits},
            )
        case Shape.CHOICE:
            enum = ET.SubElement(
                elements, "enum", {**common, "valueName": key.name, "required": "true"}
            )
            for choice in key.choices:
                item = ET.SubElement(
                    enum, "item", {"displayName": f"$(string.{_id(key)}_{choice})"}
                )
                ET.SubElement(ET.SubElement(item, "value"), "string").text = choice
        case Shape.TEXT:
            ET.SubElement(
                elements,
                "text",
                {**common, "valueName": key.name, "required": "true", "maxLength": "300"},
            )


def _presentation(parent: ET.Element, key: Key, title: str, one_per_line: str) -> None:
    presentation = ET.SubElement(parent, "presentation", {"id": _id(key)})
    refers = {"refId": key.name}
    match key.shape:
        case Shape.LIST:
            ET.SubElement(presentation, "listBox", refers).text = f"{title} ({one_per_line})"
        case Shape.NUMBER:
            box = f"{_number(key)}TextBox"
            default = str(key.default if key.default is not None else key.minimum)
            ET.SubElement(
                presentation, box, {**refers, "defaultValue": default, "spin": "false"}
            ).text = title
        case Shape.CHOICE:
            default = str(key.choices.index(key.default))
            ET.SubElement(
                presentation, "dropdownList", {**refers, "noSort": "true", "defaultItem": default}
            ).text = title
        case Shape.TEXT:
            ET.SubElement(ET.SubElement(presentation, "textBox", refers), "label").text = title


def _number(key: Key) -> str:
    return "decimal" if (key.maximum or 0) <= _LARGEST_DWORD else "longDecimal"


def _string(table: ET.Element, name: str, text: str) -> None:
    ET.SubElement(table, "string", {"id": name}).text = text


def _texts(key: Key, chinese: bool) -> tuple[str, str]:
    """Title and meaning; English stands in for what is not translated."""
    english = (_title(key), key.description)
    return CHINESE_KEYS.get(key.id, english) if chinese else english


def _id(key: Key) -> str:
    return f"{key.section}_{key.name}"


def _title(key: Key) -> str:
    return key.name.replace("_", " ").capitalize().replace("sha256", "SHA-256")


def _section_title(section: str) -> str:
    name = section.replace("_", " ").capitalize()
    return f"{name}: {section_description(section).rstrip('.')}"


def _text(root: ET.Element) -> str:
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'
