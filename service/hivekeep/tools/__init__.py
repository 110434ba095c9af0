"""What a sub-agent may call: typed tools over documents, files, sheets and numbers.

Responsible for each tool's arguments, its effect and the label of what it hands back; which agent
may call it is the grant's and policy's decision, when it is called is the swarm's.  Invariant: a
tool does nothing that its prepared description does not say.
"""

from hivekeep.tools.context import Library, ToolContext
from hivekeep.tools.registry import Registry, ToolCall, standard_registry
from hivekeep.tools.spec import EffectClass, Happened, Tool, ToolResult, ToolSpec

__all__ = [
    "EffectClass",
    "Happened",
    "Library",
    "Registry",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolResult",
    "ToolSpec",
    "standard_registry",
]
