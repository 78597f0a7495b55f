"""An asyncio client for the RelayDance API: video, images, chat and files, with one key."""

from importlib import import_module
from typing import TYPE_CHECKING

from ._blocking import run
from ._call import UsageTracker
from ._client import AsyncRelayDance, openai_http_client
from ._hooks import RetryEvent
from ._limits import Limit, LimiterSnapshot, Limits, LimitsSnapshot
from ._sansio.misnamed import ELSEWHERE
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
    ContentFilterFinishReasonError,
    ContentRefusedError,
    DownloadError,
    FanOutStoppedError,
    IdempotencyError,
    IdempotencyKeyReusedError,
    IncompleteStreamError,
    InsufficientBalanceError,
    InvalidInputError,
    JournalError,
    LengthFinishReasonError,
    NotFoundError,
    ParseError,
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
    ToolRunError,
    WebhookError,
    WebhookPayloadError,
    WebhookVerificationError,
    maybe_accepted,
)
from .fanout import FanOut, fan_out, fan_out_list
from .models._options import NOT_GIVEN, NotGiven
from .models.chat import ChatCompletion, ChatCompletionChunk, ChatMessage, Usage
from .models.meta import AttemptRecord, ErrorResponse, ResponseMeta
from .models.outcome import Outcome
from .models.response import RawResponse
from .models.usage import ModelUsage, UsageCost
from .resources._chat_stream import ChatStream
from .resources._event_stream import EventStream
from .resources._streamed_response import StreamedResponse

if TYPE_CHECKING:
    from ._limits._redis import RedisLimits
    from ._sansio.chat_events import (
        ChatEvent,
        ChunkEvent,
        ContentDeltaEvent,
        ContentDoneEvent,
        FunctionToolCallArgumentsDeltaEvent,
        FunctionToolCallArgumentsDoneEvent,
        ReasoningDeltaEvent,
        RefusalDeltaEvent,
        RefusalDoneEvent,
    )
    from .journal import PostgresJournal, SqliteJournal
    from .models.account import Balance
    from .models.assets import Asset
    from .models.catalog import Model, ModelList
    from .models.files import UploadedFile
    from .models.hints import VideoHints
    from .models.images import Image, ImagesResponse
    from .models.journal import JournalEntry, Resolution
    from .models.parsed import ParsedChatCompletion, ParsedChoice, ParsedMessage
    from .models.pricing import ClipCost, Price
    from .models.references import AudioReference, FirstFrame, ImageReference, LastFrame, VideoReference
    from .models.tools import ToolCompleted, ToolRun, ToolRunEvent, ToolStarted, TurnCompleted, TurnStarted
    from .models.video import TaskFailure, TaskUsage, VideoTask
    from .resources._chat_events import ChatEventStream
    from .resources._files import FileInput
    from .resources._parts import audio_part, file_part, image_part
    from .resources._tool import Tool, tool
    from .resources.video.params import VideoParams

