"""Where a result is: behind the API's own route, or at a URL from outside, which never gets the key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

import anyio

from ..._call import as_bytes
from ..._sansio.addresses import check_public, is_loopback
from ..._sansio.target import ApiTarget, ForeignTarget, Network
from ...errors import DownloadError
from ...models.video import VideoTask
from .._route import get

CONTENT = get("video.download", "/videos/{task_id}/content", as_bytes())

_LONGEST_URL = 16 * 1024
"""Characters. Signed URLs have some hundreds; servers take 8 KiB as a rule."""

_LONGEST_NAME = 253
"""Characters of a host's name (RFC 1035)."""

_NO_HOST = re.compile(r"[\x00-\x20\x7f\\^|<>\"`{}%]")
"""What no host holds, and what two parsers of URLs may read in two ways."""

_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """Which hosts a result may come from: its URL is data from outside.

    Attributes:
        allow_private: also from addresses that aren't public.
        allow_loopback: also from this machine.
    """

    allow_private: bool = False
    allow_loopback: bool = False

    @classmethod
    def beside(cls, base_url: str, *, allow_private: bool) -> HostPolicy:
        """The policy of an API with this base URL: one that is on this machine may have its results here, too."""
        return cls(allow_private, is_loopback(urlsplit(base_url).hostname or ""))

    def target(self, url: str) -> ForeignTarget:
        """The target of a URL from outside, as it was read here: no other parser gets the original.

        Raises:
            DownloadError: it is not https (or http, of this machine), or names no host that may be asked.
        """
        if len(url) > _LONGEST_URL:
            raise _refused(f"the URL has {len(url)} characters")
        parts, host = _split(url)
        here = is_loopback(host) and (self.allow_loopback or self.allow_private)
        if parts.scheme != "https" and not (here and parts.scheme == "http"):
            raise _refused(f"the URL is not https: {parts.scheme:.20}://{host}")
        if not host:
            raise _refused("the URL has no host name")
        network = Network.ANY if here or self.allow_private else Network.PUBLIC
        return ForeignTarget(parts._replace(fragment="").geturl(), network)


ResultTarget: TypeAlias = ApiTarget | ForeignTarget


@dataclass(frozen=True, slots=True)
class ResultSource:
    """Where a result is, as far as is known.

    Attributes:
        target: who is asked next.
        url: the absolute URL of that, which the location of a redirect is relative to.
        policy: who may be asked at all.
    """

    target: ResultTarget
    url: str = field(repr=False)  # it may be signed
    policy: HostPolicy

    @classmethod
    def of_image(cls, url: str, base_url: str, policy: HostPolicy) -> ResultSource:
        """An image's URL. Raises like `of`."""
        return cls(ForeignTarget(base_url, Network.PUBLIC), base_url, policy).next_hop(url)

    @classmethod
    def of(cls, task: VideoTask, base_url: str, policy: HostPolicy) -> ResultSource:
        """The task's URL; without one the API's own route, for some upstreams' clips are only to be had through it.

        Raises:
            DownloadError: nothing may come from that URL.
        """
        target = CONTENT.target(task_id=task.task_id)
        own = cls(target, f"{base_url}{target.path}", policy)
        return own.next_hop(task.url) if task.url else own

    def next_hop(self, location: str) -> ResultSource:
        """Where a redirect leads. Whatever its location looks like, the next target is a foreign one: without the key.

        Raises:
            DownloadError: nothing may come from there.
        """
        try:
            target = self.policy.target(urljoin(self.url, location))
        except ValueError:  # its text may quote a password
            raise _refused("the URL can't be read") from None
        return ResultSource(target, target.url, self.policy)


async def check_addresses(target: ResultTarget) -> None:
    """That all addresses of a target which must be public are. A transport of ours checks again as it connects; a
    caller's HTTP client can't be told.

    Raises:
        DownloadError: one is not, or the host has none.
    """
    if isinstance(target, ApiTarget) or target.network is Network.ANY:
        return
    parts, host = _split(target.url)
    try:
        found = await anyio.getaddrinfo(host, parts.port or _HTTPS_PORT)
    except UnicodeError as error:  # no name of the DNS can be made of it (RFC 5891)
        raise _refused(f"the URL has no host name: {error}") from None
    except OSError as error:
        raise DownloadError(f"the host {host} can't be found: {error}", kind="broken", retryable=True) from None
    for *_, address in found:
        check_public(host, str(address[0]))


def _split(url: str) -> tuple[SplitResult, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # its text may quote a password
        raise _refused("the URL can't be read: its host or its port is invalid") from None
    if "@" in parts.netloc:
        raise _refused(f"the URL holds a user name or password, for {host:.{_LONGEST_NAME}}")
    if len(host) > _LONGEST_NAME or _NO_HOST.search(host):
        raise _refused("the URL has no host name: what stands there is too long or has forbidden characters")
    if port == 0:
        raise _refused(f"the URL names port 0, of {host}")
    return parts, host


def _refused(message: str) -> DownloadError:
    return DownloadError(message, kind="refused host")
