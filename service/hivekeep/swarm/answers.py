"""What a model answered, as data.

Responsible for reading JSON that may have been cut off; not for believing it.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from hivekeep.domain.errors import EngineError


def parse_answer(text: str) -> dict[str, Any]:
    """The model's JSON object, or the complete beginning of one cut off by the token limit.

    What was cut off is simply not there, and so is checked like a value that was never given.

    :raises EngineError: if nothing usable was answered.
    """
    try:
        answer = from_json(text, allow_partial=True)
    except ValueError as error:
        raise EngineError(
            "The model's answer was not usable.",
            why=f"It was not JSON ({error}).",
            next_step="Try again with 'hivekeep runs resume --retry-failed', or a larger model.",
        ) from error
    return answer if isinstance(answer, dict) else {}
