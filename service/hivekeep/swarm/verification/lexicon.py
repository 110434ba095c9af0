"""Well-known labels of values that are easily taken for something else.

Responsible for reading ``lexicon.yaml``; a recipe's own aliases always win over its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

import yaml


@lru_cache(maxsize=1)
def other_labels() -> Mapping[str, tuple[str, ...]]:
    """What else a label may announce, with the phrases that do, in several languages."""
    text = resources.files(__package__).joinpath("lexicon.yaml").read_text(encoding="utf-8")
    return {name: tuple(phrases) for name, phrases in yaml.safe_load(text).items()}
