"""Models on other machines, behind OpenAI-compatible servers such as vLLM, SGLang or llama-server.

Responsible for speaking their protocol; whether a host may be spoken to is policy's, and is asked
before every connection through a permit that is passed in.
"""

from hivekeep.engine.remote.engine import Permit, RemoteEngine
from hivekeep.engine.remote.models import Guided, RemoteModel, RemoteModels

__all__ = ["Guided", "Permit", "RemoteEngine", "RemoteModel", "RemoteModels"]
