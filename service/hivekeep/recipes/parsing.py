"""YAML text to plain data, with the line and column of every key and item.

Responsible for a small, harmless part of YAML: mappings, lists, text, whole numbers, true, false
and null.  Invariant: whatever the text, the result is data of bounded size and depth, or an error
that names a line; aliases, tags and duplicate keys are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

MAX_BYTES = 256 * 1024
_MAX_DEPTH = 12
_MAX_NODES = 20_000
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})$")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_TEXT_TAGS = frozenset({"tag:yaml.org,2002:str", "!"})

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the text, counting from 1."""

    line: int
    column: int


class ParseError(Exception):
    """The text is not what a recipe can be written in."""

    def __init__(self, message: str, mark: Mark) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark


@dataclass(frozen=True, slots=True)
class Parsed:
    """Plain data and where each part of it stands."""

    data: Any
    marks: dict[Path, Mark]

    def mark(self, path: Path) -> Mark:
        """Where ``path`` stands, or the nearest part around it that is written down."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, Mark(1, 1))


def parse(raw: bytes) -> Parsed:
    """Read one YAML document.

    :raises ParseError: if that is not possible or not allowed.
    """
    if len(raw) > MAX_BYTES:
        raise ParseError(f"the file is larger than {MAX_BYTES // 1024} KiB", Mark(1, 1))
    text = _decode(raw)
    try:
        _refuse_dangers(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ParseError(_problem(error), _mark(mark) if mark else Mark(1, 1)) from error
    except yaml.reader.ReaderError as error:
        raise ParseError(
            f"the character {error.character!r} is not allowed", _place(text, error.position)
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise ParseError("this is not YAML", Mark(1, 1)) from error
    if node is None:
        raise ParseError("the file is empty", Mark(1, 1))
    marks: dict[Path, Mark] = {}
    return Parsed(_convert(node, (), marks), marks)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ParseError("the text is not UTF-8", Mark(line, 1)) from error


def _refuse_dangers(text: str) -> None:
    """Look at the event stream, which needs no memory, before a tree is built."""
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ParseError("aliases ('*name') are not allowed", _mark(event.start_mark))
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise ParseError("only one document is allowed", _mark(event.start_mark))
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if event.anchor is not None:
                raise ParseError("anchors ('&name') are not allowed", _mark(event.start_mark))
            if nodes > _MAX_NODES:
                raise ParseError("there are too many values", _mark(event.start_mark))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise ParseError("the nesting is too deep", _mark(event.start_mark))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _convert(node: yaml.Node, path: Path, marks: dict[Path, Mark]) -> Any:
    marks.setdefault(path, _mark(node.start_mark))
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_convert(item, (*path, index), marks) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ParseError("a key has to be a word", _mark(key_node.start_mark))
            key = str(key_node.value)
            if key in found:
                raise ParseError(f"the key '{key}' stands there twice", _mark(key_node.start_mark))
            marks[(*path, key)] = _mark(key_node.start_mark)
            found[key] = _convert(value_node, (*path, key), marks)
        return found
    raise ParseError(f"the tag '{node.tag}' is not allowed", _mark(node.start_mark))


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.style is not None or node.tag in _TEXT_TAGS:
        if not node.tag.startswith("tag:yaml.org,2002:") and node.tag != "!":
            raise ParseError(f"the tag '{node.tag}' is not allowed", _mark(node.start_mark))
        return text
    if not node.tag.startswith("tag:yaml.org,2002:"):
        raise ParseError(f"the tag '{node.tag}' is not allowed", _mark(node.start_mark))
    # Dates and decimal numbers stay the text they are; 'no' is Norway, not false.
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    return int(text) if _WHOLE.match(text) else text


def _problem(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return ": ".join(" ".join(str(part).split()) for part in parts) or "this is not YAML"


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _place(text: str, position: int) -> Mark:
    before = text[:position]
    return Mark(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
