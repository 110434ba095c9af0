"""Reading documents: any supported file becomes positioned blocks, or fails with a stable reason.

Responsible for formats, OCR and the processes that contain hostile files; not for what the text
means.  Invariant: parsers of foreign formats run only in reader processes, never in the caller's.
"""

from hivekeep.documents.failures import Reason
from hivekeep.documents.hashing import file_sha256
from hivekeep.documents.pool import ReaderPool

__all__ = ["ReaderPool", "Reason", "file_sha256"]
