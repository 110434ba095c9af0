"""``hivekeep-verify``: check logs and proofs on any machine, with public keys only.

Responsible for arguments and words.  Exit status: 0 all holds, 1 something does not, 2 wrong usage,
3 a file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hivekeep_verify.check import Report, check_log
from hivekeep_verify.frames import FormatError
from hivekeep_verify.notes import VerifierKey
from hivekeep_verify.proof import ProofError, check_proof

_KEY_HELP = (
    "A key of the log that you got from its administrator, as 'hivekeep audit keys' prints it: "
    "the text itself, or a file with one key a line. May be repeated."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        keys = [key for given in options.key for key in _keys(given)]
        status: int = options.run(options, keys)
    except (FormatError, ProofError) as error:
        print(f"hivekeep-verify: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"hivekeep-verify: {error.filename}: {error.strerror}", file=sys.stderr)
        return 3
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hivekeep-verify",
        description="Check a Hivekeep audit log, or a proof from one, without trusting the machine "
        "that wrote it. Content stays encrypted; only public keys are needed.",
        epilog="Exit status: 0 all holds, 1 something does not, 2 wrong usage, 3 unreadable file. "
        "The formats are described in docs/audit-format.md.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    log = commands.add_parser("log", help="check a whole log: the profile's 'audit' folder")
    log.add_argument("folder", type=Path)
    log.add_argument(
        "--witness", type=Path, action="append", default=[],
        help="A file of signed checkpoints that were kept elsewhere; the log has to contain them.",
    )  # fmt: skip
    log.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="Processes to use.")
    log.set_defaults(run=_log)
    proof = commands.add_parser("proof", help="check a proof that 'hivekeep audit prove' wrote")
    proof.add_argument("file", type=Path)
    proof.set_defaults(run=_proof)
    for command in (log, proof):
        command.add_argument("--key", action="append", default=[], help=_KEY_HELP)
        command.add_argument("--json", action="store_true", help="Print one JSON value.")
    return parser


def _log(options: argparse.Namespace, keys: list[VerifierKey]) -> int:
    witnessed = [
        (str(path), note)
        for path in options.witness
        for note in split_notes(path.read_text(encoding="utf-8"))
    ]
    started = time.perf_counter()
    report = check_log(options.folder, trusted=keys, witnessed=witnessed, jobs=options.jobs)
    seconds = time.perf_counter() - started
    if options.json:
        _print_json(_as_data(report))
    else:
        _print_report(report, seconds)
    return 0 if report.ok else 1


def _proof(options: argparse.Namespace, keys: list[VerifierKey]) -> int:
    if not keys:
        print("hivekeep-verify: a proof needs --key", file=sys.stderr)
        return 2
    try:
        bundle = json.loads(options.file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ProofError(f"the file is not JSON: {error}") from error
    proven = check_proof(bundle, keys)
    shown = proven.content.decode() if proven.content is not None else None
    if options.json:
        _print_json(
            {
                "ok": True, "record": proven.record, "origin": proven.checkpoint.origin,
                "size": proven.checkpoint.size, "signed_by": str(proven.signed_by),
                "older_size": proven.older.size if proven.older else None,
                "content": json.loads(shown) if shown else None,
            }
        )  # fmt: skip
        return 0
    origin, size = proven.checkpoint.origin, proven.checkpoint.size
    print(f"Record {proven.record} is in the log {origin} of {size} records.")
    if proven.older:
        print(f"The log of {proven.older.size} records is its beginning.")
    print(f"Content: {shown}" if shown else "Its content is not revealed.")
    return 0


def split_notes(text: str) -> list[str]:
    """The signed notes of a file that holds several, one after the other."""
    notes: list[str] = []
    lines: list[str] = []
    signed = False
    for line in text.splitlines(keepends=True):
        if signed and not line.startswith("— "):
            notes.append("".join(lines))
            lines, signed = [], False
        if lines or line.strip():
            lines.append(line)
        signed = signed or line.startswith("— ")
    if lines:
        notes.append("".join(lines))
    return notes


def _keys(given: str) -> list[VerifierKey]:
    if "+" in given and not Path(given).exists():
        return [VerifierKey.parse(given)]
    lines = Path(given).read_text(encoding="utf-8").splitlines()
    return [VerifierKey.parse(line) for line in lines if line.strip()]


def _as_data(report: Report) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "records": report.records,
        "events": report.events,
        "checkpoints": report.checkpoints,
        "epochs": len(report.keys),
        "first_key": str(report.keys[0]) if report.keys else None,
        "origin": report.head.origin if report.head else None,
        "head": report.head.text() if report.head else None,
        "problems": [
            {"place": p.place, "record": p.record, "offset": p.offset, "what": p.what}
            for p in report.problems
        ],
        "remarks": list(report.remarks),
    }


def _print_report(report: Report, seconds: float) -> None:
    for problem in report.problems:
        print(f"✗ {problem}")
    for remark in report.remarks:
        print(f"! {remark}")
    if report.keys:
        print(f"  first key {report.keys[0]}")
    counts = (
        f"{report.records} records, {report.checkpoints} checkpoints, {len(report.keys)} signing "
        f"keys, {seconds:.1f} s"
    )
    verdict = "✓ none changed, removed or moved" if report.ok else "✗ the log does not hold"
    print(f"{verdict}: {counts}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


if __name__ == "__main__":
    sys.exit(main())
