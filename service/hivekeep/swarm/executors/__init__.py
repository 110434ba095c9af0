"""Where the pure work on documents is done: here, or on the nodes of a Ray cluster.

Responsible for reading and checking elsewhere; coordinator, journal, policy, audit log and every
effect stay at home.  Invariant: what an executor is given and gives back is plain data, and doing
it twice is harmless, so that a node may die at any time.
"""

from hivekeep.swarm.executors.local import LocalExecutor
from hivekeep.swarm.executors.settings import ClusterSettings

__all__ = ["ClusterSettings", "LocalExecutor"]
