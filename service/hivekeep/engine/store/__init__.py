"""The model store: which models are known, how they are obtained, and whether they are genuine.

Responsible for weights on disk; loading them is the engine's.  Invariant: a path handed out by the
store holds exactly the bytes whose SHA-256 the catalog names.
"""

from hivekeep.engine.store.catalog import DEFAULT_MODEL, ModelEntry, load_catalog
from hivekeep.engine.store.permit import Permit
from hivekeep.engine.store.status import (
    ModelState,
    ModelStatus,
    Progress,
    ProgressCallback,
    Verification,
)
from hivekeep.engine.store.store import ModelStore

__all__ = [
    "DEFAULT_MODEL",
    "ModelEntry",
    "ModelState",
    "ModelStatus",
    "ModelStore",
    "Permit",
    "Progress",
    "ProgressCallback",
    "Verification",
    "load_catalog",
]
