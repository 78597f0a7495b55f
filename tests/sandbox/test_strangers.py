"""Who signed the answer: the gateway's mark in each dialect, and the programs that never have it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from relaydance_async.sandbox import Fault, RateLimit
from relaydance_async.sandbox._strangers import STRANGERS
from tests.kit.routes import CHAT, MODELS, SUBMIT
from tests.sandbox.support import Caller, Starter

MARK = ("x-oneapi-request-id", "x-new-api-version")
OURS = (*MARK, "x-request-id")
STATUSES = (400, 403, 408, 413, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530)


def marks(answer: httpx.Response) -> list[str]:
    return [name for name in MARK if name in answer.headers]


def answers_of_all_kinds(caller: Caller) -> list[httpx.Response]:
    """Good ones and errors of every layer of the gateway."""
    wrong_key = {"authorization": "Bearer wrong"}
    return [
        caller.models(),
        caller.submit(),
        caller.chat(stream=True),
        caller.chat(messages=[], stream=True),
        caller.submit(prompt=""),
        caller.submit(prompt="forbidden-word"),
        caller.images(model="none-such"),
        caller.upload(b""),
        caller.call("POST", "/v1/chat/completions", content=b"{"),
        caller.call("GET", "/v1/models", headers=wrong_key),
        caller.call("GET", "/v1/video/generations/none"),
        caller.call("GET", "/v1/none"),
        caller.call("GET", "/api/usage/token"),
        caller.call("GET", "/api/usage/token/", headers=wrong_key),
        caller.submit(prompt="x" * 20_000),
        caller.models(),
        caller.models(),
    ]


def spoilt(start: Starter, **options: Any) -> Caller:
    """A small sandbox whose last two answers are a fault and a 429 without a body."""
    limit = RateLimit(rate=0.001, burst=2, empty_body=True, retry_after=None, routes={MODELS})
    return start(max_body_bytes=10_000, rate_limit=limit, faults=[Fault(MODELS, status=503, at=(2,))], **options)


@pytest.mark.parametrize(
    ("options", "signed"),
    [
        ({"dialect": "gateway"}, True),
        ({"dialect": "documented"}, False),
        ({"dialect": "gateway", "signed": False}, False),
        ({"dialect": "documented", "signed": True}, True),
    ],
    ids=str,
)
def test_the_arriving_dialect_signs_every_answer_and_the_documented_one_none(
    start: Starter, options: dict[str, Any], signed: bool
) -> None:
    answers = answers_of_all_kinds(spoilt(start, **options))
    assert {answer.status_code for answer in answers} >= {200, 301, 400, 401, 404, 413, 429, 503}
    assert [marks(answer) for answer in answers] == [[*MARK] if signed else []] * len(answers)


@pytest.mark.parametrize("body", ["auto", "error", "flat", "api", "empty", "truncated", "msg", "detail", "sse", "[]"])
def test_a_fault_that_imitates_the_gateway_is_signed_as_the_gateway(start: Starter, body: str) -> None:
    faults = [Fault(MODELS, status=503, body=body)]
    assert marks(start(faults=faults).models()) == [*MARK]
    assert marks(start(faults=faults, dialect="documented").models()) == []


@pytest.mark.parametrize("body", ["html", "text"])
def test_a_page_is_nobodys(start: Starter, body: str) -> None:
    answer = start(faults=[Fault(MODELS, status=502, body=body)]).models()
    assert not set(OURS) & set(answer.headers)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("dialect", ["gateway", "documented"])
@pytest.mark.parametrize("fault", [{"status": 504}, {"body": "html"}, {"headers": {"a": "b"}}], ids=str)
def test_a_fault_can_choose_to_be_signed(start: Starter, fault: dict[str, Any], dialect: str, signed: bool) -> None:
    answer = start(dialect=dialect, faults=[Fault(MODELS, signed=signed, **fault)]).models()
    assert bool(marks(answer)) is signed


@pytest.mark.parametrize("after_accept", [True, False])
@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("dialect", ["gateway", "documented"])
def test_a_stranger_never_has_the_gateways_mark(
    start: Starter, dialect: str, stranger: Any, after_accept: bool
) -> None:
    faults = [Fault(SUBMIT, stranger=stranger, status=s, after_accept=after_accept, times=1) for s in STATUSES]
    caller = start(dialect=dialect, faults=faults)
    answers = [caller.submit() for _ in STATUSES]
    assert [answer.status_code for answer in answers] == [*STATUSES]
    for answer in answers:
        assert not set(OURS) & set(answer.headers)
        assert "relaydance" not in answer.headers.get("server", "")
        assert "new_api" not in answer.text
    ledger = caller.sandbox.ledger
    assert ledger.billed(SUBMIT) == (len(STATUSES) if after_accept else 0)
    assert ledger.entries[0].fault == f"{stranger}-400"


SIGNS: list[tuple[Any, int, str, str, str]] = [
    ("nginx", 504, "server", "nginx/", "<center><h1>504 Gateway Time-out</h1></center>\r\n<hr><center>nginx/"),
    ("nginx", 503, "server", "nginx/", "503 Service Temporarily Unavailable"),
    ("cloudflare", 524, "cf-ray", "-FRA", "524: A timeout occurred"),
    ("cloudflare", 520, "server", "cloudflare", "Web server is returning an unknown error"),
    ("cloudflare", 502, "server", "cloudflare", "<hr><center>cloudflare</center>"),
    ("envoy", 503, "server", "envoy", "upstream connect error or disconnect/reset before headers"),
    ("envoy", 504, "content-type", "text/plain", "upstream request timeout"),
    ("alb", 502, "server", "awselb/2.0", "<center><h1>502 Bad Gateway</h1></center>\r\n</body>"),
    ("haproxy", 504, "cache-control", "no-cache", "The server didn't respond in time."),
    ("haproxy", 408, "content-type", "text/html", "complete request in time"),
    ("caddy", 502, "via", "1.1 Caddy", ""),
    ("litellm", 408, "x-litellm-call-id", "-4", "litellm.Timeout"),
]


@pytest.mark.parametrize(("stranger", "status", "header", "value", "text"), SIGNS)
def test_each_stranger_is_known_by_its_headers_and_its_page(
    start: Starter, stranger: Any, status: int, header: str, value: str, text: str
) -> None:
    answer = start(faults=[Fault("*", stranger=stranger, status=status)]).chat()
    assert answer.status_code == status
    assert value in answer.headers[header]
    assert text in answer.text


def test_haproxy_names_itself_nowhere_and_caddy_says_nothing(start: Starter) -> None:
    caller = start(faults=[Fault(MODELS, stranger="haproxy", at=(1,)), Fault(MODELS, stranger="caddy")])
    assert "server" not in caller.models().headers
    answer = caller.models()
    assert (answer.content, answer.headers.get("content-type")) == (b"", None)


def test_a_relays_envelope_is_as_good_as_the_gateways(start: Starter) -> None:
    caller = start(faults=[Fault(CHAT, stranger="litellm", status=429, retry_after="7", after_accept=True)])
    answer = caller.chat()
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert answer.headers["llm_provider-retry-after"] == "7"
    assert "retry-after" not in answer.headers
    assert caller.sandbox.ledger.billed(CHAT) == 1


def test_a_stranger_without_a_status_gave_up_waiting(start: Starter) -> None:
    caller = start(faults=[Fault(MODELS, stranger=name, at=(n,)) for n, name in enumerate(STRANGERS, 1)])
    assert {caller.models().status_code for _ in STRANGERS} <= {408, 502, 504, 524}


def test_a_stranger_says_what_it_is_told_under_its_own_headers(start: Starter) -> None:
    text = "error code: 524"
    answer = start(faults=[Fault("*", stranger="cloudflare", status=524, body=text)]).models()
    assert (answer.text, answer.headers["server"]) == (text, "cloudflare")
    answer = start(faults=[Fault("*", stranger="nginx", status=302, redirect_to="https://login.test/")]).models()
    assert (answer.headers["location"], answer.headers["server"][:5]) == ("https://login.test/", "nginx")


def test_a_stranger_stands_before_the_result_host_too(start: Starter) -> None:
    caller = start(faults=[Fault("CDN /images/{name}", stranger="cloudflare", status=522)])
    answer = caller.download(caller.images().json()["data"][0]["url"])
    assert (answer.status_code, answer.headers["server"]) == (522, "cloudflare")
    assert "x-cache" not in answer.headers


def test_a_stranger_is_one_of_the_known_and_unsigned() -> None:
    unknown: Any = "varnish"
    with pytest.raises(ValueError, match="must be one of nginx"):
        Fault(stranger=unknown)
    with pytest.raises(ValueError, match="unsigned"):
        Fault(stranger="nginx", signed=True)
