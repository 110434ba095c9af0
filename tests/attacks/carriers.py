"""Documents of every kind that carry a sentence where somebody could hide one."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx
from openpyxl.comments import Comment
from openpyxl.worksheet.worksheet import Worksheet
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

PLAIN = "Invoice 4711 of the Example Company. The total is 100.00 EUR."
Make = Callable[[Path, str], Path]


def text(folder: Path, said: str) -> Path:
    return _written(folder / "note.txt", f"{PLAIN}\n\n{said}\n")


def markdown(folder: Path, said: str) -> Path:
    return _written(folder / "note.md", f"# Invoice\n\n{PLAIN}\n\n> {said}\n")


def table(folder: Path, said: str) -> Path:
    return _written(folder / "list.csv", f'item;remark\npaper;"{said}"\n')


def data(folder: Path, said: str) -> Path:
    return _written(folder / "data.json", json.dumps({"total": 100, "remark": said}, indent=1))


def page(folder: Path, said: str) -> Path:
    return _written(folder / "page.html", f"<html><body><p>{PLAIN}</p><p>{said}</p></body></html>")


def page_hidden(folder: Path, said: str) -> Path:
    style = "color:white;font-size:1px;position:absolute;left:-9999px"
    body = f"<p>{PLAIN}</p><div style='{style}'>{said}</div>"
    return _written(folder / "hidden.html", f"<html><body>{body}</body></html>")


def page_attributes(folder: Path, said: str) -> Path:
    body = f"<title>{said}</title><body><p>{PLAIN}</p><!-- {said} --><img alt='{said}'></body>"
    return _written(folder / "attributes.html", f"<html>{body}</html>")


def mail(folder: Path, said: str) -> Path:
    return _mail(folder / "mail.eml", "Invoice", f"{PLAIN}\n\n{said}\n")


def mail_subject(folder: Path, said: str) -> Path:
    return _mail(folder / "subject.eml", said, PLAIN)


def mail_html(folder: Path, said: str) -> Path:
    return _mail(folder / "html.eml", "Invoice", PLAIN, html=f"<p>{PLAIN}</p><b>{said}</b>")


def mail_attachment(folder: Path, said: str) -> Path:
    return _mail(folder / "attached.eml", "Invoice", PLAIN, attached=said)


def sheet(folder: Path, said: str) -> Path:
    return _sheet(folder / "cells.xlsx", lambda book: _first(book).append(["total", 100, said]))


def sheet_hidden(folder: Path, said: str) -> Path:
    def fill(book: openpyxl.Workbook) -> None:
        _first(book).append(["total", 100])
        hidden = book.create_sheet("Hidden")
        hidden.sheet_state = "hidden"
        hidden.append([said])

    return _sheet(folder / "hidden.xlsx", fill)


def sheet_comment(folder: Path, said: str) -> Path:
    def fill(book: openpyxl.Workbook) -> None:
        _first(book).append(["total", 100])
        _first(book)["A1"].comment = Comment(said, "somebody")

    return _sheet(folder / "comment.xlsx", fill)


def letter(folder: Path, said: str) -> Path:
    made = docx.Document()
    made.add_paragraph(PLAIN)
    made.add_paragraph(said)
    made.save(str(folder / "letter.docx"))
    return folder / "letter.docx"


def letter_header(folder: Path, said: str) -> Path:
    made = docx.Document()
    made.add_paragraph(PLAIN)
    made.sections[0].header.paragraphs[0].text = said
    made.add_table(1, 1).cell(0, 0).text = said
    made.save(str(folder / "header.docx"))
    return folder / "header.docx"


def slides(folder: Path, said: str) -> Path:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = PLAIN
    slide.placeholders[1].text = said
    made.save(str(folder / "slides.pptx"))
    return folder / "slides.pptx"


def slide_notes(folder: Path, said: str) -> Path:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = PLAIN
    slide.notes_slide.notes_text_frame.text = said
    made.save(str(folder / "notes.pptx"))
    return folder / "notes.pptx"


def pdf(folder: Path, said: str) -> Path:
    return _pdf(folder / "invoice.pdf", said)


def pdf_metadata(folder: Path, said: str) -> Path:
    return _pdf(folder / "metadata.pdf", "", said)


def pdf_invisible(folder: Path, said: str) -> Path:
    return _pdf(folder / "invisible.pdf", said, mode=3)


def picture(folder: Path, said: str) -> Path:
    image = Image.new("RGB", (1400, 320), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=36)
    draw.text((40, 40), PLAIN, fill="black", font=font)
    draw.text((40, 140), said, fill="black", font=font)
    image.save(folder / "scan.png")
    return folder / "scan.png"


def file_name(folder: Path, said: str) -> Path:
    return _written(folder / f"{said}.txt", PLAIN)


CARRIERS: dict[str, Make] = {
    made.__name__: made
    for made in (
        text, markdown, table, data, page, page_hidden, page_attributes, mail, mail_subject,
        mail_html, mail_attachment, sheet, sheet_hidden, sheet_comment, letter, letter_header,
        slides, slide_notes, pdf, pdf_metadata, pdf_invisible, picture, file_name,
    )
}  # fmt: skip


def _written(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def _mail(path: Path, subject: str, body: str, *, html: str = "", attached: str = "") -> Path:
    message = EmailMessage()
    message["From"], message["To"] = "someone@example.com", "me@example.com"
    message["Subject"] = subject
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    if attached:
        message.add_attachment(attached.encode(), "text", "plain", filename="remark.txt")
    path.write_bytes(message.as_bytes())
    return path


def _first(book: openpyxl.Workbook) -> Worksheet:
    return book.worksheets[0]


def _sheet(path: Path, fill: Callable[[openpyxl.Workbook], None]) -> Path:
    book = openpyxl.Workbook()
    fill(book)
    book.save(path)
    return path


def _pdf(path: Path, said: str, hidden: str = "", mode: int = 0) -> Path:
    canvas = Canvas(str(path))
    canvas.setTitle(hidden or "Invoice")
    canvas.setSubject(hidden)
    canvas.setKeywords(hidden)
    canvas.drawString(72, 720, PLAIN)
    line = canvas.beginText(72, 690)
    line.setTextRenderMode(mode)
    line.textLine(said)
    canvas.drawText(line)
    canvas.save()
    return path
