"""Webhooks, received safely: a delivery is a hint, and the task is fetched with the key."""

from ._asgi import WebhookApp
from ._frameworks import fastapi_router, starlette_route
from ._receiver import Delivery, WebhookReceiver

__all__ = ["Delivery", "WebhookApp", "WebhookReceiver", "fastapi_router", "starlette_route"]
