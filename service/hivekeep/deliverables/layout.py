"""A sheet as plain rows of cells, whatever it is about.

Responsible for the two types that the sheets of a report are made of; drawing is ``workbook``'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from hivekeep.deliverables.cells import Cell


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading and whether long text in it is wrapped."""

    heading: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: a title line, headings (none for a list of facts), and rows of cells."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    headed: bool = True
    frozen_columns: int = 1
