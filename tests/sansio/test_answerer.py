"""Who answered, and whether the request may have been accepted: the whole table."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async._sansio.answerer import is_signed, who_answered
from relaydance_async._sansio.envelope import is_envelope

SIGNED = {"x-oneapi-request-id": "2026", "x-new-api-version": "v1.0.0-rc.25"}
NGINX = {"server": "nginx/1.22.1"}
CLOUDFLARE = {"server": "cloudflare", "cf-ray": "8f1-FRA"}
LITELLM = {"x-litellm-call-id": "f79d27b3"}

REFUSALS = [400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 421, 422, 429, 431, 451, 301, 302, 307, 308]
BEFORE_ORIGIN = [521, 523, 525, 526, 530]
FAILED_SOON = [500, 502, 503]
GIVEN_UP = [
    *(502, 504, 408, 520, 522, 524, 499, 500, 503, 101),
    *(0, 100, 300, 303, 304, 402, 409, 410, 418, 501, 505, 527, 529, 600, 999),
]


def ask(status: int, headers: Mapping[str, str], *, envelope: bool = False, signs: bool = False) -> tuple[bool, bool]:
    answerer = who_answered(status, headers, has_envelope=envelope, origin_signs=signs)
    return answerer.is_gateway, answerer.not_accepted


@pytest.mark.parametrize("signs", [True, False])
@pytest.mark.parametrize("envelope", [True, False])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 499, 500, 502, 503, 504, 520, 524])
def test_a_signed_error_is_the_gateways_and_was_not_accepted(status: int, envelope: bool, signs: bool) -> None:
    assert ask(status, SIGNED, envelope=envelope, signs=signs) == (True, True)


@pytest.mark.parametrize("status", [100, 101, 300, 303, 304, 600, 999, 0])
def test_of_a_signed_answer_that_is_no_error_nothing_is_known(status: int) -> None:
    assert ask(status, SIGNED) == (True, False)
    assert ask(308, SIGNED) == (True, True)


@pytest.mark.parametrize("headers", [{}, NGINX, CLOUDFLARE, LITELLM])
@pytest.mark.parametrize("status", [*REFUSALS, *BEFORE_ORIGIN])
def test_a_refusal_of_anybody_was_not_accepted(status: int, headers: Mapping[str, str]) -> None:
    assert ask(status, headers) == (False, True)
    assert ask(status, headers, envelope=True, signs=True) == (False, True)


@pytest.mark.parametrize("headers", [{}, NGINX, CLOUDFLARE, LITELLM])
@pytest.mark.parametrize("status", GIVEN_UP)
def test_of_any_other_answer_of_a_stranger_nothing_is_known(status: int, headers: Mapping[str, str]) -> None:
    assert ask(status, headers) == (False, False)
    assert ask(status, headers, envelope=True, signs=True) == (False, False)


@pytest.mark.parametrize("status", FAILED_SOON)
def test_an_envelope_is_believed_of_an_origin_that_signs_nothing_and_of_no_other_relay(status: int) -> None:
    assert ask(status, {}, envelope=True) == (True, True)
    assert ask(status, {}, envelope=True, signs=True) == (False, False)
    assert ask(status, LITELLM, envelope=True) == (False, False)
    assert ask(status, {"llm_provider-x-oneapi-request-id": "1"}, envelope=True) == (False, False)


@pytest.mark.parametrize("status", [408, 504, 520, 524, 499])
def test_a_time_out_is_not_believed_even_with_an_envelope(status: int) -> None:
    assert ask(status, {}, envelope=True) == (False, False)


@pytest.mark.parametrize("headers", [SIGNED, NGINX, {}])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_after_a_good_head_nothing_is_not_accepted(status: int, headers: Mapping[str, str]) -> None:
    assert not who_answered(status, headers, has_envelope=True, origin_signs=False).not_accepted


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (CLOUDFLARE, "Cloudflare (CF-Ray 8f1-FRA)"),
        (LITELLM, "LiteLLM"),
        (NGINX, "a proxy (Server nginx/1.22.1)"),
        ({"via": "1.1 squid"}, "a proxy (Via 1.1 squid)"),
        ({}, "somebody in between"),
    ],
)
def test_the_answerer_is_named_by_what_it_left(headers: Mapping[str, str], name: str) -> None:
    assert who_answered(504, headers, has_envelope=False, origin_signs=False).name == name
    assert who_answered(504, SIGNED, has_envelope=False, origin_signs=False).name == ""


@given(st.integers(0, 999), st.booleans(), st.booleans())
def test_only_the_statuses_of_the_table_promise_anything(status: int, envelope: bool, signs: bool) -> None:
    promised = ask(status, {}, envelope=envelope, signs=signs)[1]
    believed = status in FAILED_SOON and envelope and not signs
    assert promised == (status in REFUSALS or status in BEFORE_ORIGIN or believed)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"error": {"message": "m"}}', True),
        (b'{"code": "x", "message": "m", "data": null}', True),
        (b'{"error": "a string"}', False),
        (b'{"message": "m"}', False),
        (b'{"detail": "m"}', False),
        (b'{"success": false, "message": "m"}', False),
        (b'{"code": "x"}', False),
        (b'{"code": 14, "message": "unavailable", "details": []}', False),  # of a gRPC gateway
        (b'{"error": {}}', False),
        (b'{"error": {"status": "UNAVAILABLE"}}', False),
        (b"[]", False),
        (b"<html>", False),
        (b"", False),
        (b'{"error": {"message"', False),
    ],
)
def test_an_envelope_has_one_of_two_shapes(body: bytes, wanted: bool) -> None:
    assert is_envelope(body) is wanted


def test_either_mark_is_a_signature_and_an_empty_one_is_none() -> None:
    assert is_signed({"x-oneapi-request-id": "1"})
    assert is_signed({"x-new-api-version": "1"})
    assert not is_signed({"x-oneapi-request-id": "", "x-request-id": "1"})
