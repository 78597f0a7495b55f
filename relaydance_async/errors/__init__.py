"""Every exception of the package.

RelayDanceError
  x ConfigurationError (ValueError)      the client was set up wrongly
  x InvalidInputError (ValueError)       an argument that can't be sent; nothing was sent
  · APIStatusError                       the gateway answered with an error
    x BadRequestError                    400
    x AuthenticationError                401
    · PermissionDeniedError              403
      x InsufficientBalanceError         403, the balance or the key's quota is short
    x NotFoundError                      404, also an unknown model or task
    x RequestTooLargeError               413
    x RateLimitError                     429
    x ContentRefusedError                the prompt or its result was refused
    x ServerError                        5xx
  · APIConnectionError                   no answer came
    x APITimeoutError (TimeoutError)     not in time
  x ResponseDecodeError                  the answer isn't what the API documents
    x ResponseTooLargeError              the answer is larger than the client allows
  · StreamError                          a stream ended in an error
    x IncompleteStreamError              a stream ended too early
  x ParseError                           a chat's answer isn't what was asked for; it is paid for
    x LengthFinishReasonError            it was cut off at the limit of tokens
    x ContentFilterFinishReasonError     a content filter cut it off
  x ToolRunError                         a model still calls tools after the last turn
  · TaskError
    x TaskFailedError                    the video task failed (it is not billed)
    x TaskTimeoutError (TimeoutError)    the video task did not end in time; it goes on
  x DownloadError                        a clip or an image could not be saved whole
  x FanOutStoppedError                   a fan-out that stopped before the last item
  · WebhookError
    x WebhookVerificationError           a delivery without a valid token
    x WebhookPayloadError                a delivery that can't be read
  · IdempotencyError                     an idempotency key stands in the way; nothing was sent
    x IdempotencyKeyReusedError          the key names another request
    x SubmissionInDoubtError             an earlier request of the key may have been accepted
  x JournalError                         the journal can't be read or written
"""

from __future__ import annotations

# `typing.get_type_hints` looks for these where a class is shown.
from collections.abc import Mapping as Mapping
from typing import Any as Any
from typing import ClassVar as ClassVar

from ._answers import APIStatusError, ResponseDecodeError, ResponseTooLargeError
from ._arguments import ConfigurationError, InvalidInputError
from ._base import IN_DOUBT as IN_DOUBT
from ._base import RelayDanceError
from ._by_status import (
    AuthenticationError,
    BadRequestError,
    ContentRefusedError,
    InsufficientBalanceError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServerError,
)
from ._chat import ContentFilterFinishReasonError, LengthFinishReasonError, ParseError, ToolRunError
from ._downloads import DownloadError
from ._downloads import DownloadErrorKind as DownloadErrorKind
from ._fan_out import FanOutStoppedError
from ._journal import JournalError
from ._journal import JournalErrorKind as JournalErrorKind
from ._keys import IdempotencyError, IdempotencyKeyReusedError, SubmissionInDoubtError
from ._money import mark_accepted as mark_accepted
from ._money import mark_unsent as mark_unsent
from ._money import maybe_accepted as maybe_accepted
from ._network import APIConnectionError, APITimeoutError
from ._streams import IncompleteStreamError, StreamError
from ._tasks import TaskError, TaskFailedError, TaskTimeoutError
from ._webhooks import WebhookError, WebhookPayloadError, WebhookVerificationError

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ContentFilterFinishReasonError",
    "ContentRefusedError",
    "DownloadError",
    "FanOutStoppedError",
    "IdempotencyError",
    "IdempotencyKeyReusedError",
    "IncompleteStreamError",
    "InsufficientBalanceError",
    "InvalidInputError",
    "JournalError",
    "LengthFinishReasonError",
    "NotFoundError",
    "ParseError",
    "PermissionDeniedError",
    "RateLimitError",
    "RelayDanceError",
    "RequestTooLargeError",
    "ResponseDecodeError",
    "ResponseTooLargeError",
    "ServerError",
    "StreamError",
    "SubmissionInDoubtError",
    "TaskError",
    "TaskFailedError",
    "TaskTimeoutError",
    "ToolRunError",
    "WebhookError",
    "WebhookPayloadError",
    "WebhookVerificationError",
]


def _show_here(kind: type[RelayDanceError]) -> None:
    """Pickles, tracebacks and `help()` name a class, and those below it, by this package: its files may change."""
    if kind.__module__.startswith(f"{__name__}._"):
        kind.__module__ = __name__
        for below in kind.__subclasses__():
            _show_here(below)


_show_here(RelayDanceError)
maybe_accepted.__module__ = __name__
