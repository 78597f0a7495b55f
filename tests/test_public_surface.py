"""The public surface: what is here is a promise. A change that makes this test fail belongs in the changelog."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

import relaydance_async
from relaydance_async import (
    NOT_GIVEN,
    AsyncRelayDance,
    AttemptRecord,
    ChatEventStream,
    ChatStream,
    EventStream,
    Outcome,
    RawResponse,
    ResponseMeta,
    RetryEvent,
    RetryPolicy,
    StreamedResponse,
    Timeout,
    VideoTask,
    errors,
    fan_out,
    fan_out_list,
)
from relaydance_async.fanout import STOP_ON
from relaydance_async.models.chat import ChatParams
from relaydance_async.models.images import ImageParams
from relaydance_async.resources._resource import Resource
from relaydance_async.resources.account import Account
from relaydance_async.resources.assets import Assets
from relaydance_async.resources.chat import Chat, Completions
from relaydance_async.resources.download import SaveSettings
from relaydance_async.resources.endpoint import AnyEndpoint
from relaydance_async.resources.files import Files
from relaydance_async.resources.images import Images
from relaydance_async.resources.models import Models
from relaydance_async.resources.video import SubmitParams, Video, VideoParams

NAMES = {
    "AsyncRelayDance", "AttemptRecord", "AudioReference", "Balance", "ChatCompletion", "ChatCompletionChunk",
    "RawResponse", "StreamedResponse",
    "ChatStream", "ErrorResponse", "EventStream", "FanOut", "FirstFrame",
    "Image", "ImageReference", "ImagesResponse", "LastFrame", "Limit",
    "Asset", "ClipCost", "Price", "VideoHints",
    "LimiterSnapshot", "Limits", "LimitsSnapshot", "Model",
    "NOT_GIVEN", "NotGiven", "JournalEntry", "PostgresJournal", "SqliteJournal", "RedisLimits", "Resolution",
    "ModelList", "Outcome", "ResponseMeta", "RetryEvent", "RetryPolicy", "TaskFailure", "TaskUsage", "Timeout",
    "UploadedFile", "VideoReference", "VideoTask", "__version__", "fan_out", "fan_out_list", "maybe_accepted", "run",
    # chat
    "ChatEvent", "ChatEventStream", "ChunkEvent", "ContentDeltaEvent", "ContentDoneEvent",
    "FunctionToolCallArgumentsDeltaEvent", "FunctionToolCallArgumentsDoneEvent", "ReasoningDeltaEvent",
    "RefusalDeltaEvent", "RefusalDoneEvent", "ParsedChatCompletion", "ParsedChoice", "ParsedMessage",
    "Tool", "ToolCompleted", "ToolRun", "ToolRunEvent", "ToolStarted", "TurnCompleted", "TurnStarted", "tool",
    "audio_part", "file_part", "image_part", "ModelUsage", "UsageCost", "UsageTracker",
    "openai_http_client", "ChatMessage", "Usage", "FileInput", "VideoParams",
    # errors
    "ContentFilterFinishReasonError", "LengthFinishReasonError", "ParseError", "ToolRunError",
    "APIConnectionError", "APIStatusError", "APITimeoutError", "AuthenticationError", "BadRequestError",
    "ConfigurationError", "ContentRefusedError", "DownloadError", "FanOutStoppedError", "IncompleteStreamError",
    "InsufficientBalanceError", "InvalidInputError", "NotFoundError", "PermissionDeniedError", "RateLimitError",
    "RelayDanceError", "RequestTooLargeError", "ResponseDecodeError", "ResponseTooLargeError", "ServerError",
    "StreamError", "TaskError", "TaskFailedError", "TaskTimeoutError", "WebhookError", "WebhookPayloadError",
    "WebhookVerificationError",
    "IdempotencyError", "IdempotencyKeyReusedError", "JournalError", "SubmissionInDoubtError",
}  # fmt: skip


def test_the_names_of_the_package() -> None:
    assert set(relaydance_async.__all__) == NAMES
    assert len(relaydance_async.__all__) == len(NAMES)
    assert set(errors.__all__) <= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    thing = getattr(relaydance_async, name)
    assert name in ("__version__", "ChatEvent") or inspect.getdoc(thing)  # a union of names has no docstring


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Public parameters with their defaults; `...` where there is none. Positional ones are marked."""
    return {
        f"{'' if one.kind is one.KEYWORD_ONLY else '/'}{name}": ... if one.default is one.empty else one.default
        for name, one in inspect.signature(function).parameters.items()
        if name != "self"
    }


