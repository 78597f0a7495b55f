"""Reference assets, on a host beside the API. RelayDance doesn't document them.

What is here is what programs that use them do (read in August 2026). It may change, or end, without notice.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from itertools import chain, repeat
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import urlsplit

import anyio

from .._call import Answer, Api, Receiver, as_model, as_read
from .._config import origin_of
from .._sansio.extras import CallExtras
from .._sansio.request import PreparedRequest, RetrySafety, build_get, build_post
from .._sansio.target import ApiTarget, BesideTarget
from ..errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    DownloadError,
    InvalidInputError,
    RelayDanceError,
    ResponseDecodeError,
)
from ..models._options import ReadOptions, RequestOptions
from ..models.assets import Asset, AssetStatus, UploadPlace
from ..models.files import UploadedFile
from ..models.references import kind_of_url
from ._files import FileInput
from ._local_file import LocalFile, look_at, md5_of
from ._resource import READ_OPTIONS, Resource, apply, names_of
from ._route import billed_post, get
from ._upload import open_content
from .download import HostPolicy, check_addresses

T = TypeVar("T")

UPLOAD_PLACE = get("assets.create", "/api/upload-url", as_model(UploadPlace))
CREATE = billed_post("assets.create", "/api/assets/virtual/create", as_model(Asset))
STATUS = get("assets.retrieve", "/api/assets/{asset_id}/status", as_model(AssetStatus))

KNOWN_HOSTS = {"https://relaydance.com": "https://pay.relaydance.com"}
"""The hosts of assets beside those of APIs."""
_WAIT_OPTIONS = names_of(RequestOptions)
_PAUSES = (1.0, 2.0, 3.0, 5.0)
"""Seconds between polls; the last one for ever."""
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}[ -~]{0,100}", re.ASCII)


async def _done(answer: Answer) -> None:
    """A store says nothing that counts."""


_STORED = as_read(_done, "nothing")


class Assets(Resource):
    """Reference assets: pictures that keep a face the same over many clips. Not documented by RelayDance.

    They are on a host of their own, which gets the same key.
    """

    def __init__(self, api: Api, origin: str | None = None) -> None:
        super().__init__(api)
        self._origin = origin or KNOWN_HOSTS.get(api.origin)

    def at(self, url: str) -> Self:
        """The assets of another host. The client's key is sent there.

        Args:
            url: such as "https://pay.relaydance.com". Only its origin counts.

        Raises:
            ConfigurationError: it can't be one, or is http:// and not this machine.
        """
        return type(self)(self._api, origin_of(url, allow_http=False))

    async def create(
        self,
        source: FileInput | UploadedFile,
        *,
        name: str | None = None,
        asset_type: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> Asset:
        """Make an asset of a file or a URL. It takes some seconds until it can be used: `wait` for it.

        A file is put into the host's store first, if that doesn't have it yet. The store doesn't get the key.

        Args:
            source: a path, bytes, a binary file that can be rewound, what `files.upload` gave, or a URL: text that
                begins with a scheme.
            name: for people.
            asset_type: such as "Image"; default: by the content, or by the URL's ending.
            options: `extra_headers`, `extra_query`, `timeout`, `deadline` (of each request).

        Raises:
            ConfigurationError: the host isn't known; see `at`.
            InvalidInputError: a file that can't be read, or is no image, video or sound.
            NotFoundError: the host has no assets.
            APIStatusError: the store refused the file. What it says of keys is not about yours.
            ResponseDecodeError: the host names a store that may not be asked, such as one with a private address.
            RelayDanceError: it was refused, or no answer came.

        Cancelling it may leave an asset.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        self._require_host()
        url, kind = await self._placed(source, extras)
        body = {"source_url": url, "asset_type": asset_type or kind, "name": name}
        target = self._beside(CREATE.target(extras.query))
        request = build_post(target, body, safety=CREATE.safety)
        asset = await self._call(request, CREATE.returns, extras)
        return asset if asset.asset_type else asset.model_copy(update={"asset_type": body["asset_type"]}).told_by(asset)

    async def retrieve(self, asset: Asset | str, **options: Unpack[ReadOptions]) -> Asset:
        """The asset as it is now. Safe to repeat.

        Args:
            asset: an asset or its id.
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`.

        Raises:
            ConfigurationError: the host isn't known; see `at`.
            NotFoundError: there is no such asset.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await self._look(asset, extras)

    async def wait(
        self, asset: Asset | str, *, deadline: float | None = None, **options: Unpack[RequestOptions]
    ) -> Asset:
        """Wait until an asset is active.

        Args:
            asset: an asset or its id.
            deadline: seconds to wait. None waits as long as it takes.
            options: `extra_headers`, `extra_query`, `timeout`.

        Raises:
            RelayDanceError: the asset was refused; the message has the host's word for it.
            APITimeoutError: the deadline passed.
            NotFoundError: there is no such asset.

        Cancelling it leaves the asset as it is.
        """
        if deadline is not None and not deadline > 0:
            raise InvalidInputError(f"deadline must be more than 0 seconds, not {deadline!r}")
        _, extras = CallExtras.take(options, _WAIT_OPTIONS)
        with anyio.move_on_after(deadline):
            return await self._until_active(asset, extras)
        raise APITimeoutError(f"the asset was not active after {deadline:g} s; wait for its id again", retryable=True)

    async def _until_active(self, asset: Asset | str, extras: CallExtras) -> Asset:
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        while not (asset := await self._look(asset, extras)).is_active:
            if asset.has_failed:
                raise RelayDanceError(f"the asset {asset.id} was refused: {asset.status}")
            await self._api.clock.sleep(next(pauses))
        return asset

    async def _look(self, asset: Asset | str, extras: CallExtras) -> Asset:
        known = asset if isinstance(asset, Asset) else Asset(id=_id(asset))
        target = self._beside(STATUS.target(extras.query, asset_id=known.id))
        found = await self._call(build_get(target), STATUS.returns, extras)
        return known.model_copy(update={"status": found.status, "uri": found.uri or known.uri}).told_by(found)

    async def _placed(self, source: Any, extras: CallExtras) -> tuple[str, str]:
        """Where the source is, and what kind of thing."""
        if isinstance(source, UploadedFile):
            source = source.url
        if isinstance(source, str) and len(urlsplit(source).scheme) > 1:
            return source, _kind_of_url(source)
        file = await look_at(source)
        family = file.media_type.partition("/")[0]
        if family not in ("image", "video", "audio"):
            raise InvalidInputError(f"{file.shown} is {file.media_type}, and no image, video or sound")
        return await self._put(file, extras), family.capitalize()

    async def _put(self, file: LocalFile, extras: CallExtras) -> str:
        query = {"ext": file.name.rpartition(".")[2], "md5": await md5_of(file)}
        target = self._beside(UPLOAD_PLACE.target({**query, **(extras.query or {})}))
        place = await self._call(build_get(target), UPLOAD_PLACE.returns, extras)
        if not place.exists:
            try:
                await self._store(file, place, extras)
            except DownloadError as error:
                raise _misplaced(error) from None
        return place.source_url

    async def _store(self, file: LocalFile, place: UploadPlace, extras: CallExtras) -> None:
        """Put the file where the host says: at another host, which gets neither the key nor the caller's headers."""
        if not place.upload_url:
            raise ResponseDecodeError("the host of assets gave no address for the upload")
        target = HostPolicy.beside(self._require_host(), allow_private=False).target(place.upload_url)
        await check_addresses(target)
        async with open_content(file.checked) as body:
            kind = place.content_type or file.media_type
            if _MEDIA_TYPE.fullmatch(kind) is None:
                raise ResponseDecodeError("the host of assets asks for a media type that can't be one")
            headers = {"content-type": kind, "content-length": str(body.length)}
            request = PreparedRequest("PUT", target, RetrySafety.SAFE, body, headers)
            await self._call(request, _STORED, CallExtras(timeout=extras.timeout, deadline=extras.deadline))

    def _call(self, request: PreparedRequest, receive: Receiver[T], extras: CallExtras) -> Coroutine[Any, Any, T]:
        return apply(extras, self._api).call(request, receive)

    def _beside(self, endpoint: ApiTarget) -> BesideTarget:
        return BesideTarget(self._require_host(), endpoint)

    def _require_host(self) -> str:
        if self._origin is None:
            raise ConfigurationError(
                f"no host of assets is known beside {self._api.base_url}: client.assets.at('https://…') names it"
            )
        return self._origin


def _misplaced(error: DownloadError) -> RelayDanceError:
    """The same of an upload."""
    kind = APIConnectionError if error.retryable else ResponseDecodeError
    message = f"the file can't be put where the host of assets says: {error.message}"
    return kind(message, meta=error.meta, retryable=error.retryable)


def _kind_of_url(url: str) -> str:
    return kind_of_url(url).kind.removesuffix("_url").capitalize()


def _id(asset: object) -> str:
    if not isinstance(asset, str) or not asset.strip():
        raise InvalidInputError(f"asset must be an asset or its id, not {asset!r:.80}")
    return asset
