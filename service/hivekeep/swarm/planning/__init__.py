"""A free request becomes a graph of tasks.

Responsible for what a model is asked, what of its answer is believed, what is done where it fails,
and how a graph is shown and edited; not for executing it.
"""

from hivekeep.swarm.planning.outputs import labelled_graph
from hivekeep.swarm.planning.prompt import plan_messages, plan_schema
from hivekeep.swarm.planning.proposing import PLAN_TOKENS, planned, unplanned
from hivekeep.swarm.planning.readers import task_plan
from hivekeep.swarm.planning.reading import read_plan
from hivekeep.swarm.planning.text import (
    editable,
    graph_from_yaml,
    graph_text,
    graph_yaml,
    require_sound,
)
from hivekeep.swarm.planning.usual import SIMPLEST, simple_plan, usual_plan

__all__ = [
    "PLAN_TOKENS",
    "SIMPLEST",
    "editable",
    "graph_from_yaml",
    "graph_text",
    "graph_yaml",
    "labelled_graph",
    "plan_messages",
    "plan_schema",
    "planned",
    "read_plan",
    "require_sound",
    "simple_plan",
    "task_plan",
    "unplanned",
    "usual_plan",
]
