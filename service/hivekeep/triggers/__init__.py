"""What starts work by itself: watched folders.

Responsible for finding settled files with new content and handing them over in batches; not for
what is done with them.  Invariant: no file is lost, and no content is handed over twice for the
same recipe unless its work failed.
"""

from hivekeep.triggers.inventory import Inventory
from hivekeep.triggers.model import (
    Batch,
    FileRecord,
    FileState,
    Fingerprint,
    FoundFile,
    WatchConfig,
)
from hivekeep.triggers.service import WatchService

__all__ = [
    "Batch",
    "FileRecord",
    "FileState",
    "Fingerprint",
    "FoundFile",
    "Inventory",
    "WatchConfig",
    "WatchService",
]
