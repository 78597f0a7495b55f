"""The errors as values: they travel, compare and read well, and hold nothing that they should not."""

from __future__ import annotations

import copy
import pickle
import pydoc
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

import httpx
import pytest
from pydantic import BaseModel

from relaydance_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AttemptRecord,
    AuthenticationError,
    BadRequestError,
    ChatCompletion,
    ConfigurationError,
    ContentRefusedError,
    DownloadError,
    IncompleteStreamError,
    InsufficientBalanceError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RelayDanceError,
    RequestTooLargeError,
    ResponseDecodeError,
    ResponseMeta,
    ResponseTooLargeError,
    ServerError,
    StreamError,
    TaskError,
    TaskFailedError,
    TaskTimeoutError,
    Timeout,
    VideoTask,
    WebhookError,
    WebhookPayloadError,
    WebhookVerificationError,
    errors,
    maybe_accepted,
)
from relaydance_async.errors import DownloadErrorKind
from relaydance_async.sandbox import ConnectionFault, Fault, FaultyProxy, Sandbox
from tests.kit.calls import BILLED, Call, ask_chat, client_of, fetch_task, list_models, open_stream, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import CHAT, FETCH, FILES, MODELS

AT = datetime(2026, 8, 7, 12, 0, 0, 250_000, tzinfo=UTC)
META = ResponseMeta(
    method="POST",
    path="/video/generations",
    status_code=503,
    headers={"x-oneapi-request-id": "id-1", "retry-after": "7"},
    request_id="id-1",
    attempts=(
        AttemptRecord(1, AT, 0.25, "ServerError", 500, "get_channel_failed", 0.5),
        AttemptRecord(2, AT, 0.5, "ServerError", 503, None, None),
    ),
    sent_at=AT,
)
TASK = VideoTask.model_validate({"task_id": "task_1", "status": "failed", "error": {"message": "nsfw"}})
PARTIAL = ChatCompletion.model_validate({"choices": [{"message": {"content": "so far", "images": [1]}}]})
EXTRA: dict[type[RelayDanceError], dict[str, Any]] = {
    RateLimitError: {"retry_after": 7.0},
    ServerError: {"retry_after": 7.0, "answered_by": "LiteLLM", "raw_body": b'{"error": {}}'},
    ResponseDecodeError: {"raw_body": b"<html>"},
    ResponseTooLargeError: {"raw_body": b"<html>"},
    StreamError: {"text": "so far", "completion": PARTIAL},
    IncompleteStreamError: {"text": "so far", "completion": PARTIAL},
    TaskError: {"task": TASK},
    TaskFailedError: {"task": TASK},
    TaskTimeoutError: {"task": TASK},
}
CLASSES: list[type[RelayDanceError]] = [getattr(errors, name) for name in errors.__all__]


def full(kind: type[RelayDanceError]) -> RelayDanceError:
    return kind(
        "it broke",
        meta=META,
        type="upstream_error",
        code="bad_response",
        param="model",
        task_id="task_1",
        retryable=True,
        maybe_accepted=True,
        **EXTRA.get(kind, {}),
    )


def state_of(error: RelayDanceError) -> dict[str, Any]:
    return {"text": str(error), "args": error.args, **vars(error)}


every_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def test_the_tree_is_the_one_in_the_docstring() -> None:
    listed = {line.split()[1] for line in (errors.__doc__ or "").splitlines() if line.strip().startswith(("x ", "· "))}
    assert listed | {"RelayDanceError"} == set(errors.__all__)
    for kind, parent in {
        ConfigurationError: ValueError,
        InvalidInputError: ValueError,
        BadRequestError: APIStatusError,
        AuthenticationError: APIStatusError,
        PermissionDeniedError: APIStatusError,
        InsufficientBalanceError: PermissionDeniedError,
        NotFoundError: APIStatusError,
        RequestTooLargeError: APIStatusError,
        RateLimitError: APIStatusError,
        ContentRefusedError: APIStatusError,
        ServerError: APIStatusError,
        APITimeoutError: APIConnectionError,
        ResponseTooLargeError: ResponseDecodeError,
        IncompleteStreamError: StreamError,
        TaskFailedError: TaskError,
        TaskTimeoutError: TimeoutError,
        WebhookVerificationError: WebhookError,
        WebhookPayloadError: WebhookError,
    }.items():
        assert issubclass(kind, parent)
    assert issubclass(APITimeoutError, TimeoutError)
    assert all(issubclass(kind, RelayDanceError) for kind in CLASSES)
    assert not issubclass(DownloadError, APIStatusError)


