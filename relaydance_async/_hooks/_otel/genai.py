"""The instruments of the GenAI conventions: those that dashboards know, and those that the conventions have now.

OTEL_SEMCONV_STABILITY_OPT_IN chooses, as the conventions want it. Version 0.1 has renamed what 1.41 had.
"""

from __future__ import annotations

import os
from typing import Protocol

from opentelemetry.metrics import Counter, Histogram, Meter

from . import names
from .attributes import Attributes, Value
from .metrics import SECONDS

TOKENS = [4**power for power in range(14)]

_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
_LATEST = "gen_ai_latest_experimental"
_INFERENCE = ("chat", "generate_content")
_TIMES = (
    ("time_to_first_chunk", "Time from the call to the first chunk of its stream."),
    ("time_per_output_chunk", "Time from one chunk to the next."),
)


class GenAi(Protocol):
    """What is measured of calls of a model."""

    first_chunk: Histogram
    per_chunk: Histogram

    def ended(self, seconds: float, known: Attributes) -> None:
        """A call took so long."""
        ...

    def used(self, counts: Attributes, known: Attributes) -> None:
        """A call used these tokens, named as the attributes of its span are."""
        ...


def instruments(meter: Meter) -> GenAi:
    """Those that the environment asks for."""
    asked = [word.strip() for word in os.environ.get(_OPT_IN, "").split(",")]
    return _Latest(meter) if _LATEST in asked else _Established(meter)


class _Established:
    """Of the semantic conventions 1.41."""

    def __init__(self, meter: Meter) -> None:
        self.first_chunk, self.per_chunk = (
            _seconds(meter, f"gen_ai.client.operation.{name}", what) for name, what in _TIMES
        )
        self._duration = _seconds(meter, "gen_ai.client.operation.duration", "GenAI operation duration.")
        self._tokens = _tokens(meter, "gen_ai.client.token.usage", "Number of input and output tokens used.")

    def ended(self, seconds: float, known: Attributes) -> None:
        self._duration.record(seconds, known)

    def used(self, counts: Attributes, known: Attributes) -> None:
        for kind, name in (("input", names.INPUT_TOKENS), ("output", names.OUTPUT_TOKENS)):
            if isinstance(count := counts.get(name), int):
                self._tokens.record(count, known | {names.TOKEN_TYPE: kind})


class _Latest:
    """Of the GenAI conventions 0.1. Embeddings have durations of their own; what they don't name keeps its old one."""

    def __init__(self, meter: Meter) -> None:
        self.first_chunk, self.per_chunk = (
            _seconds(meter, f"gen_ai.client.inference.{name}", what) for name, what in _TIMES
        )
        self._durations = {
            kind: _seconds(meter, f"gen_ai.client.{kind}.duration", f"GenAI client {kind} duration.")
            for kind in ("inference", "embeddings", "operation")
        }
        self._usage: dict[str, Counter] = {
            name: meter.create_counter(f"gen_ai.client.inference.{name.removeprefix('gen_ai.')}", "{token}", what)
            for name, what in (
                (names.INPUT_TOKENS, "The number of input tokens used, including cached tokens."),
                (names.OUTPUT_TOKENS, "The number of output tokens used, including reasoning tokens."),
                (names.CACHE_READ_TOKENS, "The number of input tokens served from a cache."),
                (names.REASONING_TOKENS, "The number of output tokens used for reasoning."),
            )
        }
        self._each: dict[tuple[str, str], Histogram] = {
            (kind, name): _tokens(meter, f"gen_ai.client.{kind}.operation.{name.rpartition('.')[2]}", what)
            for kind, name, what in (
                ("inference", names.INPUT_TOKENS, "Input tokens of one inference operation."),
                ("inference", names.OUTPUT_TOKENS, "Output tokens of one inference operation."),
                ("embeddings", names.INPUT_TOKENS, "Input tokens of one embeddings operation."),
            )
        }

    def ended(self, seconds: float, known: Attributes) -> None:
        self._durations[_kind_of(known)].record(seconds, known)

    def used(self, counts: Attributes, known: Attributes) -> None:
        kind = _kind_of(known)
        for name, count in counts.items():
            if not isinstance(count, int):
                continue
            if kind == "inference" and name in self._usage:
                self._usage[name].add(count, known | {names.TOKEN_MODALITY: "unknown"})
            if (kind, name) in self._each:
                self._each[kind, name].record(count, known)


def _kind_of(known: Attributes) -> str:
    operation: Value | None = known.get(names.OPERATION_NAME)
    if operation in _INFERENCE:
        return "inference"
    return "embeddings" if operation == "embeddings" else "operation"


def _seconds(meter: Meter, name: str, what: str) -> Histogram:
    return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=SECONDS)


def _tokens(meter: Meter, name: str, what: str) -> Histogram:
    return meter.create_histogram(name, "{token}", what, explicit_bucket_boundaries_advisory=TOKENS)
