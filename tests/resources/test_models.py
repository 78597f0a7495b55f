"""`models.list` and `models.retrieve`."""

from __future__ import annotations

from typing import Any

import pytest

from relaydance_async import (
    AsyncRelayDance,
    InvalidInputError,
    Model,
    NotFoundError,
    Price,
    ResponseDecodeError,
    VideoHints,
)
from relaydance_async.models.hints import video_hints_of
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.routes import MODELS, PRICING
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio


async def test_the_list_is_iterable_and_is_asked_by_id(client: AsyncRelayDance) -> None:
    models = await client.models.list()
    assert "grok-4.3" in models
    assert "no-such-model" not in models
    assert models.data[0] in models
    assert [model.id for model in models] == [model.id for model in models.data]
    assert len(models) == len(models.data)
    assert models[0] is models.data[0]
    assert models.object == "list"


async def test_a_model_added_by_hand_has_no_endpoint_types(bench: Bench) -> None:
    _, client = bench.start(extra_models={"brand-new": "video"})
    models = {model.id: model for model in await client.models.list()}
    assert models["brand-new"].supported_endpoint_types is None
    task = await client.video.submit(model="brand-new", prompt="a cat")
    assert task.status == "submitted"


async def test_what_is_known_of_each_model(bench: Bench) -> None:
    sandbox, client = bench.start(extra_models={"brand-new": "chat"})
    models = {model.id: model for model in await client.models.list(prices=True)}
    clip, picture, chat = models["doubao-seedance-2-0-720p"], models["gpt-image-2"], models["grok-4.3"]
    assert (clip.kind, picture.kind) == ("video", "image")
    assert clip.price == Price(per_call=0.5)
    assert chat.price == Price(per_prompt_token=2e-6, per_completion_token=2e-6)
    assert clip.video is not None
    assert (clip.video.seconds, clip.video.resolutions, clip.video.sound) == ((4, 15), ("720p",), "asked")
    assert (picture.video, chat.video) == (None, None)
    assert "price" not in clip.model_dump()
    assert (await client.models.list())[0].price is None
    assert sandbox.ledger.count(PRICING) == 1


@pytest.mark.parametrize("fault", [{"pricing": "404"}, {"faults": [Fault(PRICING, status=500)]}])
async def test_a_list_without_prices_is_a_list(bench: Bench, fault: dict[str, Any]) -> None:
    _, client = bench.start(**fault)
    models = await client.with_options(retry=None).models.list(prices=True)
    assert models.data
    assert all(model.price is None for model in models)


@pytest.mark.parametrize(
    ("model", "endpoints", "kind"),
    [
        ("any", ["openai-video"], "video"),
        ("gpt-image-2", ["image-generation", "openai"], "image"),
        ("seedance-1-5-pro-no-audio", None, "video"),
        ("happyhorse-1.0-t2v", [], "video"),
        ("grok-imagine-video", ["unheard-of"], "video"),
        ("grok-imagine-image-quality", None, "image"),
        ("grok-4.3", None, None),
        ("grok-4.3", ["openai"], "chat"),
    ],
)
def test_the_kind_of_a_model(model: str, endpoints: list[str] | None, kind: str | None) -> None:
    found = Model(id=model, supported_endpoint_types=endpoints)
    assert found.kind == kind
    assert (found.video is not None) == (kind == "video")


def test_the_hints_of_the_documentation() -> None:
    assert video_hints_of("seedance-1-5-pro-no-audio").sound == "never"
    assert video_hints_of("seedance-1-5-pro-with-audio").sound == "always"
    assert video_hints_of("Doubao-Seedance-2-0-mini-480p").resolutions == ("480p",)
    assert video_hints_of("unheard-of") == VideoHints()


async def test_one_model_by_its_id(client: AsyncRelayDance) -> None:
    model = await client.models.retrieve("grok-4.3")
    assert isinstance(model, Model)
    assert model.id == "grok-4.3"


async def test_an_unknown_model_is_not_found_also_under_a_200(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError):
        await client.models.retrieve("no-such-model")
    assert len(sandbox.ledger.entries) == 1


async def test_an_id_with_a_slash_stays_one_segment_of_the_path(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError):
        await client.models.retrieve("vendor/model?x=1#y")
    (entry,) = sandbox.ledger.entries
    assert entry.path.startswith("/v1/models/vendor")


@pytest.mark.parametrize("model", ["", " ", ".", "..", None, 5])
async def test_what_is_no_id_is_refused_before_anything_is_sent(
    client: AsyncRelayDance, sandbox: Sandbox, model: Any
) -> None:
    with pytest.raises(InvalidInputError, match="model"):
        await client.models.retrieve(model)
    assert sandbox.ledger.entries == []


async def test_transient_errors_are_retried(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(MODELS, status=502, body="html", times=2)])
    assert (await client.models.list()).data
    assert sandbox.ledger.count(MODELS) == 3


async def test_a_wrong_base_url_is_told_by_the_web_page_that_answers(bench: Bench) -> None:
    sandbox = bench.sandbox()
    client = bench.client(sandbox, base_url=f"{sandbox.root_url}/console")
    with pytest.raises(ResponseDecodeError, match=r"web page.*base URL"):
        await client.models.list()