def _of_the_package(kind: type[RelayDanceError] = RelayDanceError) -> Iterator[type[RelayDanceError]]:
    """All of `errors`, those that are only there to be derived from as well."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith("relaydance_async.errors"):
            yield from _of_the_package(below)


def test_every_class_is_shown_where_it_is_imported_from() -> None:
    kinds = set(_of_the_package())
    assert kinds > set(CLASSES)
    assert {kind.__module__ for kind in kinds} == {maybe_accepted.__module__} == {"relaydance_async.errors"}


@every_class
def test_a_class_is_known_by_its_public_name(kind: type[RelayDanceError]) -> None:
    name = f"relaydance_async.errors.{kind.__name__}"
    assert b"crelaydance_async.errors\n%s\n" % kind.__name__.encode() in pickle.dumps(kind(), 0)
    assert traceback.format_exception_only(kind("it broke"))[0].startswith(f"{name}: it broke")
    # In the details, newer Pythons tell of each method in which file it is.
    assert "._" not in pydoc.render_doc(kind, renderer=pydoc.TextDoc()).partition(" | ")[0]
    assert "history" in get_type_hints(kind)


def test_a_class_of_a_caller_stays_the_callers() -> None:
    class Odd(ServerError):
        """Somebody else's."""

    assert Odd.__module__ == __name__


@every_class
def test_an_error_survives_a_pickle_whole(kind: type[RelayDanceError]) -> None:
    error = full(kind)
    error.add_note("a note")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(error, protocol))
        assert type(back) is kind
        assert state_of(back) == state_of(error)
        assert back == error
        assert hash(back) == hash(error)
        assert back.__notes__ == ["a note"]


@every_class
def test_a_copy_is_equal_and_its_own(kind: type[RelayDanceError]) -> None:
    error = full(kind)
    for other in (copy.copy(error), copy.deepcopy(error)):
        assert other is not error
        assert other == error
        assert state_of(other) == state_of(error)
        other.task_id = "task_2"
        assert other != error
        assert error.task_id == "task_1"


@every_class
def test_an_error_without_anything_can_be_made_travels_and_reads(kind: type[RelayDanceError]) -> None:
    error = kind()
    assert pickle.loads(pickle.dumps(error)) == error == copy.deepcopy(error)
    assert (error.message, error.status_code, error.attempts, error.sent_at) == ("", None, (), None)
    assert isinstance(str(error), str)
    assert error.support_details()["request_id"] is None


def test_errors_are_equal_by_what_they_say_and_by_their_class() -> None:
    assert ServerError("m", code="c") == ServerError("m", code="c")
    assert ServerError("m", code="c") != ServerError("m", code="d")
    assert ServerError("m") != ServerError("n")
    assert ServerError("m", retry_after=1.0) != ServerError("m")
    assert ServerError("m") != RateLimitError("m")
    assert PermissionDeniedError("m") != InsufficientBalanceError("m")
    assert ServerError("m") != "m"
    assert len({ServerError("m", code="c"), ServerError("m", code="c"), RateLimitError("m")}) == 2


def test_being_raised_does_not_change_what_an_error_equals() -> None:
    raised = ServerError("m")
    try:
        try:
            raise ValueError("before")
        except ValueError as cause:
            raise raised from cause
    except ServerError:
        pass
    assert raised == ServerError("m")
    assert pickle.loads(pickle.dumps(raised)) == raised


def test_an_error_crosses_into_another_process() -> None:
    program = (
        "import pickle, sys\n"
        "error = pickle.load(sys.stdin.buffer)\n"
        "print(type(error).__name__, error.attempts[0].code, error.meta.headers['retry-after'], error.task.task_id)\n"
        "sys.stdout.flush()\n"
        "sys.stdout.buffer.write(pickle.dumps(error))\n"
    )
    error = full(TaskFailedError)
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(error), capture_output=True, check=True)
    line, _, rest = done.stdout.partition(b"\n")
    assert line.decode().strip() == "TaskFailedError get_channel_failed 7 task_1"
    assert pickle.loads(rest) == error


