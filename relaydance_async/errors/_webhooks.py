"""Deliveries of webhooks that are refused."""

from __future__ import annotations

from ._base import RelayDanceError


class WebhookError(RelayDanceError):
    """A webhook delivery was refused."""


class WebhookVerificationError(WebhookError):
    """The delivery's URL has no valid token of ours: forged, expired or of another secret."""


class WebhookPayloadError(WebhookError):
    """The delivery's body is not a task."""
