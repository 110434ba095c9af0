"""The sections of a policy, each a pydantic model whose fields are the keys.

Responsible for type, default, meaning and combination of every key; ``schema`` puts them together.
"""
