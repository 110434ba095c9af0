"""The daemon: the only process that decides.

Responsible for wiring every part together, for its own life cycle, and for the local API; the work
itself belongs to the layers below.
"""
