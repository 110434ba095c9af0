"""Every odd file of the shared corpus is read, or fails with a known reason, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from hivekeep.documents import Reason
from hivekeep.domain.documents import Document
from hivekeep.domain.errors import DocumentError

pytestmark = pytest.mark.corpus


def read_all(reader: Any, paths: list[Path]) -> dict[str, Document | DocumentError]:
    async def main() -> dict[str, Document | DocumentError]:
        found: dict[str, Document | DocumentError] = {}

        async def read(path: Path) -> None:
            try:
                found[path.name] = await reader.pool.read(path)
            except DocumentError as error:
                found[path.name] = error

        async with anyio.create_task_group() as tasks:
            for path in paths:
                tasks.start_soon(read, path)
        return found

    result: dict[str, Document | DocumentError] = reader.portal.call(main)
    return result


@pytest.mark.parametrize("folder", ["damaged", "office-and-mail"])
def test_each_file_is_text_or_a_reason(folder: str, make_reader: Any, corpus: Path) -> None:
    paths = sorted((corpus / folder).iterdir())
    found = read_all(make_reader(ocr=False, seconds=60), paths)
    assert len(found) == len(paths) > 50
    own_fault = {Reason.CRASHED, Reason.TOO_SLOW, Reason.MEMORY}
    for name, result in found.items():
        if isinstance(result, Document):
            assert any(block.text.strip() for block in result.blocks), name
        else:
            assert Reason(result.reason) not in own_fault, name
            assert "\n" not in str(result)


def test_printed_totals_of_invoices_are_in_the_text(make_reader: Any, corpus: Path) -> None:
    folder = corpus / "einvoices"
    truth = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    found = read_all(make_reader(ocr=False), [folder / row["file"] for row in truth])
    right = 0
    for row in truth:
        document = found[row["file"]]
        assert isinstance(document, Document), document
        text = " ".join(block.text for block in document.blocks)
        cents = f"{abs(row['total_amount']) * 100:.0f}".zfill(3)
        pattern = r"[.,'\s]?".join(cents[:-2]) + rf"[.,](?:{cents[-2:]}|{cents[-2]}\b)"
        whole = r"[.,'\s]?".join(cents[:-2]) + r"\b" if cents.endswith("00") else pattern
        right += re.search(rf"(?<!\d)(?:{pattern}|{whole})", text) is not None
    # Two of the 82 say another total in their removed XML than on their pages.
    assert right >= len(truth) - 2