@every_class
def test_support_details_are_what_the_support_asks_for(kind: type[RelayDanceError]) -> None:
    assert full(kind).support_details() == {
        "timestamp": "2026-08-07T12:00:00.250000+00:00",
        "request_id": "id-1",
        "method": "POST",
        "path": "/video/generations",
        "status": 503,
        "code": "bad_response",
        "task_id": "task_1",
        "error": "it broke",
    }


def test_what_an_error_knows_is_on_it() -> None:
    error = full(ServerError)
    assert (error.message, error.type, error.code, error.param) == (
        "it broke",
        "upstream_error",
        "bad_response",
        "model",
    )
    assert (error.status_code, error.request_id, error.method, error.path) == (
        503,
        "id-1",
        "POST",
        "/video/generations",
    )
    assert error.attempts == META.attempts
    assert error.sent_at == AT


def test_the_circumstances_are_frozen() -> None:
    with pytest.raises(AttributeError):
        META.status_code = 200  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        META.headers["x"] = "y"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    given = {"a": "1"}
    meta = ResponseMeta(headers=given)
    given["a"] = "2"
    assert meta.headers["a"] == "1"
    assert copy.deepcopy(META) == META == pickle.loads(pickle.dumps(META))
    assert hash(copy.deepcopy(META)) == hash(META)


AMBIGUOUS = "The request may have been accepted and billed: look at the console before you send it again."
TEXTS: list[tuple[RelayDanceError, str]] = [
    (ConfigurationError("no API key"), "no API key"),
    (InvalidInputError("model must be a non-empty string"), "model must be a non-empty string"),
    (
        APIConnectionError("no connection to the gateway: refused", meta=ResponseMeta(method="GET", path="/models")),
        "no connection to the gateway: refused (GET /models). Check the network, the proxy settings and the base URL.",
    ),
    (
        APITimeoutError("no answer within 320 s", meta=ResponseMeta(method="POST", path="/files"), maybe_accepted=True),
        f"no answer within 320 s (POST /files). Raise `timeout` or `deadline` if this is expected. {AMBIGUOUS}",
    ),
    (RelayDanceError("odd", maybe_accepted=True), f"odd. {AMBIGUOUS}"),
    (
        RelayDanceError("odd", maybe_accepted=True, not_retried_because=errors.IN_DOUBT),
        "odd. Not repeated: it may have been accepted, and would then be paid for twice. The request may have been "
        "accepted and billed: look at the console before you send it again, or allow that with "
        "RetryPolicy(retry_ambiguous=True).",
    ),
    (
        ServerError(
            "'504'",
            meta=ResponseMeta(method="POST", path="/images/generations"),
            answered_by="a proxy (Server nginx)",
            maybe_accepted=True,
        ),
        "'504' (POST /images/generations, answered by a proxy (Server nginx)). If it persists, send support_details() "
        f"to RelayDance's support. {AMBIGUOUS}",
    ),
    (
        full(NotFoundError),
        "HTTP 503: it broke (code bad_response, param model, task task_1, POST /video/generations, request id id-1, "
        "2 attempts). Check the id; `await client.models.list()` shows the models that this key can use. "
        "The task goes on: resume with `await client.video.wait('task_1')`.",
    ),
    (
        NotFoundError("Invalid URL (GET /v2/models)", task_id="task_1"),
        "Invalid URL (GET /v2/models) (task task_1). The gateway doesn't offer this path; if it should, check the base "
        "URL (it ends in /v1).",
    ),
    (
        TaskFailedError("task task_1 failed: The prompt was refused.", task=TASK, task_id="task_1"),
        "task task_1 failed: The prompt was refused. A failed task is not billed; submit again, with another prompt or "
        "model if the reason says so.",
    ),
    (
        TaskFailedError("task task_1 failed: no.", code="OutputVideoSensitiveContentDetected", task=TASK),
        "task task_1 failed: no. (code OutputVideoSensitiveContentDetected). A failed task is not billed. Change the "
        "prompt or the references; the same ones will be refused again.",
    ),
    (
        TaskTimeoutError("task task_1 was not ready within 900 s", task=TASK, task_id="task_1"),
        "task task_1 was not ready within 900 s. The task goes on: resume with `await client.video.wait('task_1')`.",
    ),
    (ContentRefusedError("提示词被拒绝。"), "提示词被拒绝。 Change the prompt; the same one will be refused again."),
    (StreamError("the stream broke!"), "the stream broke! Ask again; what had arrived is in `text` and `completion`."),
    (
        StreamError("the stream broke", maybe_accepted=True),
        "the stream broke. Ask again; what had arrived is in `text` and `completion`. What came may be billed all the "
        "same.",
    ),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_an_error_reads_as_sentences(error: RelayDanceError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TaskFailedError("m", code="InternalServiceError", task=TASK), "transient"),
        (TaskFailedError("m", code="InvalidParameter"), "bad input"),
        (TaskFailedError("m", task=VideoTask(task_id="t", status="failed", raw_status="timeout")), "transient"),
        (TaskFailedError("m", task=TASK), "unknown"),
        (TaskFailedError("m"), "unknown"),
    ],
)
def test_a_failed_task_says_whether_it_helps_to_submit_again(error: TaskFailedError, kind: str) -> None:
    assert error.kind == kind


