"""Every sentence that the daemon gives an id has a translation with the same values."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import hivekeep
from hivekeep.documents.failures import Reason
from hivekeep.domain.actions import ActionKind, Risk
from hivekeep.domain.errors import UsageError
from hivekeep.domain.saying import say, together
from hivekeep.domain.tasks import Take, Work
from hivekeep_ui.relay import PAGES

STRING = re.compile(r'^  "([^"]+)": "((?:[^"\\]|\\.)*)",$', re.MULTILINE)
PLACE = re.compile(r"\{\w+\}")
WORDS = {"kind", "level", "reason", "take", "work"}


def said_in_the_source() -> dict[str, str]:
    """The template of each id, from every call of ``say``."""
    found: dict[str, str] = {}
    for path in Path(hivekeep.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "from hivekeep.domain.saying import" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say"):
                continue
            literals = [a.value for a in node.args if isinstance(a, ast.Constant)]
            assert len(literals) == 2, f"{path}:{node.lineno}: id and sentence are literals"
            name, template = (str(literal) for literal in literals)
            assert found.setdefault(name, template) == template, f"{name} says two things"
            given = {f"{{{keyword.arg}}}" for keyword in node.keywords}
            assert given == set(PLACE.findall(template)), f"{path}:{node.lineno}"
    return found


def chinese() -> dict[str, str]:
    text = (PAGES / "js" / "strings" / "daemon.zh-CN.js").read_text(encoding="utf-8")
    return dict(STRING.findall(text))


def test_every_sentence_has_its_translation_with_the_same_values() -> None:
    source, table = said_in_the_source(), chinese()
    assert len(source) > 100
    named = {name for name in table if name.split(".")[0] not in WORDS}
    assert named == source.keys()
    for name, template in source.items():
        assert set(PLACE.findall(template)) == set(PLACE.findall(table[name])), name


def test_every_word_inside_sentences_has_its_translation() -> None:
    table = chinese()
    assert {f"kind.{kind.value}" for kind in ActionKind} <= table.keys()
    assert {f"level.{risk.value}" for risk in Risk} <= table.keys()
    assert {f"reason.{reason.value}" for reason in Reason} <= table.keys()
    assert {f"take.{take.value}" for take in Take} <= table.keys()
    assert {f"work.{work.value}" for work in Work if work is not Work.AGENT} <= table.keys()


def test_a_sentence_is_its_english_text_and_more() -> None:
    inner = say("a", "The tool '{name}'", name="{b}")
    whole = together([say("b", "{subject} may not be used.", subject=inner), "", "As it is."])
    assert whole == "The tool '{b}' may not be used. As it is."
    plain = UsageError(whole, why="Free text.").as_dict()
    assert plain["what"] == whole
    assert plain["said"] == {
        "what": {
            "text": whole,
            "parts": [
                {
                    "text": "The tool '{b}' may not be used.",
                    "id": "b",
                    "values": {
                        "subject": {"text": inner, "id": "a", "values": {"name": "{b}"}},
                    },
                },
                "As it is.",
            ],
        }
    }
    assert "said" not in UsageError("Free text.").as_dict()