__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Asset",
    "AsyncRelayDance",
    "AttemptRecord",
    "AudioReference",
    "AuthenticationError",
    "BadRequestError",
    "Balance",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatEvent",
    "ChatEventStream",
    "ChatMessage",
    "ChatStream",
    "ChunkEvent",
    "ClipCost",
    "ConfigurationError",
    "ContentDeltaEvent",
    "ContentDoneEvent",
    "ContentFilterFinishReasonError",
    "ContentRefusedError",
    "DownloadError",
    "ErrorResponse",
    "EventStream",
    "FanOut",
    "FanOutStoppedError",
    "FileInput",
    "FirstFrame",
    "FunctionToolCallArgumentsDeltaEvent",
    "FunctionToolCallArgumentsDoneEvent",
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
    "LengthFinishReasonError",
    "Limit",
    "LimiterSnapshot",
    "Limits",
    "LimitsSnapshot",
    "Model",
    "ModelList",
    "ModelUsage",
    "NotFoundError",
    "NotGiven",
    "Outcome",
    "ParseError",
    "ParsedChatCompletion",
    "ParsedChoice",
    "ParsedMessage",
    "PermissionDeniedError",
    "PostgresJournal",
    "Price",
    "RateLimitError",
    "RawResponse",
    "ReasoningDeltaEvent",
    "RedisLimits",
    "RefusalDeltaEvent",
    "RefusalDoneEvent",
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
    "StreamedResponse",
    "SubmissionInDoubtError",
    "TaskError",
    "TaskFailedError",
    "TaskFailure",
    "TaskTimeoutError",
    "TaskUsage",
    "Timeout",
    "Tool",
    "ToolCompleted",
    "ToolRun",
    "ToolRunError",
    "ToolRunEvent",
    "ToolStarted",
    "TurnCompleted",
    "TurnStarted",
    "UploadedFile",
    "Usage",
    "UsageCost",
    "UsageTracker",
    "VideoHints",
    "VideoParams",
    "VideoReference",
    "VideoTask",
    "WebhookError",
    "WebhookPayloadError",
    "WebhookVerificationError",
    "__version__",
    "audio_part",
    "fan_out",
    "fan_out_list",
    "file_part",
    "image_part",
    "maybe_accepted",
    "openai_http_client",
    "run",
    "tool",
]

# What many programs don't use is imported when it is first asked for, so that importing the package stays quick.
_LATE = {
    "Asset": ".models.assets",
    "AudioReference": ".models.references",
    "Balance": ".models.account",
    "ChatEvent": "._sansio.chat_events",
    "ChatEventStream": ".resources._chat_events",
    "ChunkEvent": "._sansio.chat_events",
    "ClipCost": ".models.pricing",
    "ContentDeltaEvent": "._sansio.chat_events",
    "ContentDoneEvent": "._sansio.chat_events",
    "FileInput": ".resources._files",
    "FirstFrame": ".models.references",
    "FunctionToolCallArgumentsDeltaEvent": "._sansio.chat_events",
    "FunctionToolCallArgumentsDoneEvent": "._sansio.chat_events",
    "Image": ".models.images",
    "ImageReference": ".models.references",
    "ImagesResponse": ".models.images",
    "JournalEntry": ".models.journal",
    "LastFrame": ".models.references",
    "Model": ".models.catalog",
    "ModelList": ".models.catalog",
    "ParsedChatCompletion": ".models.parsed",
    "ParsedChoice": ".models.parsed",
    "ParsedMessage": ".models.parsed",
    "PostgresJournal": ".journal._postgres",
    "Price": ".models.pricing",
    "ReasoningDeltaEvent": "._sansio.chat_events",
    "RedisLimits": "._limits._redis",
    "RefusalDeltaEvent": "._sansio.chat_events",
    "RefusalDoneEvent": "._sansio.chat_events",
    "Resolution": ".models.journal",
    "SqliteJournal": ".journal._sqlite",
    "TaskFailure": ".models.video",
    "TaskUsage": ".models.video",
    "Tool": ".resources._tool",
    "ToolCompleted": ".models.tools",
    "ToolRun": ".models.tools",
    "ToolRunEvent": ".models.tools",
    "ToolStarted": ".models.tools",
    "TurnCompleted": ".models.tools",
    "TurnStarted": ".models.tools",
    "UploadedFile": ".models.files",
    "VideoHints": ".models.hints",
    "VideoParams": ".resources.video.params",
    "VideoReference": ".models.references",
    "VideoTask": ".models.video",
    "audio_part": ".resources._parts",
    "file_part": ".resources._parts",
    "image_part": ".resources._parts",
    "tool": ".resources._tool",
}


if not TYPE_CHECKING:  # type checkers would take any name

    def __getattr__(name: str) -> object:
        if name in ELSEWHERE:  # `from … import` shows the text of no other error
            raise ImportError(f"{__name__} has no {name}: {ELSEWHERE[name]}", name=__name__)
        module = _LATE.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(module, __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
