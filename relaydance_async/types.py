"""The types of arguments and results that the methods of the client name, for annotations of your own.

from relaydance_async.types import ChatParams


async def ask(question: str, **params: Unpack[ChatParams]) -> str: ...

What most programs name is in `relaydance_async` itself; the events of hooks are in `relaydance_async.hooks`.
"""

from ._hooks import RetryHook
from ._sansio.observer import Observer
from ._sansio.timeout import TimeoutTypes
from .models._options import CallOptions, PhaseTimeouts, ReadOptions, RequestOptions
from .models.account import LogRow
from .models.audio import SpeechParams, Transcription, TranscriptionParams
from .models.binary import BinaryContent
from .models.chat import ChatParams, PlainChatParams, ToolLike
from .models.embeddings import EmbeddingParams, EmbeddingsResponse
from .models.images import ImageParams
from .models.moderations import ModerationParams, ModerationsResponse
from .models.pricing import PriceList
from .models.rerank import RerankParams, RerankResponse
from .models.responses import Response, ResponseParams
from .resources._files import FileInput, FilePart, Files
from .resources._listing import Listing
from .resources._messages import Message
from .resources._progress import ProgressHook
from .resources._request_options import AskOptions, PostOptions, PutOptions, Query, RequestedOptions, SendOptions
from .resources._response_stream import ResponseStream
from .resources._streamed_response import StreamedResponseManager
from .resources._task_events import TaskEvents
from .resources._tool_run import ToolHook
from .resources.responses import Input
from .resources.video.hooks import PercentHook, SubmitHook, UpdateHook
from .resources.video.materials import Frame, Material
from .resources.video.params import SubmitParams, VideoParams
from .resources.video.tasks import TaskOrId

__all__ = [
    "AskOptions",
    "BinaryContent",
    "CallOptions",
    "ChatParams",
    "EmbeddingParams",
    "EmbeddingsResponse",
    "FileInput",
    "FilePart",
    "Files",
    "Frame",
    "ImageParams",
    "Input",
    "Listing",
    "LogRow",
    "Material",
    "Message",
    "ModerationParams",
    "ModerationsResponse",
    "Observer",
    "PercentHook",
    "PhaseTimeouts",
    "PlainChatParams",
    "PostOptions",
    "PriceList",
    "ProgressHook",
    "PutOptions",
    "Query",
    "ReadOptions",
    "RequestOptions",
    "RequestedOptions",
    "RerankParams",
    "RerankResponse",
    "Response",
    "ResponseParams",
    "ResponseStream",
    "RetryHook",
    "SendOptions",
    "SpeechParams",
    "StreamedResponseManager",
    "SubmitHook",
    "SubmitParams",
    "TaskEvents",
    "TaskOrId",
    "TimeoutTypes",
    "ToolHook",
    "ToolLike",
    "Transcription",
    "TranscriptionParams",
    "UpdateHook",
    "VideoParams",
]
