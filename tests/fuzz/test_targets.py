"""A short slice of the fuzzing: `nox -s fuzz` gives each target a million inputs."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaydance_async._engine._h11 import H11Parser
from relaydance_async._engine._llhttp import LlhttpParser
from tests.fuzz.answers import read_by_engine
from tests.fuzz.shapes import ERRORS, TASKS, Draw, build_document
from tests.fuzz.targets import TARGETS

SEEDED = 1500


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_result_or_an_error_of_ours(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_shapes_with_a_few_odd_places_give_a_result_or_an_error_of_ours(name: str) -> None:
    chance = random.Random(f"1 {name}")
    for _ in range(SEEDED):
        plain = bytearray(chance.randrange(1, 120))
        for _ in range(chance.randrange(1, 20)):
            plain[chance.randrange(len(plain))] = chance.randrange(256)
        TARGETS[name](bytes(plain))


def test_a_content_coding_that_nobody_knows_is_no_matter_of_the_parsers() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    TARGETS["answer"](b"\0\0\xff" + answer)


@pytest.mark.parametrize("parser", [LlhttpParser, H11Parser])
def test_a_head_that_is_read_again_is_refused_in_the_same_words(parser: object) -> None:
    sent = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + b"X: y\r\n" * 130 + b"\r\nok"
    verdict, kept = read_by_engine([sent], "GET", parser)
    assert (verdict.status, kept) == (0, False)
    assert "it has more than 128 header fields" in verdict.why


def test_no_decision_leaves_a_shape_as_it_is() -> None:
    assert build_document(Draw(b"\0\1"), TASKS).startswith(b'{"id": "t1", "task_id": "t1"')
    assert build_document(Draw(b""), ERRORS) == b'{"error": {"message": "no", "type": "new_api_error", "code": ""}}'
    assert build_document(Draw(b"\xc0abc"), TASKS) == b"abc"
