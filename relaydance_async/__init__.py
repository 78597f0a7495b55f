"""An asyncio client for the RelayDance API: video, images, chat and files, with one key."""

from ._blocking import run
from ._client import AsyncRelayDance
from ._hooks import RetryEvent
from ._limits import Limit, LimiterSnapshot, Limits, LimitsSnapshot, RedisLimits
from ._sansio.retry import RetryPolicy
from ._sansio.timeout import Timeout
from ._version import __version__
from .errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContentRefusedError,
    DownloadError,
    FanOutStoppedError,
    IdempotencyError,
    IdempotencyKeyReusedError,
    IncompleteStreamError,
    InsufficientBalanceError,
    InvalidInputError,
    JournalError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RelayDanceError,
    RequestTooLargeError,
    ResponseDecodeError,
    ResponseTooLargeError,
    ServerError,
    StreamError,
    SubmissionInDoubtError,
    TaskError,
    TaskFailedError,
    TaskTimeoutError,
    WebhookError,
    WebhookPayloadError,
    WebhookVerificationError,
    maybe_accepted,
)
from .fanout import FanOut, fan_out, fan_out_list
from .journal import PostgresJournal, SqliteJournal
from .models.account import Balance
from .models.catalog import Model, ModelList
from .models.chat import ChatCompletion, ChatCompletionChunk
from .models.files import UploadedFile
from .models.images import Image, ImagesResponse
from .models.journal import JournalEntry, Resolution
from .models.meta import AttemptRecord, ErrorResponse, ResponseMeta
from .models.outcome import Outcome
from .models.video import (
    AudioReference,
    FirstFrame,
    ImageReference,
    LastFrame,
    TaskFailure,
    TaskUsage,
    VideoReference,
    VideoTask,
)
from .resources._chat_stream import ChatStream
from .resources._event_stream import EventStream

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncRelayDance",
    "AttemptRecord",
    "AudioReference",
    "AuthenticationError",
    "BadRequestError",
    "Balance",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatStream",
    "ConfigurationError",
    "ContentRefusedError",
    "DownloadError",
    "ErrorResponse",
    "EventStream",
    "FanOut",
    "FanOutStoppedError",
    "FirstFrame",
    "IdempotencyError",
    "IdempotencyKeyReusedError",
    "Image",
    "ImageReference",
    "ImagesResponse",
    "IncompleteStreamError",
    "InsufficientBalanceError",
    "InvalidInputError",
    "JournalEntry",
    "JournalError",
    "LastFrame",
    "Limit",
    "LimiterSnapshot",
    "Limits",
    "LimitsSnapshot",
    "Model",
    "ModelList",
    "NotFoundError",
    "Outcome",
    "PermissionDeniedError",
    "PostgresJournal",
    "RateLimitError",
    "RedisLimits",
    "RelayDanceError",
    "RequestTooLargeError",
    "Resolution",
    "ResponseDecodeError",
    "ResponseMeta",
    "ResponseTooLargeError",
    "RetryEvent",
    "RetryPolicy",
    "ServerError",
    "SqliteJournal",
    "StreamError",
    "SubmissionInDoubtError",
    "TaskError",
    "TaskFailedError",
    "TaskFailure",
    "TaskTimeoutError",
    "TaskUsage",
    "Timeout",
    "UploadedFile",
    "VideoReference",
    "VideoTask",
    "WebhookError",
    "WebhookPayloadError",
    "WebhookVerificationError",
    "__version__",
    "fan_out",
    "fan_out_list",
    "maybe_accepted",
    "run",
]
