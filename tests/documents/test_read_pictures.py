"""Pictures and scans, read by the real OCR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

LINES = ["Invoice number 2026-0815", "Date 17 November 2026", "Total due 1,234.50 EUR"]


def drawn(lines: list[str]) -> Image.Image:
    image = Image.new("RGB", (900, 90 * len(lines) + 60), "white")
    font = ImageFont.load_default(size=44)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((50, 40 + 90 * number), line, fill="black", font=font)
    return image


def squeezed(document: Any) -> str:
    """All text without spaces, which OCR sometimes loses."""
    return "".join("".join(block.text.split()) for block in document.blocks)


def test_a_picture_is_read_with_confidence_and_place(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    drawn(LINES).save(path)
    document = reader(path)
    assert document.media_type == "image/png"
    assert "2026-0815" in squeezed(document)
    assert "1,234.50EUR" in squeezed(document)
    boxes = [block.box for block in document.blocks]
    assert all(box is not None and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    assert [box.y0 for box in boxes] == sorted(box.y0 for box in boxes)
    assert all(0.5 < block.confidence <= 1 for block in document.blocks)
    assert any("OCR" in note for note in document.notes)


def test_exif_orientation_is_honoured(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif[0x0112] = 3
    drawn(LINES).rotate(180).save(path, exif=exif, quality=95)
    first = reader(path).blocks[0]
    assert "2026-0815" in "".join(first.text.split())


def test_a_picture_on_its_side_is_turned(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "side.png"
    drawn(LINES).rotate(-90, expand=True).save(path)
    document = reader(path)
    assert "2026-0815" in squeezed(document)
    assert "1,234.50EUR" in squeezed(document)


def test_every_page_of_a_tiff_is_a_page(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "fax.tiff"
    pages = [drawn([line]).convert("1") for line in LINES]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    document = reader(path)
    assert document.pages == 3
    assert [block.page for block in document.blocks] == [1, 2, 3]


def test_a_scanned_pdf_is_read_and_a_blank_page_is_not(reader: Any, tmp_path: Path) -> None:
    picture = tmp_path / "scan.png"
    drawn(LINES).save(picture)
    path = tmp_path / "scan.pdf"
    canvas = Canvas(str(path), pagesize=A4)
    canvas.drawImage(str(picture), 0, 300, width=590, height=220)
    canvas.showPage()
    canvas.showPage()
    canvas.drawString(72, 700, "A page with real text on it, after a blank one.")
    canvas.save()
    document = reader(path)
    assert document.pages == 3
    assert "1,234.50EUR" in squeezed(document)
    assert {block.page for block in document.blocks} == {1, 3}
    assert document.blocks[0].confidence is not None
    assert document.blocks[-1].confidence is None


def test_pages_past_the_ocr_limit_are_noted(make_reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "fax.tiff"
    pages = [drawn([line]) for line in LINES]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    document = make_reader(ocr_max_pages=1)(path)
    assert {block.page for block in document.blocks} == {1}
    assert any("at most 1" in note for note in document.notes)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_colour_mode_without_ocr_has_no_text(
    mode: str, make_reader: Any, tmp_path: Path
) -> None:
    path = tmp_path / "a.tiff"
    image = drawn(["Hello"]).convert("L" if mode == "I;16" else mode)
    (image.convert("I").convert("I;16") if mode == "I;16" else image).save(path)
    error = make_reader(ocr=False).failure(path)
    assert error.reason == "no_text"
    assert "switched off" in error.why


def test_a_blank_picture_has_no_text(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "blank.png"
    Image.new("L", (500, 500), 255).save(path)
    assert reader.failure(path).reason == "no_text"
