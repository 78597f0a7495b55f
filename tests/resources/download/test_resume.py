"""What an answer is to a part of a clip."""

from __future__ import annotations

import pytest

from relaydance_async.resources.download.resume import AskAgain, Continue, Refuse, Restart, Resume, Verdict

ETAG = '"one"'
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
PART = Resume(4, ETAG)


def test_the_rest_is_asked_for_of_the_same_file() -> None:
    assert PART.headers() == {"range": "bytes=4-", "if-range": ETAG}
    assert Resume(4, DATE).headers() == {"range": "bytes=4-", "if-range": DATE}


@pytest.mark.parametrize("part", [Resume(), Resume(0, ETAG), Resume(4, None)])
def test_the_whole_is_asked_for_when_nothing_can_go_on(part: Resume) -> None:
    assert part.headers() == {}
    assert isinstance(part.accepts(206, {"content-range": f"bytes {part.size}-9/10"}), Refuse)
    assert isinstance(part.accepts(416, {}), Refuse)


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, Restart(None, None)),
        ({"content-length": "10", "etag": ETAG}, Restart(10, ETAG)),
        ({"content-length": "10", "last-modified": DATE}, Restart(10, DATE)),
        ({"etag": ETAG, "last-modified": DATE}, Restart(None, ETAG)),
        ({"etag": 'W/"one"', "last-modified": DATE}, Restart(None, None)),
        ({"etag": '"\xff"'}, Restart(None, None)),
        ({"etag": '"a\nb"'}, Restart(None, None)),
        # The length and the ETag are of the encoded bytes.
        ({"content-length": "10", "etag": ETAG, "content-encoding": "gzip"}, Restart(None, None)),
        ({"content-length": "10", "etag": ETAG, "content-encoding": "Identity"}, Restart(10, ETAG)),
        *[({"content-length": text}, Restart(None, None)) for text in ("", "-1", "1e3", "\xb2", "٣", "9" * 20, "5, 6")],
    ],
)
def test_a_whole_answer_begins_anew(headers: dict[str, str], verdict: Verdict) -> None:
    assert PART.accepts(200, headers) == verdict


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"content-range": "bytes 4-9/10"}, 10),
        ({"content-range": "bytes 4-9/10", "content-length": "6", "etag": ETAG}, 10),
        ({"content-range": "bytes 4-9/*"}, None),
        ({"content-range": "bytes 4-9/*", "content-length": "6"}, 10),
        # Less than was asked for: the whole is as large all the same.
        ({"content-range": "bytes 4-6/10", "content-length": "3"}, 10),
    ],
)
def test_the_rest_of_the_same_file_goes_on(headers: dict[str, str], size: int | None) -> None:
    assert PART.accepts(206, headers) == Continue(size)


def test_the_date_may_be_what_names_the_file() -> None:
    rest = {"content-range": "bytes 4-9/10", "etag": 'W/"weak"', "last-modified": DATE}
    assert Resume(4, DATE).accepts(206, rest) == Continue(10)


@pytest.mark.parametrize(
    "content_range",
    [
        "",
        "garbage",
        "bytes 5-9/10",
        "bytes 0-9/10",
        "bytes */10",
        "bytes 4-9",
        "bytes -4-9/10",
        f"bytes {'4' * 5000}-9/10",
    ],
)
def test_another_range_is_never_used(content_range: str) -> None:
    assert isinstance(PART.accepts(206, {"content-range": content_range}), Refuse)
    assert isinstance(PART.accepts(206, {}), Refuse)


def test_a_range_of_an_encoded_file_is_never_used() -> None:
    assert isinstance(PART.accepts(206, {"content-range": "bytes 4-9/10", "content-encoding": "gzip"}), Refuse)


def test_a_range_of_another_file_is_asked_for_again() -> None:
    assert isinstance(PART.accepts(206, {"content-range": "bytes 4-9/10", "etag": '"two"'}), AskAgain)


def test_a_part_that_the_server_does_not_have_is_asked_for_again() -> None:
    assert isinstance(PART.accepts(416, {"content-range": "bytes */3"}), AskAgain)
