"""Hivekeep: a swarm of local AI sub-agents whose reasoning never leaves the machine."""

__version__ = "0.1.0"
