"""The local model with tools and forms, in three protocols: translation alone, no I/O.

The model that comes along calls no tools by itself, and its server knows forms in Chat Completions
alone. Requests become chat requests whose answer a grammar holds to a form; what the model writes
becomes an answer of the protocol that was spoken, piece by piece.
"""

from massgen_bridge.models.gateway.local.emulation import Emulation, emulate

__all__ = ["Emulation", "emulate"]
