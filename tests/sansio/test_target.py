"""Where a request goes, and what of it may be shown."""

from __future__ import annotations

import pytest

from relaydance_async._sansio.target import ApiTarget, ForeignTarget, peer, shown

SIGNED = "https://user:secret@cdn.example:8443/clips/1.mp4?X-Amz-Signature=secret#secret"


def test_an_endpoint_is_shown_without_its_query() -> None:
    target = ApiTarget("/videos/{task_id}", "/videos/task_1", "token=secret")
    assert shown(target) == "/videos/task_1"
    assert peer(target) == "the gateway"


def test_a_foreign_url_is_shown_without_signature_user_and_fragment() -> None:
    target = ForeignTarget(SIGNED)
    assert shown(target) == "https://cdn.example:8443/clips/1.mp4"
    assert peer(target) == "cdn.example"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://[2001:db8::1]:8443/a?b", "https://[2001:db8::1]:8443/a"),
        ("http://127.0.0.1/a?b=c", "http://127.0.0.1/a"),
        ("https://cdn.example", "https://cdn.example"),
    ],
)
def test_hosts_of_every_kind_are_shown(url: str, text: str) -> None:
    assert shown(ForeignTarget(url)) == text