def test_the_arguments_of_the_client() -> None:
    assert parameters(AsyncRelayDance) == {
        "/api_key": None,
        "base_url": None,
        "timeout": Timeout(),
        "deadline": None,
        "max_concurrency": 100,
        "retry": RetryPolicy(),
        "max_retries": None,
        "transport": "auto",
        "http_client": None,
        "default_headers": None,
        "default_query": None,
        "on_retry": None,
        "hooks": None,
        "max_response_bytes": 128 * 1024 * 1024,
        "allow_http": False,
        "signed_answers": None,
        "limits": None,
        "shared_limits": None,
        "journal": None,
    }
    assert parameters(AsyncRelayDance.with_options) == dict.fromkeys(
        [
            "api_key",
            "timeout",
            "deadline",
            "retry",
            "max_retries",
            "default_headers",
            "default_query",
            "on_retry",
            "hooks",
            "max_response_bytes",
            "priority",
        ],
        NOT_GIVEN,
    )


def test_the_ways_into_the_client() -> None:
    client = AsyncRelayDance("sk-1")
    assert {name for name in dir(client) if not name.startswith("_")} == {
        "account", "aclose", "assets", "api_key", "audio", "base_url", "chat", "close", "copy", "delete", "embeddings",
        "files", "get", "images", "is_closed", "limits", "models", "moderations", "post", "put", "request", "rerank",
        "resolve_doubts", "responses", "track_usage", "video", "videos", "warm", "with_options",
        "with_raw_response", "with_streaming_response",
    }  # fmt: skip
    assert isinstance(client.chat.completions, Completions)


