"""Runs of many sub-agents: the coordinator, the agents' steps, verification and reduction.

Responsible for turning a plan and its inputs into checked results, durably; not for where inputs
come from or who may ask.  It reaches everything outside through the ports in ``swarm.ports``.
"""
