"""A Ray cluster of a head without work and two nodes on this machine, told what to do by lines.

``python cluster_process.py``: prints ``up ADDRESS``; the line ``kill`` kills one node without
warning, the end of the input ends it.  It is a process of its own because Ray reads its environment
when it is first imported.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    """Serve until the input ends."""
    store = 80 << 20
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0, "include_dashboard": False, "include_log_monitor": False,
            "no_monitor": True, "object_store_memory": store,
        },
    )  # fmt: skip
    nodes = [
        cluster.add_node(
            wait=False, num_cpus=1, object_store_memory=store, include_log_monitor=False
        )
        for _ in range(2)
    ]
    cluster.wait_for_nodes(timeout=120)
    print(f"up {cluster.address}", flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            print("killed", flush=True)
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
