"""Where a clip may come from, and that no word from outside is ever a path of the API."""

from __future__ import annotations

import pytest

from relaydance_async import DownloadError, VideoTask
from relaydance_async._sansio.target import ApiTarget, ForeignTarget, Network
from relaydance_async.resources.download.source import HostPolicy, ResultSource

API = "https://api.example/v1"
CDN = "https://cdn.example/clips/a.mp4?X-Signature=s3cret"
ANYWHERE = HostPolicy(allow_private=True)


def source_of(url: str | None, policy: HostPolicy = ANYWHERE) -> ResultSource:
    task = VideoTask(task_id="task/1", status="succeeded", raw_status="succeeded")
    # A task that was decoded has a URL of http or https only.
    return ResultSource.of(task.model_copy(update={"url": url}), API, policy)


def url_of(source: ResultSource) -> str:
    """That it is foreign, and where it leads."""
    assert isinstance(source.target, ForeignTarget)
    assert source.target.url == source.url
    return source.url


def test_a_task_without_a_url_is_asked_of_the_api() -> None:
    target = source_of(None).target
    assert target == ApiTarget("/videos/{task_id}/content", "/videos/task%2F1/content")


def test_the_tasks_url_is_foreign() -> None:
    assert url_of(source_of(CDN)) == CDN
    assert source_of(CDN, HostPolicy()).target == ForeignTarget(CDN, Network.PUBLIC)
    assert source_of(CDN).target == ForeignTarget(CDN, Network.ANY)


# Each is a location, and where it leads from CDN; None: nowhere.
LOCATIONS = {
    "https://other.example/b": "https://other.example/b",
    "//other.example/b": "https://other.example/b",
    "/b?c=d": "https://cdn.example/b?c=d",
    "b": "https://cdn.example/clips/b",
    "../../../b": "https://cdn.example/b",
    "?c": "https://cdn.example/clips/a.mp4?c",
    "#part": CDN,
    "": CDN,
    "https://other.example/b#part": "https://other.example/b",
    "https://[2001:db8::1]:8443/b": "https://[2001:db8::1]:8443/b",
    "https:foo": "https://cdn.example/clips/foo",
    "\\\\other.example\\b": "https://cdn.example/clips/\\\\other.example\\b",
    "/\\other.example/b": "https://cdn.example/\\other.example/b",
    "https://other.example/b\r\nauthorization: x": "https://other.example/bauthorization: x",
    "https://other.example:/b": "https://other.example:/b",
    "x.evil.example:/clip": None,
    "/videos/x.evil.example:/clip": "https://cdn.example/videos/x.evil.example:/clip",
    "http://other.example/b": None,
    "HTTP://other.example/b": None,
    "ftp://other.example/b": None,
    "file:///etc/passwd": None,
    "javascript:alert(1)": None,
    "data:video/mp4,x": None,
    "https://": CDN,
    "https:///b": "https://cdn.example/b",
    "https://me:s3cret@other.example/b": None,
    "https://@other.example/b": None,
    "https://cdn.example@other.example/b": None,
    "https://other.example\\@cdn.example/b": None,
    "https://other.example\\.cdn.example/b": None,
    "https://other%2eexample/b": None,
    "https://oth er.example/b": None,
    "https://other.example:0/b": None,
    "https://other.example:99999/b": None,
    "https://other.example:port/b": None,
    "https://[::1/b": None,
    "https://[nonsense]/b": None,
    "https://me:s3cret@\u2100.example/b": None,
    f"https://{'a' * 300}/b": None,
    f"https://other.example/{'a' * 20_000}": None,
}


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_redirect_is_joined_as_a_url_and_foreign_whatever_it_looks_like(location: str) -> None:
    wanted = LOCATIONS[location]
    if wanted is not None:
        assert url_of(source_of(CDN).next_hop(location)) == wanted
        return
    with pytest.raises(DownloadError) as caught:
        source_of(CDN).next_hop(location)
    assert caught.value.kind == "refused host"
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("location", LOCATIONS)
def test_no_redirect_of_the_api_itself_takes_the_key_along(location: str) -> None:
    try:
        target = source_of(None).next_hop(location).target
    except DownloadError:
        return
    assert isinstance(target, ForeignTarget)
    assert target.url.startswith("https://")


@pytest.mark.parametrize("url", LOCATIONS)
def test_no_url_of_a_task_is_a_path_of_the_api(url: str) -> None:
    try:
        target = source_of(url).target
    except DownloadError:
        return
    assert isinstance(target, ForeignTarget) is bool(url)


def test_a_relative_url_is_of_the_apis_host_without_the_key() -> None:
    assert url_of(source_of("/files/a.mp4")) == "https://api.example/files/a.mp4"


@pytest.mark.parametrize("base_url", ["http://localhost", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"])
def test_an_api_on_this_machine_may_have_its_clips_there(base_url: str) -> None:
    policy = HostPolicy.beside(base_url, allow_private=False)
    assert policy.target("http://127.0.0.1:9/a") == ForeignTarget("http://127.0.0.1:9/a", Network.ANY)
    assert policy.target("https://10.0.0.1/a").network is Network.PUBLIC


def test_no_other_api_may() -> None:
    policy = HostPolicy.beside(API, allow_private=False)
    assert policy.target("https://localhost/a").network is Network.PUBLIC
    with pytest.raises(DownloadError, match=r"not https: http://localhost"):
        policy.target("http://localhost/a")
    with pytest.raises(DownloadError, match="not https"):
        ANYWHERE.target("http://10.0.0.1/a")
