"""The receiver as a route of Starlette and of FastAPI, neither of which is needed for anything else here."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ._asgi import WebhookApp

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.routing import Route


def starlette_route(app: WebhookApp, path: str) -> Route:
    """A route that receives deliveries at exactly this path; for `Starlette(routes=[…])`.

    (A `Mount` redirects `/hooks` to `/hooks/`, and a webhook's sender need not follow.)

    Args:
        app: what answers.
        path: begins with a slash.

    Raises:
        ConfigurationError: Starlette is not installed.
    """
    with _needing("starlette"):
        from starlette.routing import Route
    return Route(path, app, name="relaydance_webhooks", include_in_schema=False)


def fastapi_router(app: WebhookApp, path: str) -> APIRouter:
    """A router that receives deliveries at exactly this path; for `api.include_router(…)`, whose prefix counts.

    Args:
        app: what answers.
        path: begins with a slash.

    Raises:
        ConfigurationError: FastAPI is not installed.
    """
    with _needing("fastapi"):
        from fastapi import APIRouter
    return APIRouter(routes=[starlette_route(app, path)])


@contextmanager
def _needing(package: str) -> Generator[None, None, None]:
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(f"this needs another package: pip install {package}") from error
