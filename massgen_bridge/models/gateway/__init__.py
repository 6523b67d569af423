"""The gateway: how agents that bring their own model clients reach their models.

A worker, a framework or a user's own crew gets the address of a server on this machine and a
token that is good for one turn. The real key, the retries, the budgets and the accounts stay here.
"""

from __future__ import annotations

from massgen_bridge.models.gateway.gateway import Gateway
from massgen_bridge.models.gateway.passes import Fallback, Reservation

__all__ = ["Fallback", "Gateway", "Reservation"]
