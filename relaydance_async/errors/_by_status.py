"""What the gateway refuses, or fails in, by the status that the API documents for it."""

from __future__ import annotations

from ._answers import APIStatusError


class _AboutTheRequest(APIStatusError):
    """The fault is in what was asked for, so the gateway's text may help whoever asked."""

    @property
    def user_message(self) -> str | None:
        """The gateway's text. None when somebody else answered."""
        return self.message if self.answered_by is None else None


class BadRequestError(_AboutTheRequest):
    """400: a required parameter is missing or the body is malformed."""

    _documented_status = 400
    _hint = "Correct the request"


class AuthenticationError(APIStatusError):
    """401: the key is invalid, missing, revoked, expired or exhausted."""

    _documented_status = 401
    _hint = "Check RELAYDANCE_API_KEY, or the key's state and quota in the console"


class PermissionDeniedError(APIStatusError):
    """403: the key may not use this model or group."""

    _documented_status = 403
    _hint = "Use a key that may use this model"


class InsufficientBalanceError(PermissionDeniedError):
    """403: the account's balance, or the key's own quota, doesn't cover the request."""

    _hint = "Top up the account or raise the key's quota; `await client.account.balance()` shows what is left"


class NotFoundError(APIStatusError):
    """404: an unknown model, task or path. The gateway may send 503 `model_not_found` or 400 `task_not_exist`."""

    _documented_status = 404
    _hint = "Check the id; `await client.models.list()` shows the models that this key can use"

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.message.startswith("Invalid URL (") and not self.maybe_accepted:
            return "The gateway doesn't offer this path; if it should, check the base URL (it ends in /v1)"
        if self.task_id and not self.maybe_accepted:
            return "Check the task's id, and that the key is of the account that submitted it"
        return super().hint


class RequestTooLargeError(_AboutTheRequest):
    """413: the body is larger than the gateway takes (128 MB by default)."""

    _documented_status = 413
    _hint = "Send a smaller body, or upload the file and send its URL"


class RateLimitError(APIStatusError):
    """429: the key's rate limit."""

    _documented_status = 429
    _hint = "Slow down: a lower max_concurrency, or more attempts in RetryPolicy"


class ContentRefusedError(_AboutTheRequest):
    """The prompt or its result was refused by a content filter. Never repeated."""

    _documented_status = 422
    _hint = "Change the prompt; the same one will be refused again"


class ServerError(APIStatusError):
    """5xx: the gateway or an upstream failed, as a rule for seconds. Not billed."""

    _hint = "If it persists, send support_details() to RelayDance's support"
