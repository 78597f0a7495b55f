"""The part file, in threads that come when they like, and on disks that refuse."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from relaydance_async import DownloadError, InvalidInputError
from relaydance_async.resources.download import part as module
from relaydance_async.resources.download.part import PartFile

ETAG = '"one"'


def opened(directory: Path, validator: str | None = ETAG) -> PartFile:
    part = PartFile(directory / "clip.mp4", "t1")
    part.open()
    part.restart(validator)
    return part


def names(directory: Path) -> list[str]:
    return sorted(item.name for item in directory.iterdir())


def test_it_grows_beside_the_target_and_is_named_when_whole(tmp_path: Path) -> None:
    part = opened(tmp_path)
    for piece in (b"ab", b"cd"):
        part.hold(piece)
        part.write()
    assert names(tmp_path) == ["clip.mp4.t1.etag.part", "clip.mp4.t1.part"]
    part.hold(b"ef")
    assert part.size == 6
    assert part.finish().read_bytes() == b"abcdef"
    assert names(tmp_path) == ["clip.mp4"]


def test_what_is_held_is_written_when_it_is_closed_and_goes_on_from_there(tmp_path: Path) -> None:
    part = opened(tmp_path)
    part.hold(b"abcd")
    part.close()
    part.close()
    again = PartFile(tmp_path / "clip.mp4", "t1")
    again.open()
    assert (again.size, again.validator) == (4, ETAG)
    again.hold(b"ef")
    assert again.finish().read_bytes() == b"abcdef"


@pytest.mark.parametrize(("validator", "held"), [(None, b"abcd"), (ETAG, b"")])
def test_one_from_which_nothing_can_go_on_is_removed(tmp_path: Path, validator: str | None, held: bytes) -> None:
    part = opened(tmp_path, validator)
    part.hold(held)
    part.close()
    assert names(tmp_path) == []


def test_many_small_pieces_are_written_as_early_as_few_large_ones(tmp_path: Path) -> None:
    part = opened(tmp_path)
    assert fill(part, b"x") == 1024
    part.write()
    assert fill(part, bytes(300_000)) == 4
    part.hold(b"end")
    assert part.finish().stat().st_size == part.size == 1024 + 4 * 300_000 + 3


def fill(part: PartFile, piece: bytes) -> int:
    """How many of these pieces it holds until it is to be written."""
    count = 0
    while not part.is_full:
        part.hold(piece)
        count += 1
    return count


def test_a_write_that_takes_only_some_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_five(number: int, pieces: list[bytes]) -> int:
        return os.write(number, b"".join(pieces)[:5])

    monkeypatch.setattr(module, "_write_some", take_five)
    part = opened(tmp_path)
    for piece in (b"abc", b"def", b"ghi"):
        part.hold(piece)
    assert part.finish().read_bytes() == b"abcdefghi"


# A thread that comes late.


def test_whatever_comes_after_it_was_closed_does_nothing(tmp_path: Path) -> None:
    part = opened(tmp_path)
    part.hold(b"abcd")
    part.close()
    another = os.open(tmp_path / "another", os.O_CREAT | os.O_RDWR)  # which gets the number of the closed one
    part.hold(b"ef")
    part.write()
    part.finish()
    part.open()
    part.close()
    assert os.fstat(another).st_size == 0
    os.close(another)
    assert names(tmp_path) == ["another", "clip.mp4.t1.etag.part", "clip.mp4.t1.part"]
    assert (tmp_path / "clip.mp4.t1.part").read_bytes() == b"abcd"


def test_one_that_is_closed_before_it_was_opened_is_never_there(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "clip.mp4", "t1")
    part.close()
    part.open()
    assert names(tmp_path) == []


# Disks that refuse.


def test_a_full_disk_keeps_what_went_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = opened(tmp_path)
    part.hold(b"abcd")
    part.write()

    def fill(number: int, pieces: list[bytes]) -> int:
        os.write(number, b"ef")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write_some", fill)
        part.hold(b"efgh")
        with pytest.raises(OSError, match="No space left") as caught:
            part.write()
        assert str(caught.value.filename).endswith("clip.mp4.t1.part")
    assert part.size == 6
    part.close()
    assert (tmp_path / "clip.mp4.t1.part").read_bytes() == b"abcdef"


def test_one_that_another_program_has_cut_is_not_named(tmp_path: Path) -> None:
    part = opened(tmp_path)
    part.hold(b"abcd")
    part.write()
    os.truncate(tmp_path / "clip.mp4.t1.part", 2)
    with pytest.raises(OSError, match="another program has changed it"):
        part.finish()
    part.close()
    assert not (tmp_path / "clip.mp4").exists()


def test_one_that_can_not_be_named_is_kept(tmp_path: Path) -> None:
    part = opened(tmp_path)
    part.hold(b"abcd")
    (tmp_path / "clip.mp4").mkdir()
    with pytest.raises(OSError, match="directory"):
        part.finish()
    part.close()
    assert (tmp_path / "clip.mp4.t1.part").read_bytes() == b"abcd"


def test_an_empty_clip_is_none(tmp_path: Path) -> None:
    part = opened(tmp_path)
    with pytest.raises(DownloadError, match="empty"):
        part.finish()
    part.close()
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_none_can_have_is_a_wrong_argument(tmp_path: Path, name: str) -> None:
    part = PartFile(tmp_path / name, "t1")
    with pytest.raises(InvalidInputError, match="name of a file"):
        part.open()
    part.close()
    assert names(tmp_path) == []
