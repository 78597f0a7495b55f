"""Point 5: typed results from bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median
from typing import NoReturn

from . import payloads
from .child import call_once
from .report import Report
from .settings import Settings


def run(settings: Settings) -> list[Report]:
    """The report of point 5."""
    found = call_once("decode", "measure", repeats=5 if settings.quick else 25)
    report = Report("5. Bytes to typed results (µs of CPU)", ["", "ours", "bare pydantic", "openai", "ratio"])
    for what in ("completion", "chunk", "models"):
        ours, bare, openai = (found[f"{what}: {how}"] for how in ("ours", "bare", "openai"))
        report.row(what, ours, bare, openai, ours / bare)
    report.check(
        "chat completion of 1 KB, ours / model_validate_json",
        found["completion: ours"] / found["completion: bare"],
        "≤",
        1.3,
    )
    report.check(f"list of {payloads.MODELS_LISTED:,} models", found["models: ours"] / 1e3, "≤", 2, "ms")
    report.notes.append(
        "ours: what follows an answer's last byte. openai: json.loads and its own `construct`, as its client does it."
    )
    report.data = {"decode": found}
    return [report]


def measure(repeats: int) -> dict[str, float]:
    """In a process of its own: microseconds for each decoding."""
    from openai._models import construct_type
    from openai.types.chat import ChatCompletion as TheirCompletion
    from openai.types.chat import ChatCompletionChunk as TheirChunk
    from openai.types.model import Model as TheirModel

    from relaydance_async._sansio.decode import decode_result
    from relaydance_async.models.catalog import ModelList
    from relaydance_async.models.chat import ChatCompletion, ChatCompletionChunk

    completion, models = payloads.completion(), payloads.model_list()
    chunk = payloads.stream_chunk()[len(b"data: ") : -2]
    return _microseconds(
        {
            "completion: ours": lambda: decode_result(ChatCompletion, completion, _no_meta),
            "completion: bare": lambda: ChatCompletion.model_validate_json(completion),
            "completion: openai": lambda: construct_type(type_=TheirCompletion, value=json.loads(completion)),
            "chunk: ours": lambda: decode_result(ChatCompletionChunk, chunk, _no_meta),
            "chunk: bare": lambda: ChatCompletionChunk.model_validate_json(chunk),
            "chunk: openai": lambda: construct_type(type_=TheirChunk, value=json.loads(chunk)),
            "models: ours": lambda: decode_result(ModelList, models, _no_meta),
            "models: bare": lambda: ModelList.model_validate_json(models),
            "models: openai": lambda: [
                construct_type(type_=TheirModel, value=each) for each in json.loads(models)["data"]
            ],
        },
        repeats,
    )


def _no_meta() -> NoReturn:
    raise AssertionError("it is asked for errors only")


def _microseconds(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median of each, measured in turns; each turn takes about a hundredth of a second."""
    counts = {name: max(1, int(0.01 / _once(function))) for name, function in functions.items()}
    took: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            began = time.process_time()
            for _ in range(counts[name]):
                function()
            took[name].append((time.process_time() - began) / counts[name] * 1e6)
    return {name: median(each) for name, each in took.items()}


def _once(function: Callable[[], object]) -> float:
    function()
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
