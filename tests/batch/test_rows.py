"""A record becomes a row, or a fault that says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async.cli.batch._names import LONGEST, Names, safe_name
from relaydance_async.cli.batch._options import Columns, Format
from relaydance_async.cli.batch._records import Fault, Record
from relaydance_async.cli.batch._rows import BadRowError, Row, build_rows, fill

MODEL = "grok-imagine-video"


def rows_of(*fields: dict[str, Any], form: Format = "csv", **columns: Any) -> list[Row | Fault]:
    records = iter([Record(line, one) for line, one in enumerate(fields, start=2)])
    return list(build_rows(records, form, Columns(**columns), Names()))


def row_of(fields: dict[str, Any], **columns: Any) -> Row:
    columns.setdefault("model", MODEL)
    (row,) = rows_of(fields, **columns)
    assert isinstance(row, Row), row
    return row


def fault_of(fields: dict[str, Any], **columns: Any) -> str:
    columns.setdefault("model", MODEL)
    (fault,) = rows_of(fields, **columns)
    assert isinstance(fault, Fault)
    return fault.text


def test_a_clip_of_columns() -> None:
    cells = {"id": "1", "prompt": "A boat", "seconds": "5", "ratio": "16:9", "generate_audio": "yes", "city": "Rome"}
    more = {"references": "https://a.b/c.png https://a.b/d.mp4", "metadata": '{"seed": 7}', "resolution": ""}
    row = row_of({**cells, **more}, resolution="720p", seconds=9)
    assert row.body["model"] == MODEL
    assert row.body["prompt"] == "A boat"
    assert row.body["seconds"] == "5"
    metadata = row.body["metadata"]
    assert (metadata["seed"], metadata["ratio"], metadata["resolution"]) == (7, "16:9", "720p")
    assert metadata["generate_audio"] is True
    assert [item["type"] for item in metadata["content"]] == ["image_url", "video_url"]
    assert (row.line, row.id, row.kind, row.name) == (2, "1", "video", "1")


def test_a_row_goes_to_json_and_back() -> None:
    row = row_of({"id": "1", "prompt": "é\n\U0001f600"})
    assert Row.from_json(row.to_json()) == row
    assert "\n" not in row.to_json()


def test_an_image_and_a_chat() -> None:
    image = row_of({"prompt": "A boat", "n": "2"}, kind="image", size="1024x1024")
    assert image.body == {"model": MODEL, "prompt": "A boat", "n": 2, "size": "1024x1024"}
    chat = row_of({"prompt": "Why?", "temperature": "0.5"}, kind="chat", system="Be brief", max_tokens=20)
    assert chat.body == {
        "model": MODEL,
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Why?"}],
        "max_tokens": 20,
        "temperature": 0.5,
    }
    own = row_of({"messages": '[{"role": "user", "content": "Hi"}]'}, kind="chat")
    assert own.body["messages"] == [{"role": "user", "content": "Hi"}]


def test_columns_can_be_named() -> None:
    fields = {"key": "k1", "text": "A boat", "prompt": "not this"}
    row = row_of(fields, prompt_column="text", id_column="key", name="{key}-x")
    assert (row.body["prompt"], row.id, row.name) == ("A boat", "k1", "k1-x")
    assert "there is no prompt" in fault_of({"prompt": "x"}, prompt_column="text")


def test_templates() -> None:
    row = row_of({"id": "7", "animal": "cat", "city": "Rome"}, prompt="A {animal} in {city}", name="{id}-{city}")
    assert (row.body["prompt"], row.name) == ("A cat in Rome", "7-Rome")
    assert fill("{{{a}}} {n:03}", {"a": 1, "n": 5}) == "{1} 005"


@pytest.mark.parametrize("template", ["{nothing}", "{a.__class__}", "{a[0]}", "{}", "{0}", "{a!r}", "{a:x}", "{"])
def test_a_template_takes_the_names_of_columns_only(template: str) -> None:
    with pytest.raises(BadRowError):
        fill(template, {"a": "text"})


def test_without_an_id_the_line_is_the_id() -> None:
    assert row_of({"prompt": "x"}).id == "line-2"
    assert row_of({"id": 7, "prompt": "x"}).id == "7"


@pytest.mark.parametrize(
    ("fields", "columns", "what"),
    [
        ({"prompt": ""}, {}, "there is no prompt"),
        ({"prompt": "  "}, {}, "prompt must be a text"),
        ({"prompt": 7}, {}, "prompt must be a text"),
        ({"prompt": "x"}, {"model": None}, "there is no model"),
        ({"prompt": "x", "seconds": "many"}, {}, "seconds must be a number"),
        ({"prompt": "x", "seconds": "-1"}, {}, "more than 0"),
        ({"prompt": "x", "seconds": "nan"}, {}, "more than 0"),
        ({"prompt": "x", "generate_audio": "perhaps"}, {}, "generate_audio must be true or false"),
        ({"prompt": "x", "metadata": "{"}, {}, "metadata must be JSON"),
        ({"prompt": "x", "metadata": "[]"}, {}, "metadata"),
        ({"prompt": "x", "references": "cat.png"}, {}, "is not a URL"),
        ({"prompt": "x", "references": " ".join(["https://a.b/c.png"] * 10)}, {}, "at most 9"),
        ({"prompt": "x", "references": 7}, {}, "references"),
        ({"prompt": "x", "id": ""}, {}, "no id"),
        ({"prompt": "x", "id": "i" * 501}, {}, "an id must be"),
        ({"prompt": "x", "id": 1.5}, {}, "an id must be"),
        ({"prompt": "x", "id": True}, {}, "an id must be"),
        ({"prompt": "x"}, {"id_column": "key"}, "no id in the column 'key'"),
        ({"prompt": "\ud83d"}, {}, "unicode"),
        ({"prompt": "x", "other": "\ude00"}, {}, "half of a surrogate pair"),
        ({"prompt": "x"}, {"name": "{city}"}, "no such column"),
        ({"prompt": "x"}, {"prompt": "{city}"}, "no such column"),
        ({"prompt": "x", "n": "two"}, {"kind": "image"}, "n must be a number"),
        ({"messages": "[]"}, {"kind": "chat"}, "messages must be a list"),
        ({"messages": "{}"}, {"kind": "chat"}, "messages must be a list"),
        ({"messages": '["hi"]'}, {"kind": "chat"}, "each of messages"),
        ({}, {"kind": "chat"}, "or give a prompt"),
    ],
)
def test_faults(fields: dict[str, Any], columns: dict[str, Any], what: str) -> None:
    assert what in fault_of(fields, **columns)


def test_an_id_is_there_once() -> None:
    rows = rows_of({"id": "1", "prompt": "x"}, {"id": "1", "prompt": "y"}, model=MODEL)
    assert rows[1] == Fault(3, "the id '1' is that of line 2 already")


def openai(**changes: Any) -> dict[str, Any]:
    body = {"model": "grok-4.3", "messages": [{"role": "user", "content": "Hi"}]}
    return {"custom_id": "c1", "method": "POST", "url": "/v1/chat/completions", "body": body, **changes}


def test_openais_format() -> None:
    (row,) = rows_of(openai(), form="openai")
    assert isinstance(row, Row)
    assert (row.id, row.kind, row.body) == ("c1", "chat", openai()["body"])
    clip = {"model": MODEL, "prompt": "A boat", "seconds": "5", "metadata": {"seed": 1}, "duration": 5}
    (row,) = rows_of(openai(url="/v1/video/generations", body=clip), form="openai")
    assert isinstance(row, Row)
    assert row.body == clip


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"custom_id": "x"}, "method, url, body is missing"),
        (openai(method="GET"), "method must be POST"),
        (openai(url="/v1/embeddings"), "url must be one of"),
        (openai(body=[]), "body must be an object"),
        (openai(body={}), "there is no model"),
        (openai(body={"model": "m"}), "messages must be"),
        (openai(body={**openai()["body"], "stream": True}), "keeps whole answers"),
        (openai(url="/v1/video/generations", body={"model": "m"}), "there is no prompt"),
        (openai(url="/v1/video/generations", body={"model": "m", "prompt": "x", "metadata": 1}), "metadata"),
        (openai(custom_id=""), "an id must be"),
        (openai(custom_id=["a"]), "an id must be"),
    ],
)
def test_faults_of_openais_format(fields: dict[str, Any], what: str) -> None:
    (fault,) = rows_of(fields, form="openai")
    assert isinstance(fault, Fault)
    assert what in fault.text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("7-Rome", "7-Rome"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("a/b\\c", "a_b_c"),
        (".hidden", "hidden"),
        ("..", "_"),
        ("", "_"),
        ("a\x00b\nc", "a_b_c"),
        ("New York", "New_York"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("a. .", "a._"),
        ("ünï", "ünï"),
        ("a\u202etxt", "atxt"),
        ("\ud800", "_"),
    ],
)
def test_names_are_safe(text: str, name: str) -> None:
    assert safe_name(text) == name


@given(st.text())
def test_any_text_is_a_name_for_a_file(text: str) -> None:
    name = safe_name(text)
    assert name
    assert len(name.encode()) <= LONGEST
    assert name not in (".", "..")
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert name[0] != "."
    assert name[-1] not in ". "


def test_names_are_taken_once_whatever_their_capitals() -> None:
    names = Names()
    assert [names.take(text) for text in ("a", "A", "a", "a-2", "b/", "b_")] == [
        "a",
        "A-2",
        "a-3",
        "a-2-2",
        "b_",
        "b_-2",
    ]
