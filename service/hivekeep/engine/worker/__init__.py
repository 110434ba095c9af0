"""The engine worker: the process that holds a model and answers many requests in one batch.

Scheduler, executor and constraint are separate modules with plain data between them; only the
executor touches llama.cpp.
"""
