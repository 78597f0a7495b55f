"""Every error that the gateway is known to send (wire 2.1 and 2.2), over a real socket, and what a caller gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from relaydance_async import (
    APIStatusError,
    AsyncRelayDance,
    AuthenticationError,
    BadRequestError,
    ContentRefusedError,
    InsufficientBalanceError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RelayDanceError,
    RequestTooLargeError,
    ResponseDecodeError,
    RetryPolicy,
    ServerError,
)
from relaydance_async.sandbox import Account, Fault, Sandbox
from tests.kit.calls import (
    BILLED,
    CALLS,
    Call,
    client_of,
    fetch_task,
    list_models,
    make_image,
    open_stream,
    submit_clip,
    upload_file,
)
from tests.kit.clocks import QuickClock
from tests.kit.routes import CHAT, FETCH, IMAGES, MODELS, SUBMIT

pytestmark = pytest.mark.anyio

HTML_PAGE = "<!doctype html>\n<html><head><title>Bad gateway</title></head><body>cloudflare</body></html>"
SHOWN_PAGE = "'<!doctype html> <html><head><title>Bad gateway</title></head><body>cloudflare</body></html>'"
BY_PROXY = f"a proxy in front of the gateway answered with a web page: {SHOWN_PAGE}"
NO_MESSAGE = "the gateway sent no message"


@dataclass(frozen=True)
class Row:
    """An answer, and the error that it is. `retried` rows are tried four times, as RetryPolicy() has it."""

    status: int
    body: str
    error: type[RelayDanceError]
    message: str
    code: str | None = None
    type: str | None = None
    param: str | None = None
    retried: bool = False
    content_type: str | None = None

    def fault(self, route: str) -> Fault:
        kind = self.content_type or ("application/json" if self.body[:1] in ("{", "[") else "text/plain")
        body = self.body.encode()  # as bytes, "" is an empty body too
        return Fault(route, status=self.status, body=body, content_type=kind)


def documented(status: int, kind: str, error: type[RelayDanceError], *, retried: bool = False) -> Row:
    body = f'{{"error": {{"message": "it says {status}", "type": "{kind}"}}}}'
    return Row(status, body, error, f"it says {status}", type=kind, retried=retried)


DOCUMENTED: dict[str, Row] = {
    "a missing parameter is a 400": documented(400, "invalid_request_error", BadRequestError),
    "a bad key is a 401": documented(401, "authentication_error", AuthenticationError),
    "a short balance or a forbidden model is a 403": documented(403, "permission_error", PermissionDeniedError),
    "an unknown model, task or path is a 404": documented(404, "not_found_error", NotFoundError),
    "too many requests is a 429": documented(429, "rate_limit_error", RateLimitError, retried=True),
    "a gateway error is a 500": documented(500, "api_error", ServerError, retried=True),
    "an upstream error is a 502": documented(502, "api_error", ServerError, retried=True),
    "an unavailable upstream is a 503": documented(503, "api_error", ServerError, retried=True),
    "an upstream timeout is a 504": documented(504, "api_error", ServerError, retried=True),
}


def new_api(message: str, code: str = "") -> str:
    return f'{{"error": {{"message": "{message}", "type": "new_api_error", "code": "{code}"}}}}'


def full(message: str, code: str, *, param: str = '""', more: str = "") -> str:
    return f'{{"error": {{"message": "{message}", "type": "upstream_error", "param": {param}, "code": {code}{more}}}}}'


def flat(message: str, code: str) -> str:
    return f'{{"code": "{code}", "message": "{message}", "data": null}}'


BODIES: dict[str, Row] = {
    "the envelope of auth, routing and limiter, its code empty": Row(
        429, new_api("slow down"), RateLimitError, "slow down", type="new_api_error", retried=True
    ),
    "the full envelope, with a string for a code": Row(
        400,
        full("bad size", '"invalid_size"', param='"size"'),
        BadRequestError,
        "bad size",
        code="invalid_size",
        type="upstream_error",
        param="size",
    ),
    "the full envelope, with a number for a code": Row(
        400, full("bad size", "20015"), BadRequestError, "bad size", code="20015", type="upstream_error"
    ),
    "the full envelope, with null for a code": Row(
        400, full("bad size", "null", param="null"), BadRequestError, "bad size", type="upstream_error"
    ),
    "the full envelope, with metadata": Row(
        400,
        full("bad size", '""', more=', "metadata": {"raw": "{}"}'),
        BadRequestError,
        "bad size",
        type="upstream_error",
    ),
    "the flat body of the video routes": Row(
        400,
        flat("seconds is not a string", "invalid_seconds"),
        BadRequestError,
        "seconds is not a string",
        code="invalid_seconds",
    ),
    "a 429 with an empty body": Row(429, "", RateLimitError, NO_MESSAGE, retried=True),
    "a 500 with an empty body": Row(500, "", ServerError, NO_MESSAGE, retried=True),
    "success false": Row(403, '{"success": false, "message": "no access"}', PermissionDeniedError, "no access"),
    "success false under a 200": Row(200, '{"success": false, "message": "no access"}', APIStatusError, "no access"),
    "success false without a word": Row(
        200, '{"success": false}', APIStatusError, "the gateway refused the request without saying why"
    ),
    "an error under a 200": Row(
        200,
        '{"error": {"message": "The model does not exist", "type": "invalid_request_error", "param": "model",'
        ' "code": "model_not_found"}}',
        NotFoundError,
        "The model does not exist",
        code="model_not_found",
        type="invalid_request_error",
        param="model",
    ),
    "an unheard error under a 200": Row(
        200, full("it broke", '"odd"'), APIStatusError, "it broke", code="odd", type="upstream_error"
    ),
    "an upstream's error relayed as 200": Row(
        200,
        full("it broke", '"bad_response"'),
        ServerError,
        "it broke",
        code="bad_response",
        type="upstream_error",
        retried=True,
    ),
    "an unknown path": Row(
        404,
        '{"error": {"message": "Invalid URL (GET /v1/x)", "type": "invalid_request_error"}}',
        NotFoundError,
        "Invalid URL (GET /v1/x)",
        type="invalid_request_error",
    ),
    "a web page under a 200": Row(
        200,
        HTML_PAGE,
        ResponseDecodeError,
        f"the answer is a web page, not the API's JSON: {SHOWN_PAGE}",
        content_type="text/html; charset=utf-8",
    ),
    "a web page under a 200 that calls itself JSON": Row(
        200,
        HTML_PAGE,
        ResponseDecodeError,
        f"the answer is a web page, not the API's JSON: {SHOWN_PAGE}",
        content_type="application/json",
    ),
    "an empty 200": Row(200, "", ResponseDecodeError, "the answer is empty"),
    **{
        f"a web page under a {status}": Row(
            status, HTML_PAGE, ServerError, BY_PROXY, retried=True, content_type="text/html"
        )
        for status in (502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527)
    },
    "a web page under a 403": Row(403, HTML_PAGE, PermissionDeniedError, BY_PROXY, content_type="text/html"),
    "a JSON error that calls itself an event stream": Row(
        500,
        new_api("it broke"),
        ServerError,
        "it broke",
        type="new_api_error",
        retried=True,
        content_type="text/event-stream",
    ),
    "plain text": Row(502, "upstream connect error", ServerError, "'upstream connect error'", retried=True),
    "truncated JSON": Row(502, '{"error": {"mess', ServerError, '\'{"error": {"mess\'', retried=True),
    "an error that is a string": Row(400, '{"error": "no such size"}', BadRequestError, "no such size"),
    "message alone": Row(400, '{"message": "no such size"}', BadRequestError, "no such size"),
    "msg alone": Row(400, '{"msg": "no such size"}', BadRequestError, "no such size"),
    "detail alone": Row(400, '{"detail": "no such size"}', BadRequestError, "no such size"),
    "a detail that is a list": Row(422, '{"detail": [{"loc": ["n"]}]}', BadRequestError, '[{"loc": ["n"]}]'),
    "an error without a message": Row(
        400,
        '{"error": {"message": "", "type": "odd_error", "code": "odd"}}',
        BadRequestError,
        "odd",
        code="odd",
        type="odd_error",
    ),
    "an error with nothing in it": Row(500, '{"error": {}}', ServerError, "unknown error", retried=True),
    "JSON that is no object": Row(500, '["it broke"]', ServerError, "'[\"it broke\"]'", retried=True),
    "a Chinese message": Row(
        400,
        full("参数错误 缺少 prompt", '"bad_param"'),
        BadRequestError,
        "参数错误 缺少 prompt",
        code="bad_param",
        type="upstream_error",
    ),
    "a Chinese message that looks like another error": Row(
        400,
        full("余额不足 (429 rate limit)", '""'),
        BadRequestError,
        "余额不足 (429 rate limit)",
        type="upstream_error",
    ),
    "a status that means nothing to us": Row(
        409, new_api("conflict"), APIStatusError, "conflict", type="new_api_error"
    ),
    "a request timeout of a proxy": Row(
        408, new_api("too slow"), APIStatusError, "too slow", type="new_api_error", retried=True
    ),
}


def coded(status: int, code: str, error: type[RelayDanceError], *, retried: bool = False) -> Row:
    return Row(status, new_api("said so", code), error, "said so", code=code, type="new_api_error", retried=retried)


CODES: dict[str, Row] = {
    "unknown model": coded(503, "model_not_found", NotFoundError),
    "invalid chat or image request": coded(500, "invalid_request", BadRequestError),
    "prompt refused: sensitive words": coded(500, "sensitive_words_detected", ContentRefusedError),
    "prompt refused: blocked": coded(500, "prompt_blocked", ContentRefusedError),
    "prompt refused under a 400": coded(400, "prompt_blocked", ContentRefusedError),
    "prompt refused: violation fee": coded(500, "violation_fee.grok.csam", ContentRefusedError),
    "balance short": coded(403, "insufficient_user_quota", InsufficientBalanceError),
    "quota of the key short": coded(403, "pre_consume_token_quota_failed", InsufficientBalanceError),
    "model forbidden, without a code": Row(
        403, new_api("no access"), PermissionDeniedError, "no access", type="new_api_error"
    ),
    "group forbidden": coded(403, "access_denied", PermissionDeniedError),
    "key exhausted, expired or disabled": Row(
        401, new_api("Invalid token"), AuthenticationError, "Invalid token", type="new_api_error"
    ),
    "unknown task": Row(
        400, flat("task_not_exist", "task_not_exist"), NotFoundError, "task_not_exist", code="task_not_exist"
    ),
    "price not configured": coded(400, "model_price_error", BadRequestError),
    "body too large": coded(413, "read_request_body_failed", RequestTooLargeError),
    "body too large, without a code": Row(413, "", RequestTooLargeError, NO_MESSAGE),
    "gateway overloaded: cpu": coded(503, "system_cpu_overloaded", ServerError, retried=True),
    "gateway overloaded: memory": coded(503, "system_memory_overloaded", ServerError, retried=True),
    "gateway overloaded: disk": coded(503, "system_disk_overloaded", ServerError, retried=True),
    "no route on a retry": coded(500, "get_channel_failed", ServerError, retried=True),
    **{
        f"upstream answered badly: {code} under a {status}": coded(
            status, code, RateLimitError if status == 429 else ServerError, retried=True
        )
        for code in (
            "bad_response_status_code",
            "bad_response",
            "bad_response_body",
            "empty_response",
            "do_request_failed",
            "fail_to_fetch_task",
        )
        for status in (429, 500, 502)
    },
    "upstream answered badly under a 400": coded(400, "bad_response_status_code", BadRequestError),
    "upstream answered badly, its JSON in the message": Row(
        500,
        full('{\\"error\\":{\\"message\\":\\"inner\\"}}', '"bad_response"'),
        ServerError,
        '{"error":{"message":"inner"}}',
        code="bad_response",
        type="upstream_error",
        retried=True,
    ),
}

ROWS = {**DOCUMENTED, **BODIES, **CODES}

# Each row meets a GET, a billed POST of JSON, and the routes with a family of bodies of their own.
ROUTES = [MODELS, CHAT, SUBMIT, FETCH]


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with Sandbox() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "sandbox" in request.fixturenames:
        running: Sandbox = request.getfixturevalue("sandbox")
        running.faults.clear()
        running.reset()


async def failure_of(sandbox: Sandbox, call: Call, clock: QuickClock | None = None, **options: Any) -> RelayDanceError:
    async with client_of(sandbox, clock or QuickClock(), **options) as client:
        with pytest.raises(RelayDanceError) as caught:
            await call(client)
        return caught.value


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", ROWS)
async def test_each_row_is_the_error_that_it_means_and_is_retried_only_when_that_can_help(
    sandbox: Sandbox, case: str, route: str
) -> None:
    row = ROWS[case]
    sandbox.faults.add(row.fault(route))
    error = await failure_of(sandbox, CALLS[route])

    assert type(error) is row.error
    assert error.message == row.message
    assert (error.status_code, error.code, error.type, error.param) == (row.status, row.code, row.type, row.param)
    # After a good status nobody knows that a billed request was not accepted.
    in_doubt = row.status == 200 and route in BILLED
    retried = row.retried and not in_doubt
    assert (error.retryable, error.maybe_accepted) == (retried, in_doubt)
    attempts = 4 if retried else 1
    assert sandbox.ledger.count(route) == len(error.attempts) == attempts
    assert [record.number for record in error.attempts] == [*range(1, attempts + 1)]
    assert {(record.error, record.status_code, record.code) for record in error.attempts} == {
        (row.error.__name__, row.status, row.code)
    }
    last = sandbox.ledger.entries[-1]
    assert error.request_id == last.request_id
    assert f"{error.method} /v1{error.path}" == f"{last.method} {last.path}"
    assert error.task_id == ("task_1" if route == FETCH else None)


@pytest.mark.parametrize("case", [name for name, row in ROWS.items() if row.status >= 400])
async def test_a_stream_that_is_refused_raises_the_same_error_under_an_event_streams_content_type(
    sandbox: Sandbox, case: str
) -> None:
    row = ROWS[case]
    kind = "text/html" if row.content_type == "text/html" else "text/event-stream"
    sandbox.faults.add(Fault(CHAT, status=row.status, body=row.body.encode(), content_type=kind))
    error = await failure_of(sandbox, open_stream, retry=RetryPolicy(max_attempts=2))
    assert type(error) is row.error
    assert (error.message, error.code, error.retryable) == (row.message, row.code, row.retried)
    assert sandbox.ledger.count(CHAT) == (2 if row.retried else 1)


@pytest.mark.parametrize("dialect", ["gateway", "documented"])
async def test_what_the_server_itself_refuses_reads_the_same_in_both_dialects(dialect: Any) -> None:
    seen: dict[str, RelayDanceError] = {}
    accounts = {"sk-rich": Account(), "sk-poor": Account(balance_usd=0.0), "sk-none": Account(models=set())}
    with Sandbox(dialect=dialect, accounts=accounts, max_body_bytes=1000) as sandbox:

        async def refused(name: str, call: Call, key: str = "sk-rich") -> None:
            async with AsyncRelayDance(key, base_url=sandbox.base_url) as client:
                with pytest.raises(RelayDanceError) as caught:
                    await call(client)
                seen[name] = caught.value

        await refused("key", list_models, "sk-unknown")
        await refused("balance", submit_clip, "sk-poor")
        await refused("permission", make_image, "sk-none")
        await refused("model", lambda client: client.video.submit(model="none-such", prompt="a cat"))
        await refused("image model", lambda client: client.images.generate(model="none-such", prompt="a cat"))
        await refused("one model", lambda client: client.models.retrieve("none-such"))
        await refused("task", fetch_task)
        await refused("size", lambda client: client.images.generate(model="grok-imagine-image", prompt="x" * 2000))
        request_ids = {entry.request_id for entry in sandbox.ledger.entries}
        assert len(sandbox.ledger.entries) == len(seen)  # no retries

    expected: dict[str, type[RelayDanceError]] = {
        "key": AuthenticationError,
        # As documented, a 403 doesn't tell the balance from the model.
        "balance": InsufficientBalanceError if dialect == "gateway" else PermissionDeniedError,
        "permission": PermissionDeniedError,
        "model": NotFoundError,
        "image model": NotFoundError,
        "one model": NotFoundError,
        "task": NotFoundError,
        "size": RequestTooLargeError,
    }
    assert {name: type(error) for name, error in seen.items()} == expected
    assert {error.request_id for error in seen.values()} == request_ids
    assert not any(error.retryable or error.maybe_accepted for error in seen.values())


async def test_a_key_that_is_disabled_while_polling_ends_the_wait(sandbox: Sandbox) -> None:
    with Sandbox(time_scale=0) as server:
        async with client_of(server, QuickClock()) as client:
            task = await submit_clip(client)

            def disable(_: object) -> None:
                server.accounts[server.api_key].disabled = True

            with pytest.raises(AuthenticationError, match="Invalid token") as caught:
                await client.video.wait(task, on_update=disable)
            assert caught.value.task_id == task.task_id


async def test_a_wrong_base_url_says_to_check_it(sandbox: Sandbox) -> None:
    error = await failure_of(sandbox, list_models, base_url=sandbox.root_url)
    assert type(error) is ResponseDecodeError
    assert "web page" in error.message
    assert "Check the base URL (it ends in /v1)" in str(error)


async def test_an_unknown_path_is_not_found(sandbox: Sandbox) -> None:
    error = await failure_of(sandbox, list_models, base_url=f"{sandbox.base_url}/v1")
    assert type(error) is NotFoundError
    assert error.message == "Invalid URL (GET /v1/v1/models)"


@pytest.mark.parametrize("name", ["x-oneapi-request-id", "x-litellm-call-id", "x-request-id", "cf-ray"])
async def test_the_request_id_is_found_under_each_of_its_names(name: str) -> None:
    def answer() -> Fault:
        return Fault(MODELS, status=400, headers={name: "id-1"}, body=b"{}", content_type="application/json")

    with Sandbox(dialect="documented", faults=[answer()]) as sandbox:
        error = await failure_of(sandbox, list_models)
    assert error.meta.headers[name].split(", ")[-1] == "id-1"
    assert error.request_id is not None
    if name == "x-oneapi-request-id":
        assert error.request_id == "id-1"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "1500"}, 1.5), ({}, None), ({"retry-after": "soon"}, None)],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_on_the_error(
    sandbox: Sandbox, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    sandbox.faults.add(Fault(MODELS, status=status, headers=headers))
    error = await failure_of(sandbox, list_models, retry=RetryPolicy(max_attempts=1))
    assert isinstance(error, RateLimitError | ServerError)
    assert error.retry_after == seconds


@pytest.mark.parametrize("kind", ["truncated", "empty", "html", "text"])
@pytest.mark.parametrize("route", [*BILLED, MODELS])
async def test_an_answer_that_cannot_be_read_is_not_repeated_and_keeps_what_came(
    sandbox: Sandbox, route: str, kind: str
) -> None:
    sandbox.faults.add(Fault(route, body=kind))
    error = await failure_of(sandbox, CALLS[route])
    assert type(error) is ResponseDecodeError
    assert error.status_code == 200
    assert sandbox.ledger.count(route) == 1
    assert bool(error.body) is (kind != "empty")
    assert error.maybe_accepted is (route in BILLED)


FINAL = "Not repeated: the same request would fail again. "
GATEWAY_TEXTS: dict[str, tuple[Fault, Call, str]] = {
    "unknown model": (
        Fault(SUBMIT, status=503, code="model_not_found", message="No available channel for model x"),
        submit_clip,
        "HTTP 503: No available channel for model x (code model_not_found, POST /video/generations, request id {id}). "
        + FINAL
        + "Check the id; `await client.models.list()` shows the models that this key can use.",
    ),
    "short balance, the request id in the message": (
        Fault(IMAGES, status=403, code="insufficient_user_quota", message="用户额度不足"),
        make_image,
        "HTTP 403: 用户额度不足 (request id: {id}) (code insufficient_user_quota, POST /images/generations). "
        + FINAL
        + "Top up the account or raise the key's quota; `await client.account.balance()` shows what is left.",
    ),
    "four 429s without a word": (
        Fault(MODELS, status=429, body=b""),
        list_models,
        "HTTP 429: the gateway sent no message (GET /models, request id {id}, 4 attempts). "
        "Not repeated: this was attempt 4 of 4. Slow down: a lower max_concurrency, or more attempts in RetryPolicy.",
    ),
    "a poll": (
        Fault(FETCH, status=400, code="task_not_exist", message="no such task"),
        fetch_task,
        "HTTP 400: no such task (code task_not_exist, task task_1, GET /video/generations/task_1, request id {id}). "
        + FINAL
        + "Check the task's id, and that the key is of the account that submitted it.",
    ),
    "a web page": (
        Fault(MODELS, body=b"<html>\n  <p>console</p>\n</html>", content_type="text/html"),
        list_models,
        "HTTP 200: the answer is a web page, not the API's JSON: '<html> <p>console</p> </html>' "
        "(GET /models, request id {id}). " + FINAL + "Check the base URL (it ends in /v1) and any proxy in between.",
    ),
    "an upload that is too large": (
        Fault("POST /v1/files", status=413, body=b""),
        upload_file,
        "HTTP 413: the gateway sent no message (POST /files, request id {id}). "
        + FINAL
        + "Send a smaller body, or upload the file and send its URL.",
    ),
    "a full envelope": (
        Fault(CHAT, status=400, body='{"error": {"message": "Too hot.", "param": "temperature", "code": 7}}'),
        CALLS[CHAT],
        "HTTP 400: Too hot. (code 7, param temperature, POST /chat/completions, request id {id}). "
        + FINAL
        + "Correct the request.",
    ),
}


@pytest.mark.parametrize("case", GATEWAY_TEXTS)
async def test_an_error_reads_as_a_sentence_with_its_facts_and_what_to_do(sandbox: Sandbox, case: str) -> None:
    fault, call, text = GATEWAY_TEXTS[case]
    sandbox.faults.add(fault)
    error = await failure_of(sandbox, call)
    assert str(error) == text.format(id=sandbox.ledger.entries[-1].request_id)


async def test_a_task_id_is_named_once() -> None:
    error = NotFoundError("no task task_1", task_id="task_1")
    assert str(error).startswith("no task task_1. ")
