"""What every command shares: how it prints, and the exit codes.

Responsible for rendering only.  With ``--json`` a command prints exactly one JSON value to standard
output; progress and remarks go to standard error.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hivekeep.domain.errors import HivekeepError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
PassphraseFd = Annotated[
    int | None,
    typer.Option(help="Read the key file's passphrase from this file descriptor, where needed."),
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; answer yes.")]

EXIT_CODES = """Exit codes: 0 done · 1 some documents failed, or an internal error · 2 wrong usage,
recipe or settings · 3 not found · 4 denied by policy, or policy unreadable · 5 a document could not
be read · 6 model or engine · 7 audit log, keys, journal or disk · 8 daemon not reachable ·
130 interrupted"""

console = Console(highlight=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")


def print_error(error: HivekeepError, *, as_json: bool) -> None:
    """An error as text on standard error, or as JSON on standard output."""
    if as_json:
        print_json({"error": error.as_dict()})
        return
    stderr.print(f"[bold red]error[/] {safe(error.what)}")
    if error.why:
        stderr.print(f"  [dim]why[/]  {safe(error.why)}")
    if error.next_step:
        stderr.print(f"  [dim]next[/] {safe(error.next_step)}")


def safe(text: object) -> str:
    """Text from a document or a file name, harmless in a terminal: no markup, no control codes."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return escape(printable)


def table(*columns: str) -> Table:
    """An empty table in the one style that all commands use."""
    result = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        result.add_column(column, overflow="fold")
    return result


def when(seconds: float | None) -> str:
    """A moment in local time, empty if there is none."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: float) -> str:
    """Bytes for a person, in powers of 1000 as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