VIEWS: dict[str, Any] = {"with_raw_response": {}, "with_streaming_response": {}}
LIMITS: dict[str, Any] = {"timeout": NOT_GIVEN, "deadline": NOT_GIVEN}
SENT = {**dict.fromkeys(["body", "query", "headers", "cast_to"]), **LIMITS, "api_key": NOT_GIVEN}
KEYED: dict[str, Any] = {"idempotency_key": None}
PER_REQUEST: dict[str, Any] = {"api_key": NOT_GIVEN, "extra_headers": None, "extra_query": None, "timeout": NOT_GIVEN}
READ = {**PER_REQUEST, "deadline": NOT_GIVEN}
BILLED = {**READ, "extra_body": None, **KEYED}
CHAT_NAMES = """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
    max_tokens metadata modalities n parallel_tool_calls prediction presence_penalty
    prompt_cache_key reasoning_effort safety_identifier seed service_tier stop store
    stream_options temperature tool_choice top_logprobs top_p user verbosity
    web_search_options
"""
PLAIN_CHAT = {**BILLED, **dict.fromkeys(CHAT_NAMES.split())}
CHAT = {**PLAIN_CHAT, "response_format": None, "tools": None}
IMAGE_NAMES = """
    aspect_ratio background moderation n output_compression output_format quality response_format size style user
"""
IMAGE = {**BILLED, **dict.fromkeys(IMAGE_NAMES.split())}
CLIP: dict[str, Any] = {
    **PER_REQUEST,
    "extra_body": None,
    **KEYED,
    **dict.fromkeys(["seconds", "ratio", "resolution", "generate_audio", "callback_url"]),
    "references": NOT_GIVEN,
    "first_frame": None,
    "last_frame": None,
    "return_last_frame": None,
    "metadata": NOT_GIVEN,
}
SAVED: dict[str, Any] = {"overwrite": True, "allow_private_hosts": False, "on_progress": None}
METHODS: dict[type, dict[str, dict[str, Any]]] = {
    Models: {"list": {"prices": False, **READ}, "retrieve": {"/model": ..., **READ}},
    Chat: {
        "completions": {},
        "run_tools": {
            "model": ...,
            "messages": ...,
            "tools": ...,
            "response_format": None,
            "max_turns": 10,
            "max_parallel": 8,
            "stream": False,
            "on_event": None,
            **PLAIN_CHAT,
        },
    },
    Completions: {
        "create": {"model": ..., "messages": ..., "stream": None, **CHAT},
        "parse": {
            "model": ...,
            "messages": ...,
            "response_format": ...,
            "validate_retries": 0,
            "strict": True,
            "tools": None,
            **PLAIN_CHAT,
        },
        "stream": {
            "model": ...,
            "messages": ...,
            "response_format": None,
            "strict": True,
            "tools": None,
            **PLAIN_CHAT,
        },
    },
    ChatEventStream: {
        "aclose": {},
        "close": {},
        "current_completion_snapshot": {},
        "get_final_completion": {},
        "meta": {},
        "text": {},
        "until_done": {},
    },
    Images: {
        "generate": {"model": ..., "prompt": ..., **IMAGE},
        "edit": {"model": ..., "prompt": ..., "image": ..., "mask": None, "on_progress": None, **IMAGE},
        "save": {"/image": ..., "/path": ..., "max_bytes": 256 * 1024**2, **SAVED, **PER_REQUEST},
    },
    Files: {
        "upload": {"/file": ..., "filename": None, "media_type": None, "on_progress": None, **BILLED},
        "create": {"file": ..., "purpose": None, **BILLED},
    },
    Video: {
        "submit": {"model": ..., "prompt": ..., **CLIP, "deadline": NOT_GIVEN},
        "retrieve": {"/task": ..., **READ},
        "wait": {
            "/task": ...,
            "deadline": None,
            "on_update": None,
            "on_progress": None,
            "receiver": None,
            **PER_REQUEST,
        },
        "wait_all": {"/tasks": ..., "deadline": None, "on_update": None, "receiver": None, **PER_REQUEST},
        "as_completed": {"/tasks": ..., "deadline": None, "on_update": None, "receiver": None, **PER_REQUEST},
        "watch": {"/task": ..., "deadline": None, **PER_REQUEST},
        "cost": {"model": ..., "seconds": None, **READ},
        "resume": {
            "/tasks": ...,
            "in_flight": 10_000,
            "deadline": None,
            "on_update": None,
            "receiver": None,
            **PER_REQUEST,
        },
        "generate": {
            "model": ...,
            "prompt": ...,
            "path": None,
            "overwrite": True,
            "deadline": None,
            "on_submit": None,
            "on_update": None,
            "on_progress": None,
            "receiver": None,
            **CLIP,
        },
        "download": {"/task": ..., "/path": ..., "deadline": None, "max_bytes": 4 * 1024**3, **SAVED, **PER_REQUEST},
        "content": {"/task": ..., "max_bytes": 256 * 1024**2, "allow_private_hosts": False, **PER_REQUEST},
        "stream_content": {"/task": ..., "max_bytes": 4 * 1024**3, "allow_private_hosts": False, **PER_REQUEST},
    },
    Account: {"balance": READ, "log": READ, "prices": READ},
    AnyEndpoint: {
        "request": {"/method": ..., "/path": ..., **SENT, "files": None, "stream": False, "billed": None, **KEYED},
        "get": {"/path": ..., **{name: default for name, default in SENT.items() if name != "body"}},
        "post": {"/path": ..., **SENT, "files": None, "stream": False, "billed": True, **KEYED},
        "put": {"/path": ..., **SENT, "files": None, "billed": False},
        "delete": {"/path": ..., **SENT},
    },
    EventStream: {"aclose": {}, "close": {}, "meta": {}},
    Assets: {
        "at": {"/url": ...},
        "create": {"/source": ..., "name": None, "asset_type": None, **READ},
        "retrieve": {"/asset": ..., **READ},
        "wait": {"/asset": ..., "deadline": None, **PER_REQUEST},
    },
    ChatStream: {"get_final_completion": {}, "aclose": {}, "close": {}, "text": {}, "meta": {}},
}


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__)
def test_the_methods_and_their_arguments(kind: type[Any]) -> None:
    wanted = METHODS[kind]
    has_views = issubclass(kind, Resource) and kind not in (Chat, Assets)  # those make several requests, or none
    wanted = {**wanted, **VIEWS} if has_views else wanted
    assert {name for name in dir(kind) if not name.startswith("_")} == set(wanted)
    for name, arguments in wanted.items():
        method = inspect.getattr_static(kind, name)
        assert inspect.getdoc(method), f"{kind.__name__}.{name} has no docstring"
        if inspect.isfunction(method):
            # Those that take in their arguments at once are marked as such; `inspect` sees that from Python 3.12 on.
            is_manager = inspect.isasyncgenfunction(inspect.unwrap(method))
            gives_manager = is_manager or name in ("resume", "stream", "at")
            assert inspect.iscoroutinefunction(method) or hasattr(method, "_is_coroutine") or gives_manager
            assert parameters(method) == arguments


