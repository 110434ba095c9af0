"""EML: header fields, the body that says more, and attachments.

Responsible for the structure of a message; attachments are handed to the caller's reader.
Invariant: parts are visited without recursion, in order, and no part is read twice.
"""

from __future__ import annotations

import email.errors
import email.policy
from collections.abc import Callable, Iterator
from email.message import EmailMessage, Message
from email.parser import BytesParser

from selectolax.lexbor import LexborHTMLParser

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.charset import declared_in, decode
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.documents.readers.plain import read_lines
from hivekeep.documents.readers.web import is_too_deep, read_markup
from hivekeep.domain.documents import BlockKind

AttachmentReader = Callable[[Draft, Source, str, bytes], None]
"""Reads an attachment (draft, its message, its name, its bytes) or leaves a note."""

SHOWN_HEADERS = ("From", "Sender", "To", "Cc", "Bcc", "Reply-To", "Date", "Subject")
SMALLEST_INLINE = 20_000
_MOST_PARTS = 1_000
_LONGEST_HEADER = 20_000
_SHORT = 0.2
_SEALED = {"application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted"}
_SIGNATURES = {"application/pgp-signature", "application/pkcs7-signature"}
_SIGNATURES |= {"application/x-pkcs7-signature"}
_BAD_HEADER = (
    email.errors.MessageError, ValueError, IndexError, AttributeError, TypeError, KeyError,
)  # fmt: skip


def read_eml(draft: Draft, source: Source, read_attachment: AttachmentReader) -> None:
    """One page of header fields and body, then the attachments."""
    data = source.data
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:64]:
        data = decode(data).text.encode()
    message = BytesParser(policy=email.policy.default).parsebytes(data.lstrip(b"\r\n \t"))
    draft.next_page()
    for name in SHOWN_HEADERS:
        for value in _header(message, name):
            draft.add(f"{name}: {value}", BlockKind.HEADER_FIELD, locator=f"header {name}")
            draft.describe(name.lower(), value)
    parts = list(_parts(message))
    if len(parts) > _MOST_PARTS:
        draft.note(f"Only the first {_MOST_PARTS} parts of the message were read.")
    body = _read_body(draft, parts[:_MOST_PARTS])
    if not body and any(part.get_content_type() in _SEALED for part in [message, *parts]):
        raise failure(draft.name, Reason.ENCRYPTED, why="The message itself is encrypted.")
    for number, part in enumerate(parts[:_MOST_PARTS], 1):
        if not _is_body(part):
            _read_part(draft, source, part, number, read_attachment)


def _header(message: Message, name: str) -> Iterator[str]:
    raw = [value for key, value in message.raw_items() if key.lower() == name.lower()]
    for number, value in enumerate(raw):
        if len(str(value)) > _LONGEST_HEADER:
            yield str(value)[:_LONGEST_HEADER]
            continue
        try:
            yield str((message.get_all(name) or raw)[number])
        except _BAD_HEADER:
            yield str(value)


def _parts(message: Message) -> Iterator[Message]:
    """Leaf parts in order; a forwarded message is one part."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting += [item for item in reversed(payload) if isinstance(item, Message)]
        else:
            yield part


def _is_body(part: Message) -> bool:
    if part.get_content_type() not in ("text/plain", "text/html"):
        return False
    return part.get_content_disposition() != "attachment" and not _file_name(part)


def _read_body(draft: Draft, parts: list[Message]) -> bool:
    """Of plain text and HTML the one that says more; whether there was any."""
    bodies = [part for part in parts if _is_body(part)]
    plain = [_text(part) for part in bodies if part.get_content_type() == "text/plain"]
    markup = [_text(part) for part in bodies if part.get_content_type() == "text/html"]
    shown = sum(len(" ".join(_visible(text).split())) for text in markup)
    if sum(len(" ".join(text.split())) for text in plain) >= max(_SHORT * shown, 1):
        for text in plain:
            # A page break in a mail's text is white space, not a page.
            read_body_text(draft, text)
    else:
        for text in markup:
            read_markup(draft, text)
    return bool("".join(plain).strip() or shown)


def read_body_text(draft: Draft, text: str) -> None:
    """Plain text of a message on the current page."""
    read_lines(draft, text.replace("\f", "\n"), new_page=False)


def _visible(markup: str) -> str:
    if is_too_deep(markup):
        return ""
    tree = LexborHTMLParser(markup)
    tree.strip_tags(["script", "style"])
    return tree.body.text(separator=" ") if tree.body is not None else ""


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        declared = part.get_content_charset() or ""
    except _BAD_HEADER:
        declared = ""
    return decode(data, declared or declared_in(data)).text


def _file_name(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except _BAD_HEADER:
        return ""


def _read_part(
    draft: Draft, source: Source, part: Message, number: int, read_attachment: AttachmentReader
) -> None:
    kind = part.get_content_type()
    if kind in _SIGNATURES:
        return
    if kind == "message/rfc822":
        payload = part.get_payload()
        inner = payload[0] if isinstance(payload, list) and payload else None
        data = inner.as_bytes() if isinstance(inner, EmailMessage) else b""
        name = _file_name(part) or f"message {number}.eml"
    else:
        decoded = part.get_payload(decode=True)
        data = decoded if isinstance(decoded, bytes) else b""
        name = _file_name(part) or f"part {number}"
    inline = part.get_content_disposition() != "attachment" and part.get("Content-ID") is not None
    if inline and kind.startswith("image/") and len(data) < SMALLEST_INLINE:
        draft.note("Small pictures in the text of the message were not read.")
        return
    read_attachment(draft, source, name, data)
