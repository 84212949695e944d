"""A service's verdicts in Python; `aligngemini.Client` and `aligngemini.AsyncClient`."""

from importlib.util import find_spec

if find_spec("httpx") is None:
    raise ImportError("the client needs httpx: pip install 'aligngemini[client]'")

from aligngemini.client.asynchronous import AsyncClient
from aligngemini.client.exchange import ServiceError
from aligngemini.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "ServiceError"]
