"""Answers that hold a second one: response splitting, lengths against chunks, bodies where there is none.

Each ends with, or holds, `STOLEN`: an answer that no call may be given but the one whose own answer it is a part of.
Some are those of the literature on desynchronisation (CL.TE, TE.CL, TE.TE, CL.0, response queues), written here anew.
"""

from __future__ import annotations

MARK = b'{"task_id":"stolen","status":"submitted"}'
STOLEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(MARK), MARK)
OWN = b'{"task_id":"own","status":"submitted"}'
_CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(OWN), OWN)


def _answer(*fields: bytes, status: bytes = b"200 OK", body: bytes = b"") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *fields, b"", b""]) + body


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


_SHORT = _answer(_length(OWN), body=OWN)
_WRAPPED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(STOLEN), STOLEN)

ODD_CODINGS = {
    "a blank before the colon": b"Transfer-Encoding : chunked",
    "a tab before the colon": b"Transfer-Encoding\t: chunked",
    "a vertical tab": b"Transfer-Encoding: \x0bchunked",
    "a form feed": b"Transfer-Encoding: \x0cchunked",
    "NUL": b"Transfer-Encoding: chunked\0",
    "folded": b"Transfer-Encoding:\r\n chunked",
    "folded with a tab": b"Transfer-Encoding:\r\n\tchunked",
    "a folded name": b"Transfer-\r\n Encoding: chunked",
    "a bare CR": b"X: a\rTransfer-Encoding: chunked",
    "a bare LF": b"X: a\nTransfer-Encoding: chunked",
    "another first": b"Transfer-Encoding: identity, chunked",
    "another last": b"Transfer-Encoding: chunked, identity",
    "two fields": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "two fields the other way": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "nearly": b"Transfer-Encoding: xchunked",
    "nearly nothing": b"Transfer-Encoding: c",
    "quoted": b'Transfer-Encoding: "chunked"',
    "a parameter": b"Transfer-Encoding: chunked;a=b",
    "a semicolon": b"Transfer-Encoding: ;chunked",
    "an underscore": b"Transfer_Encoding: chunked",
    "a blank after it": b"Transfer-Encoding: chunked ",
    "a tab after it": b"Transfer-Encoding: chunked\t",
    "capitals": b"TRANSFER-ENCODING: CHUNKED",
    "8-bit text": b"Transfer-Encoding: chunked\xa0",
}

