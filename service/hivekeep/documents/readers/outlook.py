"""MSG: messages saved by Outlook.

Responsible for header fields, body and attachments; not for rich text bodies.  Invariant: it shows
the same header fields in the same order as a mail file.
"""

from __future__ import annotations

import struct

from oxmsg import Message

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.documents.readers.mail import SHOWN_HEADERS, AttachmentReader, read_body_text
from hivekeep.documents.readers.web import read_markup
from hivekeep.domain.documents import BlockKind

_BROKEN = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, LookupError,
    AssertionError, struct.error,
)  # fmt: skip


def read_msg(draft: Draft, source: Source, read_attachment: AttachmentReader) -> None:
    """One page of header fields and body, then the attachments."""
    try:
        message = Message.load(source.data)
        headers = _headers(message)
        body, sealed = message.body or "", "SMIME" in message.message_class.upper()
    except _BROKEN as error:
        raise failure(
            draft.name, Reason.DAMAGED, why=f"It is no complete message: {error}"
        ) from error
    draft.next_page()
    for name in SHOWN_HEADERS:
        value = headers.get(name, "")
        if value:
            draft.add(f"{name}: {value}", BlockKind.HEADER_FIELD, locator=f"header {name}")
            draft.describe(name.lower(), value)
    if body.strip():
        read_body_text(draft, body)
    elif sealed:
        raise failure(draft.name, Reason.ENCRYPTED, why="The message itself is encrypted.")
    else:
        read_markup(draft, _html(draft, message))
    _read_attachments(draft, source, message, read_attachment)


def _headers(message: Message) -> dict[str, str]:
    transported = {name.title(): value for name, value in message.message_headers.items()}
    recipients = [f"{one.name or ''} <{one.email_address or ''}>" for one in message.recipients]
    sent = message.sent_date
    own = {
        "From": message.sender or "",
        "To": ", ".join(recipients),
        "Date": sent.isoformat(" ", "seconds") if sent is not None else "",
        "Subject": message.subject,
    }
    return {**own, **{name: str(value) for name, value in transported.items() if value}}


def _html(draft: Draft, message: Message) -> str:
    try:
        return message.html_body or ""
    except _BROKEN:
        draft.note("Its body could not be decoded.")
        return ""


def _read_attachments(
    draft: Draft, source: Source, message: Message, read_attachment: AttachmentReader
) -> None:
    for number, attachment in enumerate(message.attachments, 1):
        try:
            data = attachment.file_bytes
            name = attachment.file_name or f"attachment {number}"
        except _BROKEN:
            data, name = None, f"attachment {number}"
        if data is None:
            draft.note(f"The attachment '{name}' holds no file that can be read.")
        else:
            read_attachment(draft, source, name, data)
