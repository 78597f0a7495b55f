"""`relaydance image`: pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from cyclopts import Parameter
from cyclopts.validators import Number

from .. import AsyncRelayDance, Image
from ._exits import DONE, CannotBeginError
from ._files import Out, check_file, check_out, digests_of, place_of
from ._journal import Once, Paid
from ._play import play
from ._progress import showing
from ._session import Here, ModelId

_ONCE = Once()
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp", b"GIF8": ".gif"}


def image(
    prompt: str,
    /,
    *,
    model: ModelId = None,
    n: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    size: str | None = None,
    aspect_ratio: str | None = None,
    quality: str | None = None,
    edit: tuple[Path, ...] = (),
    out: Out = None,
    overwrite: bool = False,
    once: Once = _ONCE,
    session: Here,
) -> int:
    """Make pictures, and save them.

    Args:
        prompt: what to show, or to change.
        model: the id of the model (default: that of the profile).
        n: how many.
        size: such as 1024x1024.
        aspect_ratio: such as 16:9.
        quality: such as high.
        edit: a picture to change. May be repeated.
        out: the file, or the directory (default: this one). Of several, the names get numbers.
        overwrite: replace files.
    """
    chosen = session.model("image", model)
    given = {"n": n, "size": size, "aspect_ratio": aspect_ratio, "quality": quality}
    arguments: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for path in edit:
        check_file(path)
    typed = {
        "model": chosen,
        "prompt": prompt,
        "out": place_of(out),
        "files": digests_of(map(str, edit)),
        **arguments,
    }
    route = "/images/edits" if edit else "/images/generations"
    paid = Paid(session, once, route, typed)

    async def work(client: AsyncRelayDance) -> None:
        found = await paid.find(client)
        for path in _names(out, n):
            check_out(path, overwrite=overwrite or found is not None)
        async with showing(client, f"{n} of {chosen}") as progress:
            if edit:
                made = await client.images.edit(
                    model=chosen, prompt=prompt, image=list(edit), idempotency_key=paid.key, **arguments
                )
            else:
                made = await client.images.generate(model=chosen, prompt=prompt, idempotency_key=paid.key, **arguments)
            progress.state = "saving"
            records: list[dict[str, Any]] = []
            for number, one in enumerate(made.data):
                path = _path(one, out, number, len(made.data), made.created or 0)
                if found is None or overwrite or not path.exists():  # a file that is there may have been edited since
                    path = await client.images.save(one, path, overwrite=overwrite)
                records.append({"file": path, "url": one.url, "revised_prompt": one.revised_prompt})
        session.output.many(records, none="no picture came")

    play(session, work, journal=paid.journal, at_interrupt=paid.tell)
    return DONE


def _names(out: Path | None, count: int) -> list[Path | None]:
    """The files that are known before anything is made."""
    if out is None or out.is_dir() or count == 1:
        return [out]
    return [_numbered(out, number) for number in range(count)]


def _numbered(path: Path, number: int) -> Path:
    return path.with_stem(f"{path.stem}-{number + 1}")


def _path(one: Image, out: Path | None, number: int, count: int, created: int) -> Path:
    if out is None or out.is_dir():
        return (out or Path()) / f"image-{created}-{number + 1}{_suffix(one)}"
    return out if count == 1 else _numbered(out, number)


def _suffix(one: Image) -> str:
    if one.b64_json:
        try:
            content = one.content() or b""
        except ValueError:
            raise CannotBeginError("a picture came that is no base64") from None
        return next((suffix for head, suffix in _SUFFIXES.items() if content.startswith(head)), ".png")
    suffix = Path(urlsplit(one.url or "").path).suffix.lower()
    return suffix if suffix in (".png", ".jpg", ".jpeg", ".webp", ".gif") else ".png"
