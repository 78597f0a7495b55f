"""The client: its settings, the way to the endpoints, and its life."""

from ._client import AsyncRelayDance
from ._openai import openai_http_client
from ._settings import made_with

__all__ = ["AsyncRelayDance", "made_with", "openai_http_client"]
