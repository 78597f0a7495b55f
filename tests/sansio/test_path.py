"""What a caller gives as a path leads to the API, and nowhere else."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relaydance_async import InvalidInputError
from relaydance_async._sansio.path import build_query, parse_path, template_of

PATHS = {
    "/embeddings": ("/embeddings", ""),
    "embeddings": ("/embeddings", ""),
    "/api/usage/token/": ("/api/usage/token/", ""),
    "/models?limit=3&after=a%20b": ("/models", "limit=3&after=a%20b"),
    "/models?next=https://a/b?c": ("/models", "next=https://a/b?c"),
    "/models/org%2Fmodel": ("/models/org%2Fmodel", ""),
    "/a b/ü": ("/a%20b/%C3%BC", ""),
    "/100%": ("/100%25", ""),
    "@evil.example": ("/@evil.example", ""),
    ":80@evil.example/": ("/:80@evil.example/", ""),
    "/...": ("/...", ""),
}
REFUSED = [
    "",
    "/",
    " ",
    None,
    b"/models",
    "https://evil.example/v1/models",
    "//evil.example/models",
    "/a//b",
    "..",
    "/../admin",
    "/a/..",
    "/./a",
    "/a/%2e%2E/b",
    "/a/.%2e/b",
    "/a%2f..%2fb",
    "/a/..;x=1/b",
    "/a\\..\\b",
    "/a/..%5cb",
    "/a\r\nX-Evil: 1",
    "/a%0d%0aX-Evil:1",
    "/a\tb",
    "/a\x00b",
    "/a?b=\r\nc",
    "/a#b",
    "/a\x7fb",
    "/a\ud800",
]


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_a_path_is_encoded(path: str) -> None:
    assert parse_path(path) == PATHS[path]


@pytest.mark.parametrize("path", REFUSED, ids=repr)
def test_what_leads_elsewhere_is_refused(path: object) -> None:
    with pytest.raises(InvalidInputError, match=r"^path "):
        parse_path(path)


@given(st.text(st.sampled_from("/.%25eE2fF\\:@?#;a \r\n\u2215\uff0e") | st.characters()))
@example("/%252e%252e/a")
@pytest.mark.parametrize("base", ["https://relaydance.com/v1", "https://relaydance.com"])
def test_no_path_leaves_the_base_url(base: str, path: str) -> None:
    try:
        address, query = parse_path(path)
    except InvalidInputError:
        return
    url = f"{base}{address}?{query}" if query else base + address
    assert re.fullmatch(r"[!-~]+", url)
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "relaydance.com", "")
    assert parts.path.startswith(urlsplit(base).path + "/")
    assert not {".", ".."} & set(unquote(parts.path).split("/"))


KNOWN = [
    (re.compile(pattern), template)
    for pattern, template in [("/models", "/models"), ("/models/[^/]+", "/models/{model}")]
]
TEMPLATES = {
    "/models": "/models",
    "/models/grok-4.3": "/models/{model}",
    "/audio/speech": "/audio/speech",
    "/videos/task_1234/remix": "/videos/{id}/remix",
    "/responses/resp_" + "a" * 40: "/responses/{id}",
    "/files/A": "/files/{id}",
    "/api/usage/token/": "/api/usage/token/",
    "/" + "a/" * 500: "/a/a/a/a/a/a/a/a",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path[:40])
def test_the_template_of_a_path(path: str) -> None:
    assert template_of(path, KNOWN) == TEMPLATES[path]


def test_a_million_ids_are_one_template() -> None:
    assert len({template_of(f"/videos/task_{number}/content", KNOWN) for number in range(1000)}) == 1


def test_a_query_of_many_kinds() -> None:
    query = {"n": 3, "ratio": 0.5, "all": True, "none": None, "tag": ["a", "b&c"], "empty": []}
    assert build_query(query) == "n=3&ratio=0.5&all=true&tag=a&tag=b%26c"
    with pytest.raises(InvalidInputError, match="the query's 'a' must be"):
        build_query({"a": {"b": 1}})
