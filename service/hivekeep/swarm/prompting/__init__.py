"""What a sub-agent asks a model: wording, the choice of blocks, and the schema of answers."""

from hivekeep.swarm.prompting.prompts import (
    extraction_messages,
    final_messages,
    notes_messages,
    reask_messages,
    request_groups,
    system_message,
)

__all__ = [
    "extraction_messages",
    "final_messages",
    "notes_messages",
    "reask_messages",
    "request_groups",
    "system_message",
]