@every_class
def test_a_repr_is_short_and_names_the_class(kind: type[RelayDanceError]) -> None:
    assert repr(full(kind)) == f"{kind.__name__}('it broke')"


# What real failures leave behind.


def reachable(value: object) -> Iterator[object]:
    """Everything that can be reached from a value: attributes, slots, items, and the exceptions behind an exception."""
    seen: set[int] = set()
    todo: list[object] = [value]
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        if not isinstance(item, type):
            todo.append(getattr(item, "__dict__", None))
        if isinstance(item, BaseException):
            todo += [item.args, item.__cause__, item.__context__]
        if isinstance(item, Mapping):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set | frozenset):
            todo += item
        elif isinstance(item, ResponseMeta | AttemptRecord):
            todo += [getattr(item, field.name) for field in fields(item)]
        elif isinstance(item, BaseModel):
            todo += [item.__dict__, item.__pydantic_extra__]


HTTP_LIBRARIES = {
    "aiohttp",
    "httptools",
    "yarl",
    "multidict",
    "httpx",
    "httpcore",
    "h11",
    "httpx2",
    "httpcore2",
    "anyio",
    "tenacity",
    "ssl",
    "_ssl",
}


def submit_to(model: str) -> Call:
    return lambda client: client.video.submit(model=model, prompt="a cat")


def fault(route: str = "*", **options: Any) -> Fault:
    return Fault(route, **options)


FAILURES: dict[str, tuple[Fault | ConnectionFault | None, Call]] = {
    "an error answer": (fault(status=500, code="get_channel_failed"), list_models),
    "a 429": (fault(status=429), submit_clip),
    "an unknown model": (None, submit_to("none-such")),
    "an error under a 200": (fault(MODELS, body='{"error": "no"}'), list_models),
    "a web page": (fault(body="html"), ask_chat),
    "truncated JSON": (fault(body="truncated"), ask_chat),
    "broken compression": (fault(gzip_garbage=True), list_models),
    "an answer cut off": (fault(cut_body_after=5), list_models),
    "a lost answer": (fault(CHAT, after_accept=True), ask_chat),
    "a lost upload": (fault(FILES, after_accept=True), BILLED[FILES]),
    "silence": (fault(stall=True), list_models),
    "a stream cut off": (fault(CHAT, cut_stream_after=1), open_stream),
    "an error in mid-stream": (fault(CHAT, stream_error_after=1), open_stream),
    "a stream that the upstream broke off": (fault(CHAT, truncate_stream_after=1), open_stream),
    "a redirect": (fault(redirect_to="https://evil.example/"), list_models),
    "a poll": (fault(FETCH, status=500), fetch_task),
    "a reset before the answer": (ConnectionFault("reset_after_request"), ask_chat),
    "a reset in the head": (ConnectionFault("reset_mid_headers"), list_models),
    "a huge header": (ConnectionFault("huge_header"), list_models),
    "a black hole": (ConnectionFault("black_hole"), ask_chat),
}


