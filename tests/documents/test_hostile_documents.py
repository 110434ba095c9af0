"""Hostile, broken and odd files: each ends with one stable reason, or is read as what it is."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any

import docx
import pypdf
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas


def texts(document: Any) -> str:
    return "\n".join(block.text for block in document.blocks)


def docx_bytes(text: str = "An ordinary paragraph.") -> bytes:
    buffer = io.BytesIO()
    document = docx.Document()
    document.add_paragraph(text)
    document.save(buffer)
    return buffer.getvalue()


def with_part(data: bytes, name: str, content: bytes) -> bytes:
    """An archive with one part replaced."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry, content if entry.filename == name else old.read(entry))
    return buffer.getvalue()


def pdf_bytes(text: str = "An ordinary page with text.") -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 700, text)
    canvas.save()
    return buffer.getvalue()


def many_pages(count: int) -> bytes:
    """A PDF whose page tree names one page ``count`` times."""
    kids = b"3 0 R " * count
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


def ole_bytes(stream: str) -> bytes:
    """A compound file with one empty stream: header, allocation table, directory."""
    free, end, table = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, end, 0, end, 0)
    header += struct.pack("<109I", 0, *[free] * 108)

    def entry(name: str, kind: int, child: int) -> bytes:
        raw = name.encode("utf-16-le") + b"\0\0"
        return (
            raw.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(raw), kind, 1, free, free, child)
            + bytes(36)
            + struct.pack("<IQ", end, 0)
        )

    directory = entry("Root Entry", 5, 1) + entry(stream, 2, free)
    directory += (bytes(68) + struct.pack("<III", free, free, free) + bytes(48)) * 2
    return header + struct.pack("<128I", table, end, *[free] * 126) + directory


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (c + 1, b"&%c;" % c * 10) for c in range(97, 107))
    + b"]><l>&k;</l>"
)
WIDE_BOMB = BOMB.decode().encode("utf-16")
ZEROS = bytes(60_000_000)
XXE = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:body><w:p><w:r><w:t>&x;</w:t></w:r></w:p></w:body></w:document>"""


def encrypted_pdf() -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(pdf_bytes()))
    writer.encrypt("secret", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def huge_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    return buffer.getvalue()


def many_entries() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(21_000):
            archive.writestr(f"word/{number}", b"")
    return buffer.getvalue()


def sealed_mail() -> bytes:
    message = EmailMessage()
    message["From"] = "a@example.com"
    message["Subject"] = "Secret"
    message.add_attachment(b"0", maintype="application", subtype="pkcs7-mime", filename="smime.p7m")
    return bytes(message)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.pdf", b"", "empty"),
        ("blank.txt", b" \n\t\n", "no_text"),
        ("locked.pdf", encrypted_pdf(), "encrypted"),
        ("locked.xlsx", ole_bytes("EncryptedPackage"), "encrypted"),
        ("sealed.eml", sealed_mail(), "encrypted"),
        ("note.txt", b"-----BEGIN PGP MESSAGE-----\n\nabc", "encrypted"),
        ("old.doc", ole_bytes("WordDocument"), "unsupported"),
        ("old.ppt", ole_bytes("PowerPoint Document"), "unsupported"),
        ("a.rtf", b"{\\rtf1 hello}", "unsupported"),
        ("run.exe", b"MZ\x90\0\3\0\0\0", "unsupported"),
        ("random.bin", bytes(range(256)) * 40, "unsupported"),
        ("random.pdf", bytes(range(256)) * 40, "damaged"),
        ("cut.docx", docx_bytes()[:5000], "damaged"),
        ("cut.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Cat", "damaged"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "damaged"),
        ("hollow.msg", ole_bytes("__properties_version1.0"), "no_text"),
        ("xxe.docx", with_part(docx_bytes(), "word/document.xml", XXE), "damaged"),
        ("laughs.xml", BOMB, "damaged"),
        ("laughs.docx", with_part(docx_bytes(), "word/document.xml", BOMB), "damaged"),
        ("wide.docx", with_part(docx_bytes(), "word/styles.xml", WIDE_BOMB), "damaged"),
        ("bomb.docx", with_part(docx_bytes(), "word/document.xml", ZEROS), "unpacked_too_large"),
        ("entries.docx", many_entries(), "unpacked_too_large"),
        ("huge.png", huge_picture(), "unpacked_too_large"),
        ("pages.pdf", many_pages(10_000), "too_many_pages"),
        ("deep.xml", b"<a>" * 100_000, "damaged"),
    ],
)  # fmt: skip
def test_a_bad_file_has_a_reason(
    name: str, data: bytes, reason: str, reader: Any, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    error = reader.failure(path)
    assert error.reason == reason, error
    assert name in error.what
    assert error.next_step
    assert "\n" not in str(error)
    assert "root:" not in str(error)


@pytest.mark.parametrize(
    ("name", "data", "media_type", "expected"),
    [
        ("a.docx", pdf_bytes(), "application/pdf", "An ordinary page"),
        ("b.pdf", docx_bytes(), "wordprocessingml", "An ordinary paragraph"),
        ("c.pdf", b"Just some words.", "text/plain", "Just some words."),
        ("d.jpg", b"<html><body><p>A web page</p></body></html>", "text/html", "A web page"),
    ],
)
def test_a_wrong_name_is_noted_and_the_content_read(
    name: str, data: bytes, media_type: str, expected: str, reader: Any, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    document = reader(path)
    assert media_type in document.media_type
    assert expected in texts(document)
    assert any("named" in note for note in document.notes)


@pytest.mark.parametrize("level", ["<div>", "<table><tr><td>", "<b>", "<ul><li>"])
def test_deeply_nested_html_is_refused(level: str, reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "deep.html"
    path.write_text(f"<html><body><p>Top</p>{level * 50_000}bottom")
    assert reader.failure(path).reason == "damaged"


def test_nested_html_is_read_as_far_as_it_makes_sense(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "nested.html"
    path.write_text(f"<html><body><p>Top</p>{'<div>' * 4_000}bottom{'</div>' * 4_000}<p>End</p>")
    document = reader(path)
    assert texts(document) == "Top\nEnd"
    assert any("too deeply" in note for note in document.notes)


def test_unclosed_items_are_no_nesting(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "sloppy.html"
    path.write_text("<html><body><ul>" + "<li>item<p>more" * 8_000)
    assert len(reader(path).blocks) == 16_000


def test_deeply_nested_mail_is_survived(reader: Any, tmp_path: Path) -> None:
    inner = "--b\nContent-Type: text/plain\n\nhello\n"
    text = "From: a@example.com\nSubject: Deep\n"
    text += "".join(
        f'Content-Type: multipart/mixed; boundary="b{level}"\n\n--b{level}\n'
        for level in range(3_000)
    )
    path = tmp_path / "deep.eml"
    path.write_text(text + inner)
    error = reader.failure(path)
    assert error.reason == "damaged"
    assert "nested" in error.why


def test_a_mail_with_thousands_of_parts_is_cut_with_a_note(reader: Any, tmp_path: Path) -> None:
    message = MIMEMultipart()
    message["From"] = "a@example.com"
    for _ in range(1_500):
        message.attach(MIMEText("word"))
    path = tmp_path / "many.eml"
    path.write_bytes(bytes(message))
    assert any("1000 parts" in note for note in reader(path).notes)


@pytest.mark.parametrize(
    "name",
    [
        b"two\nlines.txt",
        "🎉 party.txt".encode(),
        b"x" * 251 + b".txt",
        "invoice\u202efdp.txt".encode(),
        b"latin-\xe4\xff.txt",
        b"-rf.txt",
        b" .txt",
    ],
)
def test_odd_file_names(name: bytes, reader: Any, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_text("The words inside.")
    document = reader(path)
    assert texts(document) == "The words inside."
    assert document.name.isprintable()
    document.name.encode()
    path.write_bytes(b"")
    error = reader.failure(path)
    assert error.reason == "empty"
    assert str(error).isprintable()
    str(error).encode()


def test_hidden_characters_are_removed_and_noted(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Pay \u202eEUR 001\u202c to \U000e0041\U000e0042 Bob", encoding="utf-8")
    document = reader(path)
    assert texts(document) == "Pay EUR 001 to Bob"
    assert any("Hidden" in note for note in document.notes)


def test_limits_of_text_and_size(make_reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("word " * 10_000)
    assert make_reader(max_text=1_000).failure(path).reason == "too_large"
    assert make_reader(max_file_size=1_000).failure(path).reason == "too_large"
    pages = tmp_path / "pages.txt"
    pages.write_text("word\f" * 20)
    assert make_reader(max_pages=5).failure(pages).reason == "too_many_pages"