ATTACKS: dict[str, bytes] = {
    # The answer ends, and another one follows.
    "a second answer": _SHORT + STOLEN,
    "ten more answers": _SHORT + STOLEN * 10,
    "a second answer after an empty line": _SHORT + b"\r\n" + STOLEN,
    "a second answer after a bare LF": _SHORT + b"\n" + STOLEN,
    "a second answer after half of one": _SHORT + STOLEN[:40],
    "an interim answer, and a second one": _SHORT + b"HTTP/1.1 100 Continue\r\n\r\n" + STOLEN,
    "a second answer in chunks": _SHORT + _answer(b"Transfer-Encoding: chunked", body=_CHUNKED),
    "a length of zero": _answer(b"Content-Length: 0", body=STOLEN),
    "a length that is one short": _answer(b"Content-Length: %d" % (len(OWN) - 1), body=OWN + STOLEN),
    "chunks, and a second answer": _answer(b"Transfer-Encoding: chunked", body=_CHUNKED + STOLEN),
    "no chunks, and a second answer": _answer(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + STOLEN),
    # Response splitting: what a header value of another's made.
    "split in a Location": _answer(b"Location: /", b"Content-Length: 0", status=b"302 Found", body=STOLEN),
    "split in a Set-Cookie": _answer(b"Set-Cookie: a=b", b"Content-Length: 0", b"", STOLEN, b"X: ", _length(OWN)),
    "split by a bare LF": _answer(b"X: a\nContent-Length: 0\n\n" + STOLEN, _length(OWN), body=OWN),
    "split by a bare CR": _answer(b"X: a\rContent-Length: 0\r\r" + STOLEN, _length(OWN), body=OWN),
    # Two lengths, or a length and chunks.
    "the shorter of two lengths": _answer(_length(OWN), _length(OWN + STOLEN), body=OWN + STOLEN),
    "the longer of two lengths": _answer(_length(OWN + STOLEN), _length(OWN), body=OWN + STOLEN),
    "two lengths in one field": _answer(b"Content-Length: %d, 0" % len(STOLEN), body=STOLEN),
    "a length with a sign": _answer(b"Content-Length: +0", body=STOLEN),
    "a length beyond 64 bits": _answer(b"Content-Length: 18446744073709551616", body=STOLEN),
    "a length that is folded": _answer(b"Content-Length: 0\r\n %d" % len(STOLEN), body=STOLEN),
    "chunks in a length": _answer(_length(_CHUNKED + STOLEN), b"Transfer-Encoding: chunked", body=_CHUNKED + STOLEN),
    "a length in chunks": _answer(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=_WRAPPED),
    "a length of zero before chunks": _answer(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=_WRAPPED),
    "chunks in HTTP/1.0": _answer(b"Transfer-Encoding: chunked", body=_CHUNKED + STOLEN).replace(b"/1.1", b"/1.0", 1),
    # Chunks that some read otherwise.
    "a chunk size that overflows": _answer(
        b"Transfer-Encoding: chunked", body=b"1%016x\r\n%s\r\n0\r\n\r\n" % (len(OWN), OWN) + STOLEN
    ),
    "a chunk size with a sign": _answer(b"Transfer-Encoding: chunked", body=b"-0\r\n\r\n" + STOLEN),
    "a chunk size with a prefix": _answer(b"Transfer-Encoding: chunked", body=b"0x0\r\n\r\n" + STOLEN),
    "a bare LF in an extension": _answer(b"Transfer-Encoding: chunked", body=b"2;\nxx\r\n4\r\n0\r\n\r\n" + STOLEN),
    "a bare CR in an extension": _answer(b"Transfer-Encoding: chunked", body=b"2;\rxx\r\n0\r\n\r\n" + STOLEN),
    "a bare LF after a size": _answer(b"Transfer-Encoding: chunked", body=b"2\nxx\r\n0\r\n\r\n" + STOLEN),
    "a chunk longer than it says": _answer(b"Transfer-Encoding: chunked", body=b"2\r\nxx0\r\n\r\n" + STOLEN),
    "an end without its line": _answer(b"Transfer-Encoding: chunked", body=b"0\r\n" + STOLEN),
    "a trailer that is an answer": _answer(b"Transfer-Encoding: chunked", body=b"0\r\nX: a\r\n\r\n" + STOLEN),
    "a trailer with a length": _answer(
        b"Transfer-Encoding: chunked", body=b"0\r\nContent-Length: %d\r\n\r\n" % len(STOLEN) + STOLEN
    ),
    # Bodies where there is none.
    "204 with a body": _answer(_length(STOLEN), status=b"204 No Content", body=STOLEN),
    "304 with a body": _answer(_length(STOLEN), status=b"304 Not Modified", body=STOLEN),
    "204 with chunks": _answer(b"Transfer-Encoding: chunked", status=b"204 No Content", body=_WRAPPED),
    "304 with chunks": _answer(b"Transfer-Encoding: chunked", status=b"304 Not Modified", body=_WRAPPED),
    "an interim answer with a length": _answer(_length(OWN), status=b"103 Early Hints", body=OWN + STOLEN),
    "another protocol": _answer(b"Connection: upgrade", b"Upgrade: x", status=b"101 Switching", body=STOLEN),
    "another protocol on offer": _answer(b"Connection: upgrade", b"Upgrade: x", _length(OWN), body=OWN + STOLEN),
    # No HTTP/1.1 at all.
    "no head": OWN + STOLEN,
    "an empty line first": b"\r\n" + _SHORT + STOLEN,
    **{
        f"an odd coding, {name}": _answer(_length(_CHUNKED + STOLEN), coding, body=_CHUNKED + STOLEN)
        for name, coding in ODD_CODINGS.items()
    },
    **{
        f"an odd coding without a length, {name}": _answer(coding, body=_CHUNKED + STOLEN)
        for name, coding in ODD_CODINGS.items()
    },
}