@pytest.mark.anyio
@pytest.mark.parametrize("sender", ["direct", "httpx", "the caller's client"])
@pytest.mark.parametrize("case", FAILURES)
async def test_no_failure_leaves_a_key_or_a_librarys_object_on_its_error(case: str, sender: str) -> None:
    wrong, call = FAILURES[case]
    with Sandbox() as sandbox, FaultyProxy(sandbox.root_url) as proxy:
        if isinstance(wrong, Fault):
            sandbox.faults.add(wrong)
        elif wrong is not None:
            proxy.add(wrong)
        # Loading the certificates is most of the making of a client.
        async with httpx.AsyncClient(verify=False) as http:
            client = client_of(
                sandbox,
                QuickClock(),
                base_url=proxy.base_url,
                timeout=Timeout(read=0.03 if wrong in (FAILURES["silence"][0], FAILURES["a black hole"][0]) else 5.0),
                **({"http_client": http} if sender == "the caller's client" else {"transport": sender}),
            )
            with pytest.raises(RelayDanceError) as caught:
                await call(client)
            await client.aclose()
        error, key = caught.value, sandbox.api_key

    for item in reachable(error):
        assert type(item).__module__.partition(".")[0] not in HTTP_LIBRARIES, item
        assert key not in (item if isinstance(item, str) else repr(item)), item
    assert key not in "".join(traceback.format_exception(error))
    back = pickle.loads(pickle.dumps(error))
    assert back == error
    assert key.encode() not in pickle.dumps(error)
    details = error.support_details()
    assert details["timestamp"] is not None
    assert f"{details['method']} {details['path']}" == f"{error.method} {error.path}"
    assert error.sent_at is not None
    assert error.sent_at.tzinfo is UTC


@pytest.mark.anyio
async def test_cookies_and_credentials_of_an_answer_are_not_kept() -> None:
    headers = {"set-cookie": "session=1", "authorization": "Bearer x", "x-new-api-version": "1"}
    with Sandbox(faults=[Fault(status=400, headers=headers)]) as sandbox:
        async with client_of(sandbox) as client:
            with pytest.raises(BadRequestError) as caught:
                await client.models.list()
    assert "x-new-api-version" in caught.value.meta.headers
    assert not {"set-cookie", "authorization"} & set(caught.value.meta.headers)


def test_each_kind_of_a_download_error_has_an_advice_of_its_own() -> None:
    kinds = get_args(DownloadErrorKind)
    assert len({DownloadError("m", kind=kind).hint for kind in kinds}) == len(kinds)
    assert DownloadError("m").kind == "unknown"
    again = pickle.loads(pickle.dumps(DownloadError("m", kind="too large")))
    assert again.kind == "too large"
    assert "max_bytes" in str(again)


# What a web app asks.


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFoundError("unknown", meta=ResponseMeta(status_code=400)), 404),
        (errors.ContentRefusedError("refused", meta=ResponseMeta(status_code=500)), 422),
        (errors.BadRequestError("bad", meta=ResponseMeta(status_code=500)), 400),
        (errors.InsufficientBalanceError("short", meta=ResponseMeta(status_code=403)), 403),
        (errors.ServerError("down", meta=ResponseMeta(status_code=503)), 503),
        (errors.ServerError("an upstream's, inside of a 200", meta=ResponseMeta(status_code=200)), 502),
        (errors.APIConnectionError("nobody"), None),
        (errors.InvalidInputError("wrong"), None),
    ],
)
def test_the_documented_status(error: errors.RelayDanceError, status: int | None) -> None:
    assert error.documented_status == status


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.BadRequestError("seconds must be a string"), "seconds must be a string"),
        (errors.ContentRefusedError("the prompt was refused"), "the prompt was refused"),
        (errors.BadRequestError("<html>", answered_by="a proxy (Server nginx)"), None),
        (errors.AuthenticationError("the key sk-… is disabled"), None),
        (errors.InsufficientBalanceError("0.02 USD left"), None),
        (errors.ServerError("channel 7 failed"), None),
        (errors.TaskFailedError("failed", task=None), None),
    ],
)
def test_what_may_be_shown_to_a_user(error: errors.RelayDanceError, text: str | None) -> None:
    assert error.user_message == text


def test_an_answer_has_the_names_that_people_know() -> None:
    meta = ResponseMeta(status_code=400, headers={"x-oneapi-request-id": "1"}, request_id="1")
    error = errors.BadRequestError("bad", meta=meta, raw_body=b'{"error": {"message": "bad"}}')
    assert error.response.status_code == 400
    assert error.response.headers["x-oneapi-request-id"] == "1"
    assert error.response.json() == error.body
    assert error.response.text == error.response.content.decode()
    assert pickle.loads(pickle.dumps(error.response)) == error.response
    with pytest.raises(ValueError, match="Expecting value"):
        errors.ResponseDecodeError("odd", raw_body=b"<html>").response.json()
