"""Spans and metrics, by the SDK's exporters into memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from relaydance_async import (
    AsyncRelayDance,
    Limit,
    Limits,
    ResponseDecodeError,
    RetryPolicy,
    SqliteJournal,
    fan_out_list,
)
from relaydance_async.hooks import CallInfo
from relaydance_async.sandbox import Account, ConnectionFault, Fault, FaultyProxy, Sandbox, TaskPlan, TaskScript
from relaydance_async.types import PriceList
from tests.call.support import cancel_when, failure_of
from tests.hooks.telemetry import Telemetry, events, is_below, of
from tests.kit.calls import HELLO, ask_chat, client_of, list_models, open_stream, submit_clip
from tests.kit.clocks import QuickClock
from tests.kit.routes import CHAT, MODELS, SUBMIT
from tests.kit.waiting import wait_until
from tests.resources.result_host import Host, whole
from tests.transports.support import as_json, serve

pytestmark = pytest.mark.anyio

CALL, ATTEMPT = "chat grok-4.3", "POST /chat/completions"
CLIP = "doubao-seedance-2-0-720p"


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


async def test_a_chat_is_one_span_and_its_attempt_another_below_it(sandbox: Sandbox, telemetry: Telemetry) -> None:
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        answer = await client.chat.completions.create(
            model="grok-4.3", messages=HELLO, temperature=0.5, max_tokens=9, seed=1, stop=["x"], n=2
        )
    attempt, call = telemetry.spans
    assert (call.name, call.kind, call.status.status_code) == (CALL, SpanKind.CLIENT, StatusCode.UNSET)
    assert (attempt.name, attempt.kind, attempt.status.status_code) == (ATTEMPT, SpanKind.CLIENT, StatusCode.UNSET)
    assert is_below(attempt, call)
    port = int(sandbox.root_url.rpartition(":")[2])
    usage = answer.usage
    assert usage is not None
    request_id = sandbox.ledger.entries[0].request_id
    assert {name: value for name, value in of(call).items() if name != "relaydance.call.id"} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "relaydance",
        "gen_ai.request.model": "grok-4.3",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 1,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": answer.model,
        "gen_ai.response.finish_reasons": tuple(choice.finish_reason for choice in answer.choices),
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "server.address": "127.0.0.1",
        "server.port": port,
        "relaydance.attempts": 1,
        "relaydance.request_id": request_id,
    }
    assert of(attempt) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"{sandbox.base_url}/chat/completions",
        "url.template": "/chat/completions",
        "relaydance.request_id": request_id,
    }


async def test_a_call_that_asks_no_model_is_no_genai_span(sandbox: Sandbox, telemetry: Telemetry) -> None:
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        await list_models(client)
    attempt, call = telemetry.spans
    assert (call.name, call.kind) == ("GET /models", SpanKind.INTERNAL)
    assert not any(name.startswith("gen_ai") for name in of(call))
    assert is_below(attempt, call)
    assert "gen_ai.client.operation.duration" not in telemetry.points()


async def test_a_retry_is_a_span_for_each_attempt_and_an_event(sandbox: Sandbox, telemetry: Telemetry) -> None:
    sandbox.faults.add(Fault(CHAT, status=503, times=1))
    async with client_of(sandbox, QuickClock(), hooks=[telemetry.hook()]) as client:
        await ask_chat(client)
    first, second = telemetry.named(ATTEMPT)
    call = telemetry.one(CALL)
    assert is_below(first, call)
    assert is_below(second, call)
    assert (of(first)["error.type"], first.status.status_code) == ("503", StatusCode.ERROR)
    assert "http.request.resend_count" not in of(first)
    assert of(second)["http.request.resend_count"] == 1
    assert call.status.status_code is StatusCode.UNSET
    ((name, about),) = events(call)
    assert (name, about["error.type"]) == ("relaydance.retry", "ServerError")
    assert about["relaydance.wait"] > 0
    assert of(call)["relaydance.attempts"] == 2
    (retries,) = telemetry.points()["relaydance.client.retries"]
    assert retries.value == 1


async def test_an_ambiguous_failure_says_that_it_may_have_been_accepted(sandbox: Sandbox, telemetry: Telemetry) -> None:
    with FaultyProxy(sandbox.root_url, [ConnectionFault("reset_after_request")]) as proxy:
        async with client_of(sandbox, base_url=proxy.base_url, hooks=[telemetry.hook()]) as client:
            error = await failure_of(submit_clip(client))
    attempt, call = telemetry.spans
    assert call.name == f"generate_content {CLIP}"
    assert (of(call)["error.type"], of(call)["relaydance.maybe_accepted"]) == ("APIConnectionError", True)
    assert call.status.status_code is attempt.status.status_code is StatusCode.ERROR
    assert call.status.description == error.message
    assert of(attempt)["error.type"] == "APIConnectionError"
    assert "http.response.status_code" not in of(attempt)
    (duration,) = telemetry.points()["gen_ai.client.operation.duration"]
    assert duration.attributes["error.type"] == "APIConnectionError"


async def test_a_cancelled_call_is_no_error(sandbox: Sandbox, telemetry: Telemetry) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=60))
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        await cancel_when(lambda: submit_clip(client), lambda: len(sandbox.ledger.entries) == 1)
    attempt, call = telemetry.spans
    assert call.status.status_code is attempt.status.status_code is StatusCode.UNSET
    assert "error.type" not in {**of(call), **of(attempt)}
    assert of(call)["relaydance.cancelled"] is True
    assert of(call)["relaydance.maybe_accepted"] is True


async def test_a_stream_ends_when_it_ends(sandbox: Sandbox, telemetry: Telemetry) -> None:
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        stream = await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)
        await anext(stream)
        assert telemetry.spans == []
        whole = await stream.get_final_completion()
    attempt, call = telemetry.spans
    assert whole.usage is not None
    assert of(call)["gen_ai.request.stream"] is True
    assert of(call)["gen_ai.usage.output_tokens"] == whole.usage.completion_tokens
    assert of(call)["gen_ai.response.finish_reasons"] == ("stop",)
    assert 0 < of(call)["gen_ai.response.time_to_first_chunk"] < 10
    assert "relaydance.stream.left" not in of(call)
    assert call.end_time is not None
    assert attempt.end_time is not None
    assert attempt.end_time <= call.end_time
    points = telemetry.points()
    assert [point.count for point in points["gen_ai.client.operation.time_to_first_chunk"]] == [1]
    (per_chunk,) = points["gen_ai.client.operation.time_per_output_chunk"]
    assert per_chunk.count > 2


async def test_a_stream_that_is_left_half_way(sandbox: Sandbox, telemetry: Telemetry) -> None:
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        stream = await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True)
        async with stream:
            await anext(stream)
    call = telemetry.one(CALL)
    assert of(call)["relaydance.stream.left"] is True
    assert call.status.status_code is StatusCode.UNSET


async def test_a_stream_that_breaks(sandbox: Sandbox, telemetry: Telemetry) -> None:
    sandbox.faults.add(Fault(CHAT, truncate_stream_after=2))
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        await failure_of(open_stream(client))
    attempt, call = telemetry.spans
    assert of(call)["error.type"] == of(attempt)["error.type"] == "IncompleteStreamError"
    assert of(attempt)["http.response.status_code"] == 200
    assert attempt.status.status_code is StatusCode.ERROR


async def test_a_wait_is_a_span_with_its_polls_as_events_and_below_it(telemetry: Telemetry) -> None:
    with Sandbox(time_scale=0, tasks=TaskPlan(TaskScript(queue=5, run=30))) as sandbox:
        async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[telemetry.hook()]) as client:
            with telemetry.tracers.get_tracer("app").start_as_current_span("app"):
                task = await client.video.generate(model=CLIP, prompt="a cat turns", seconds=5)
    wait, app = telemetry.one("video.wait"), telemetry.one("app")
    polls = [span for span in telemetry.named("GET /video/generations/{task_id}") if span.kind is SpanKind.INTERNAL]
    assert is_below(wait, app)
    assert all(is_below(poll, wait) for poll in polls)
    assert [name for name, _ in events(wait)] == ["relaydance.poll"] * len(polls)
    assert len(polls) > 2
    statuses = [about["relaydance.task.status"] for _, about in events(wait)]
    assert statuses[-1] == of(wait)["relaydance.task.status"] == "succeeded"
    assert all("relaydance.wait" in about for _, about in events(wait)[:-1])
    submit = telemetry.one(f"generate_content {CLIP}")
    assert is_below(submit, app)
    assert of(submit)["relaydance.task.id"] == of(wait)["relaydance.task.id"] == task.task_id
    assert of(submit)["gen_ai.output.type"] == "video"


async def test_polls_can_be_events_only(telemetry: Telemetry) -> None:
    with Sandbox(time_scale=0, tasks=TaskPlan(TaskScript(queue=5, run=30))) as sandbox:
        clock = QuickClock(sandbox.clock.advance)
        async with client_of(sandbox, clock, hooks=[telemetry.hook(polls=False)]) as client:
            task = await client.video.generate(model=CLIP, prompt="a cat turns", seconds=5)
            assert not telemetry.named("GET /video/generations/{task_id}")
            assert len(events(telemetry.one("video.wait"))) > 2
            await client.video.retrieve(task.task_id)  # which is no poll
    assert len(telemetry.named("GET /video/generations/{task_id}")) == 2


async def test_a_wait_that_fails_or_is_cancelled_leaves_the_current_span_as_it_was(telemetry: Telemetry) -> None:
    tracer = telemetry.tracers.get_tracer("app")
    with Sandbox(time_scale=0, tasks=TaskPlan(TaskScript(outcome="failed"))) as sandbox:
        async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[telemetry.hook()]) as client:
            with tracer.start_as_current_span("app"):
                await failure_of(client.video.wait(await submit_clip(client)))
                with tracer.start_as_current_span("later"):
                    pass
    wait, later, app = telemetry.one("video.wait"), telemetry.one("later"), telemetry.one("app")
    assert of(wait)["error.type"] == "TaskFailedError"
    assert wait.status.description is None  # the upstream's words
    assert is_below(later, app)


async def test_a_download_is_a_call_to_another_host(sandbox: Sandbox, telemetry: Telemetry, tmp_path: Path) -> None:
    hook = telemetry.hook(propagate=True)
    async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[hook]) as client:
        task = await client.video.generate(model=CLIP, prompt="a cat turns", seconds=5)
        telemetry.clear()
        await client.video.download(task, tmp_path / "a.mp4")
    attempt, call = telemetry.spans
    assert (attempt.name, call.name) == ("GET", "GET")
    assert "?" not in of(attempt)["url.full"]
    assert "url.template" not in of(attempt)


async def test_in_a_fan_out_each_call_is_below_the_span_that_is_current(sandbox: Sandbox, telemetry: Telemetry) -> None:
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        with telemetry.tracers.get_tracer("app").start_as_current_span("app"):
            await fan_out_list(lambda _: ask_chat(client), range(10), in_flight=3)
    app = telemetry.one("app")
    calls = telemetry.named(CALL)
    assert len(calls) == 10
    assert all(is_below(call, app) for call in calls)


async def test_a_replayed_call_says_so_and_uses_nothing(sandbox: Sandbox, telemetry: Telemetry, tmp_path: Path) -> None:
    async with (
        SqliteJournal(tmp_path / "a.db") as journal,
        client_of(sandbox, journal=journal, hooks=[telemetry.hook()]) as client,
    ):
        for _ in range(2):
            await client.chat.completions.create(model="grok-4.3", messages=HELLO, idempotency_key="row-1")
    first, second = telemetry.named(CALL)
    assert len(telemetry.named(ATTEMPT)) == 1
    assert "relaydance.replayed" not in of(first)
    assert (of(second)["relaydance.replayed"], of(second)["relaydance.attempts"]) == (True, 0)
    assert of(second)["gen_ai.response.id"] == of(first)["gen_ai.response.id"]
    assert sum(point.count for point in telemetry.points()["gen_ai.client.token.usage"]) == 2


async def test_waiting_for_a_turn_is_an_event_and_a_metric(sandbox: Sandbox, telemetry: Telemetry) -> None:
    sandbox.faults.add(Fault(MODELS, delay=0.05))
    async with (
        client_of(sandbox, max_concurrency=1, hooks=[telemetry.hook()]) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(3):
            group.start_soon(list_models, client)
        await wait_until(lambda: telemetry.points()["relaydance.client.queue.length"][0].value == 2)
    (length,) = telemetry.points()["relaydance.client.queue.length"]
    assert length.value == 0
    calls = [span for span in telemetry.named("GET /models") if span.kind is SpanKind.INTERNAL]
    waits = [about for call in calls for name, about in events(call) if name == "relaydance.queued"]
    assert [about["relaydance.why"] for about in waits] == ["no permit was free"] * 2
    assert all(about["relaydance.wait"] > 0.03 for about in waits)
    (queued,) = telemetry.points()["relaydance.client.queue.duration"]
    assert (queued.count, queued.max > 0.03) == (3, True)


async def test_what_is_learned_of_limits_is_a_metric(sandbox: Sandbox, telemetry: Telemetry) -> None:
    sandbox.faults.add(Fault(CHAT, status=429, times=3))
    async with client_of(sandbox, QuickClock(), hooks=[telemetry.hook()]) as client:
        for _ in range(3):
            await ask_chat(client)
        points = telemetry.points()
        known = [limiter for limiter in client.limits.snapshot().limiters if limiter.rate is not None]
        assert {
            point.attributes["relaydance.limiter"]: point.value for point in points["relaydance.client.limit.rate"]
        } == {limiter.name: limiter.rate for limiter in known}
        assert known
        del client
    assert points


async def test_what_is_learned_of_other_keys_is_told_apart(telemetry: Telemetry) -> None:
    keys = ("sk-mine-0001", "sk-theirs-0002")
    known: list[float] = []
    with Sandbox(accounts={key: Account(name=key) for key in keys}) as sandbox:
        async with client_of(sandbox, QuickClock(), hooks=[telemetry.hook()]) as client:
            other = client.with_options(api_key=keys[1])
            for view in (client, other):
                sandbox.faults.add(Fault(CHAT, status=429, times=3))
                for _ in range(3):
                    await ask_chat(view)
            points = telemetry.points()["relaydance.client.limit.rate"]
            for view in (client, other):
                known += [limiter.rate for limiter in view.limits.snapshot().limiters if limiter.rate is not None]
    assert sorted(point.value for point in points) == sorted(known)
    owners = {point.attributes["relaydance.key"] for point in points}
    assert len(owners) == 2
    assert not any(key in owner for owner in owners for key in keys)


def quarter(call: CallInfo, result: object) -> float:
    return 0.25


async def test_metrics_of_tokens_and_time(sandbox: Sandbox, telemetry: Telemetry) -> None:
    async with client_of(sandbox, hooks=[telemetry.hook(cost=quarter)]) as client:
        answer = await ask_chat(client)
    points = telemetry.points()
    known = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "relaydance",
        "gen_ai.request.model": "grok-4.3",
        "gen_ai.response.model": answer.model,
        "server.address": "127.0.0.1",
        "server.port": int(sandbox.root_url.rpartition(":")[2]),
    }
    (duration,) = points["gen_ai.client.operation.duration"]
    assert duration.attributes == known
    assert duration.explicit_bounds[:2] == (0.01, 0.02)
    assert {point.attributes["gen_ai.token.type"]: point.sum for point in points["gen_ai.client.token.usage"]} == {
        "input": answer.usage.prompt_tokens,
        "output": answer.usage.completion_tokens,
    }
    (cost,) = points["relaydance.client.cost"]
    assert cost.value == 0.25
    (http,) = points["http.client.request.duration"]
    assert http.attributes["http.response.status_code"] == 200
    assert "gen_ai.client.operation.time_to_first_chunk" not in points


async def test_the_cost_that_an_answer_tells(telemetry: Telemetry) -> None:
    body = json.dumps({"id": "a", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.5}})
    async with (
        serve(as_json(body.encode())) as server,
        AsyncRelayDance("sk-a", base_url=f"{server.url}/v1", hooks=[telemetry.hook()]) as client,
    ):
        await ask_chat(client)
    assert of(telemetry.one(CALL))["relaydance.cost"] == 0.5


async def test_the_cost_by_the_price_list(sandbox: Sandbox, telemetry: Telemetry) -> None:
    hook = telemetry.hook()
    async with client_of(sandbox, hooks=[hook]) as client:
        await ask_chat(client)
        assert "relaydance.client.cost" not in telemetry.points()
        hook.prices = prices = await client.account.prices()
        telemetry.clear()
        with client.track_usage() as usage:
            await ask_chat(client)
            await open_stream(client)
            await client.images.generate(model="gpt-image-2", prompt="a cat", n=2)
            await submit_clip(client)
            sandbox.faults.add(Fault(CHAT, status=400, body=b'{"error": {"message": "no"}}', times=1))
            await failure_of(ask_chat(client))
        hook.prices = PriceList(data=[])
        await ask_chat(client)
    expected = usage.priced(prices)
    assert set(expected.by_model) == {"grok-4.3", "gpt-image-2", CLIP}
    found = {point.attributes["gen_ai.request.model"]: 0.0 for point in telemetry.points()["relaydance.client.cost"]}
    for point in telemetry.points()["relaydance.client.cost"]:
        found[point.attributes["gen_ai.request.model"]] += point.value
    assert found == pytest.approx(expected.by_model)
    first, stream, failed, unpriced = telemetry.named(CALL)
    assert of(first)["relaydance.cost"] > 0
    assert of(stream)["relaydance.cost"] > 0
    assert "relaydance.cost" not in {**of(failed), **of(unpriced)}


async def test_what_an_answer_tells_goes_before_the_list_and_a_function_before_both(telemetry: Telemetry) -> None:
    prices = PriceList.model_validate({"data": [{"model_name": "grok-4.3", "model_price": 9}]})
    body = json.dumps({"id": "a", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.5}})
    for options, cost in (({}, 0.5), ({"cost": quarter}, 0.25)):
        telemetry.clear()
        async with (
            serve(as_json(body.encode())) as server,
            AsyncRelayDance("sk-a", base_url=f"{server.url}/v1", hooks=[telemetry.hook(prices=prices, **options)]) as c,
        ):
            await ask_chat(c)
        assert of(telemetry.one(CALL))["relaydance.cost"] == cost


# Other endpoints, and details.


async def test_a_response_and_embeddings(sandbox: Sandbox, telemetry: Telemetry) -> None:
    async with client_of(sandbox, hooks=[telemetry.hook(content=True)]) as client:
        answer = await client.responses.create(
            model="m", input="Hi", instructions="be short", max_output_tokens=9, reasoning={"effort": "low"}
        )
        await client.embeddings.create(model="m", input=["one"], dimensions=8, encoding_format="float")
        await client.rerank.create(model="m", query="cat", documents=["a dog"])
    response, embeddings = of(telemetry.one("chat m")), of(telemetry.one("embeddings m"))
    assert answer.usage is not None
    assert response["gen_ai.response.id"] == answer.id
    assert response["gen_ai.usage.input_tokens"] == answer.usage.input_tokens
    assert response["gen_ai.request.max_tokens"] == 9
    assert response["gen_ai.request.reasoning.level"] == "low"
    assert json.loads(response["gen_ai.system_instructions"]) == [{"type": "text", "content": "be short"}]
    assert json.loads(response["gen_ai.input.messages"])[0]["parts"] == [{"type": "text", "content": "Hi"}]
    assert embeddings["gen_ai.embeddings.dimension.count"] == 8
    assert embeddings["gen_ai.request.encoding_formats"] == ("float",)
    assert embeddings["gen_ai.usage.input_tokens"] > 0
    assert telemetry.named("rerank m")


async def test_tokens_by_their_kind_and_a_reason_that_did_not_come(telemetry: Telemetry) -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 3, "text_tokens": 0, "image_tokens": "many"},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 1},
    }
    body = json.dumps({"id": "a", "choices": [{"message": {"content": "x"}}], "usage": usage})
    async with (
        serve(as_json(body.encode())) as server,
        AsyncRelayDance("sk-a", base_url=f"{server.url}/v1", hooks=[telemetry.hook()]) as client,
    ):
        await client.chat.completions.create(model="grok-4.3", messages=HELLO, reasoning_effort="high")
    known = of(telemetry.one(CALL))
    assert known["gen_ai.response.finish_reasons"] == ("error",)
    assert known["gen_ai.request.reasoning.level"] == "high"
    assert {name: value for name, value in known.items() if name.startswith("gen_ai.usage.")} == {
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "gen_ai.usage.audio.input_tokens": 3,
        "gen_ai.usage.audio.output_tokens": 1,
    }


async def test_the_newest_names_of_metrics_are_chosen_in_the_environment(
    sandbox: Sandbox, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http, gen_ai_latest_experimental")
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        answer = await ask_chat(client)
        await open_stream(client)
        await client.embeddings.create(model="m", input=["one"])
        await client.rerank.create(model="m", query="cat", documents=["a dog"])
    points = telemetry.points()
    assert sorted(name for name in points if name.startswith("gen_ai.")) == [
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.embeddings.operation.input_tokens",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
        "gen_ai.client.operation.duration",
    ]
    (used,) = points["gen_ai.client.inference.usage.input_tokens"]
    assert used.attributes["gen_ai.token.modality"] == "unknown"
    assert used.value >= answer.usage.prompt_tokens
    (each,) = points["gen_ai.client.inference.operation.input_tokens"]
    assert (each.count, each.sum) == (2, used.value)
    (other,) = points["gen_ai.client.operation.duration"]
    assert other.attributes["gen_ai.operation.name"] == "rerank"


# Propagation.


async def heads_of(telemetry: Telemetry, **options: Any) -> str:
    """The head of a request as it was sent."""
    async with (
        serve(as_json(b'{"data": []}')) as server,
        AsyncRelayDance("sk-a", base_url=f"{server.url}/v1", hooks=[telemetry.hook(**options)]) as client,
    ):
        await list_models(client)
    return "\n".join(f"{name}: {value}" for name, value in server.heads[0].headers)


async def test_the_context_is_sent_to_the_api_if_that_is_asked_for(telemetry: Telemetry) -> None:
    head = await heads_of(telemetry, propagate=True)
    attempt = telemetry.spans[0]
    assert attempt.context is not None
    found = re.search(r"traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-0[13]", head)
    assert found is not None
    assert (int(found[1], 16), int(found[2], 16)) == (attempt.context.trace_id, attempt.context.span_id)
    assert "baggage" not in head


async def test_the_context_is_not_sent_otherwise(telemetry: Telemetry) -> None:
    assert "traceparent" not in await heads_of(telemetry)


async def test_the_context_is_never_sent_to_another_host(
    sandbox: Sandbox, telemetry: Telemetry, tmp_path: Path
) -> None:
    host = Host(whole(b"clip", "content-type: video/mp4"))
    async with host.running() as task, client_of(sandbox, hooks=[telemetry.hook(propagate=True)]) as client:
        await client.video.download(task, tmp_path / "a.mp4")
    assert len(telemetry.named("GET")) == 2
    assert host.heads[0].startswith("get /a.mp4")
    assert "traceparent" not in host.heads[0]


# Secrets and content.


def written(telemetry: Telemetry) -> str:
    return "".join(span.to_json() for span in telemetry.spans) + repr(telemetry.points())


@pytest.mark.parametrize("content", [False, True])
async def test_the_key_is_in_no_span_and_no_metric(
    sandbox: Sandbox, telemetry: Telemetry, tmp_path: Path, content: bool
) -> None:
    key = sandbox.api_key
    hook = telemetry.hook(content=content, propagate=True)
    echo = {"error": {"message": f"bad key {key}", "code": f"c-{key}"}}
    sandbox.faults.add(Fault(CHAT, status=401, body=json.dumps(echo).encode(), times=1))
    sandbox.faults.add(Fault(MODELS, body=f"<html>{key}".encode(), times=1))
    once = RetryPolicy(max_attempts=1)
    async with client_of(sandbox, QuickClock(sandbox.clock.advance), hooks=[hook], retry=once) as client:
        await failure_of(ask_chat(client))
        assert isinstance(await failure_of(list_models(client)), ResponseDecodeError)
        await open_stream(client)
        task = await client.video.generate(model=CLIP, prompt="a cat", seconds=5)
        await client.video.download(task, tmp_path / "a.mp4")
    assert len(telemetry.spans) > 8
    assert key not in written(telemetry)


async def test_what_was_asked_and_answered_is_shown_only_if_asked_for(sandbox: Sandbox, telemetry: Telemetry) -> None:
    async with client_of(sandbox, hooks=[telemetry.hook()]) as client:
        await ask_chat(client)
        sandbox.faults.add(Fault(CHAT, status=400, body=b'{"error": {"message": "I refuse one two three"}}'))
        await failure_of(ask_chat(client))
        await submit_clip(client)
    assert "one two three" not in written(telemetry)
    assert "cat" not in written(telemetry)


async def test_content_in_the_form_of_the_conventions(sandbox: Sandbox, telemetry: Telemetry) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    linked = {"type": "image_url", "image_url": {"url": "https://a.example/b.png?sig=1"}}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    tools = [{"type": "function", "function": {"name": "look"}}]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": [{"type": "text", "text": "what?"}, picture, linked]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
    ]
    async with client_of(sandbox, hooks=[telemetry.hook(content=True)]) as client:
        answer = await client.chat.completions.create(model="grok-4.3", messages=messages, tools=tools)
        await submit_clip(client)
    asked = json.loads(of(telemetry.one(CALL))["gen_ai.input.messages"])
    assert asked == [
        {"role": "system", "parts": [{"type": "text", "content": "be short"}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "what?"},
                {"type": "blob", "modality": "image"},
                {"type": "uri", "modality": "image", "uri": "https://a.example/b.png"},
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "a cat"}]},
    ]
    assert json.loads(of(telemetry.one(CALL))["gen_ai.tool.definitions"]) == tools
    said = json.loads(of(telemetry.one(CALL))["gen_ai.output.messages"])
    choice = answer.choices[0]
    assert said[0]["role"] == "assistant"
    assert said[0]["finish_reason"] == choice.finish_reason
    if choice.message.content:
        assert {"type": "text", "content": choice.message.content} in said[0]["parts"]
    clip = telemetry.one(f"generate_content {CLIP}")
    assert json.loads(of(clip)["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "a cat turns"}]}
    ]


@pytest.mark.parametrize(("value", "shown"), [("true", True), ("span_only", True), ("no_content", False), ("", False)])
def test_the_environment_may_ask_for_content(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, value: str, shown: bool
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value)
    assert telemetry.hook().content is shown
    assert telemetry.hook(content=False).content is False


async def test_a_large_request_is_not_read_for_its_settings(sandbox: Sandbox, telemetry: Telemetry) -> None:
    large = [{"role": "user", "content": "x" * 300_000}]
    async with client_of(sandbox, hooks=[telemetry.hook(content=True)]) as client:
        await client.chat.completions.create(model="grok-4.3", messages=large, temperature=0.5)
    call = telemetry.one(CALL)
    assert "gen_ai.request.temperature" not in of(call)
    assert of(call)["gen_ai.request.model"] == "grok-4.3"


# The extra.


def test_without_the_extra_the_error_names_it() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from relaydance_async.hooks import OpenTelemetry\n"
        "OpenTelemetry()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr.strip().endswith(
        "ConfigurationError: OpenTelemetry() needs the extra otel: pip install 'relaydance-async[otel]'"
    )


async def test_without_an_sdk_nothing_happens(sandbox: Sandbox) -> None:
    from relaydance_async.hooks import OpenTelemetry

    async with client_of(
        sandbox, limits=Limits(per_kind={"chat": Limit(in_flight=1)}), hooks=[OpenTelemetry()]
    ) as client:
        await ask_chat(client)
        await open_stream(client)
