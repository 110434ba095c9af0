"""Inference: the protocol, the local worker process and the model store.

Responsible for answering prompts; not for what they say.  Invariant: native inference code runs
only in a worker process that may die without harm to the daemon.
"""
