"""How several model calls or several agents make one better answer.

Each pattern is a module of its own: a vote over samples, a second look, a tree of summaries, a
plan made from a free request, and the loop of an agent with tools.  Invariant: every model call and
every tool call of a pattern is a durable step of some agent.
"""