def test_what_a_raw_response_has() -> None:
    def names(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    both = {"meta", "status_code", "headers", "request_id", "text", "json", "parse"}
    assert names(RawResponse) == both
    assert names(StreamedResponse) == {
        *both, "read", "iter_bytes", "iter_text", "iter_lines", "stream_to_file", "aclose",
    }  # fmt: skip


def test_the_arguments_of_a_fan_out() -> None:
    arguments = {"/function": ..., "/items": ..., "in_flight": 100, "stop_on": STOP_ON}
    assert parameters(fan_out_list) == arguments
    assert parameters(fan_out) == {**arguments, "ordered": False}
    assert {name for name in dir(Outcome) if not name.startswith("_")} == {
        "error", "index", "item", "seconds", "value",
    }  # fmt: skip


def test_the_further_arguments() -> None:
    call_options = {"api_key", "extra_body", "extra_headers", "extra_query", "timeout", "idempotency_key"}
    assert set(SubmitParams.__annotations__) == {*VideoParams.__annotations__, "deadline"}
    assert set(VideoParams.__annotations__) == {
        "seconds", "ratio", "resolution", "generate_audio", "callback_url", "references", "metadata", "first_frame",
        "last_frame", "return_last_frame", *call_options,
    }  # fmt: skip
    assert SaveSettings() == SaveSettings(True, 4 * 1024**3, False, None)
    call_options.add("deadline")
    assert {"temperature", "max_tokens", "top_p", "stop", "tools", *call_options} <= set(ChatParams.__annotations__)
    assert {"n", "size", "response_format", "quality", "aspect_ratio", *call_options} <= set(
        ImageParams.__annotations__
    )


def test_the_fields_of_the_values() -> None:
    def names(kind: Any) -> list[str]:
        return [field.name for field in fields(kind)]

    assert names(RetryPolicy) == ["max_attempts", "base", "cap", "retry_ambiguous", "longest_retry_after"]
    assert names(RetryEvent) == ["attempt", "error", "wait", "elapsed", "method", "path"]
    assert names(Timeout) == ["connect", "read", "write"]
    assert names(AttemptRecord) == ["number", "started_at", "elapsed", "error", "status_code", "code", "wait", "queued"]
    assert names(ResponseMeta) == [
        "method", "path", "status_code", "headers", "request_id", "attempts", "sent_at", "replayed", "queued",
        "elapsed",
    ]  # fmt: skip
    assert list(VideoTask.model_fields) == [
        "task_id", "status", "raw_status", "progress", "url", "format", "model", "error", "metadata", "created_at",
        "completed_at", "duration", "resolution", "seed", "usage", "last_frame_url", "extra",
    ]  # fmt: skip


def test_what_every_error_has() -> None:
    error = errors.RelayDanceError("m")
    assert {name for name in dir(error) if not name.startswith("_")} - set(dir(Exception)) == {
        "attempts", "code", "documented_status", "hint", "history", "maybe_accepted", "message", "meta", "method",
        "not_retried_because", "param", "path",
        "request_id", "retryable", "sent_at", "status_code", "support_details", "task_id", "type",
        "user_message",
    }  # fmt: skip


def test_the_version_is_one() -> None:
    assert relaydance_async.__version__.count(".") == 2
