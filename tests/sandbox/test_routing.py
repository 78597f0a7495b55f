"""Which path is answered how: models, unknown paths, the console, keys, headers."""

from __future__ import annotations

import pytest

from relaydance_async.sandbox import Account, Sandbox
from tests.kit.routes import MODELS
from tests.sandbox.support import Starter

BOTH = pytest.mark.parametrize("dialect", ["gateway", "documented"])


@BOTH
def test_models_lists_every_model_of_the_account(start: Starter, dialect: str) -> None:
    accounts = {"k": Account(models={"grok-4.3"})}
    everything = start(dialect=dialect).models().json()
    restricted = start(dialect=dialect, accounts=accounts).models().json()
    assert everything["object"] == "list"
    assert {"grok-4.3", "gpt-image-2", "doubao-seedance-2-0-1080p"} <= {model["id"] for model in everything["data"]}
    assert [model["id"] for model in restricted["data"]] == ["grok-4.3"]


def test_gateway_models_carry_success_and_endpoint_types_that_may_be_null(start: Starter) -> None:
    body = start(extra_models={"brand-new": "video"}).models().json()
    types = {model["id"]: model["supported_endpoint_types"] for model in body["data"]}
    assert body["success"] is True
    assert types["grok-4.3"] == ["openai"]
    assert types["brand-new"] is None


@BOTH
def test_a_single_model_is_found(start: Starter, dialect: str) -> None:
    assert start(dialect=dialect).call("GET", "/v1/models/grok-4.3").json()["id"] == "grok-4.3"


def test_an_unknown_model_is_an_error_under_a_200_in_the_gateway_dialect(start: Starter) -> None:
    answer = start().call("GET", "/v1/models/none")
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == "model_not_found"


def test_an_unknown_model_is_a_404_in_the_documented_dialect(start: Starter) -> None:
    answer = start(dialect="documented").call("GET", "/v1/models/none")
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"message", "type"}


@BOTH
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("POST", "/v1/models"), ("GET", "/api/x")])
def test_an_unknown_path_is_an_invalid_url(start: Starter, dialect: str, method: str, path: str) -> None:
    answer = start(dialect=dialect).call(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == f"Invalid URL ({method} {path})"
    assert answer.json()["error"]["type"] == "invalid_request_error"


@BOTH
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/chat/completions"), ("GET", "/models")])
def test_a_path_outside_the_api_meets_the_web_console(start: Starter, dialect: str, method: str, path: str) -> None:
    caller = start(dialect=dialect)
    answer = caller.call(method, path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert caller.sandbox.ledger.accepted() == 0


@BOTH
@pytest.mark.parametrize("header", ["Bearer wrong", "Basic c2s=", ""])
def test_a_wrong_key_is_refused_and_not_written_down(start: Starter, dialect: str, header: str) -> None:
    caller = start(dialect=dialect)
    answer = caller.call("GET", "/v1/models", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == ("new_api_error" if dialect == "gateway" else "authentication_error")
    assert [entry.account for entry in caller.sandbox.ledger.entries] == [""]
    assert "wrong" not in str(caller.sandbox.ledger.to_json())


@BOTH
def test_a_key_disabled_in_the_middle_is_refused_from_then_on(start: Starter, dialect: str) -> None:
    caller = start(dialect=dialect)
    task_id = caller.submitted()
    caller.sandbox.accounts[Sandbox.DEFAULT_KEY].disabled = True
    answer = caller.call("GET", f"/v1/video/generations/{task_id}")
    assert answer.status_code == 401


def test_gateway_answers_name_their_request_and_the_gateway_version(start: Starter) -> None:
    caller = start()
    answers = [caller.models(), caller.call("GET", "/v1/none"), caller.call("GET", "/"), caller.submit(prompt="")]
    assert all("x-oneapi-request-id" in answer.headers and "x-new-api-version" in answer.headers for answer in answers)
    identifiers = [answer.headers["x-oneapi-request-id"] for answer in answers]
    assert identifiers == [entry.request_id for entry in caller.sandbox.ledger.entries]
    assert len(set(identifiers)) == len(identifiers)


def test_documented_answers_name_their_request(start: Starter) -> None:
    headers = start(dialect="documented").models().headers
    assert "x-request-id" in headers
    assert "x-oneapi-request-id" not in headers


def test_two_keys_do_not_see_each_others_tasks(start: Starter) -> None:
    caller = start(accounts={"first": Account(name="one"), "second": Account(name="two")})
    task_id = caller.submitted()
    answer = caller.call("GET", f"/v1/video/generations/{task_id}", headers={"authorization": "Bearer second"})
    assert answer.json()["code"] == "task_not_exist"
    assert [entry.account for entry in caller.sandbox.ledger.entries] == ["one", "two"]


def test_requests_on_a_kept_connection_do_not_wait_for_acknowledgements(start: Starter) -> None:
    caller = start()
    caller.models()
    quickest = min(caller.models().elapsed.total_seconds() for _ in range(20))
    assert caller.sandbox.ledger.count(MODELS) == 21
    # Nagle's algorithm against delayed acknowledgements would make this 0.04 s.
    assert quickest < 0.03
