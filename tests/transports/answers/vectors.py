"""What is an answer and what is none: one table, the same for every transport and parser, with the rule for each row.

Whoever forgives reads an answer differently from the proxy in front of it, and that is how one answer becomes two (RFC
9112, section 11). So what RFC 9112 lets a client forgive is refused too, but for what honest servers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_Sections = tuple[str, ...]


@dataclass(frozen=True)
class Vector:
    """One answer.

    Attributes:
        sent: all that the server writes.
        taken: status and body; None: it is refused.
        rule: why, with its section of RFC 9112, or of RFC 9110 where it says so.
        kept: whether the connection may take another request; None: either.
        ends: whether the server closes the connection after it.
    """

    name: str
    sent: bytes
    taken: tuple[int, bytes] | None
    rule: str
    method: str = "GET"
    kept: bool | None = True
    ends: bool = False


def head(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A head with these lines."""
    return b"\r\n".join([status, *fields, b"", b""])


def sized(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """An answer with the body "ok", whose length is told last."""
    return head(*fields, b"Content-Length: 2", status=status) + b"ok"


def chunked(body: bytes, *fields: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """An answer in chunks."""
    return head(*fields, b"Transfer-Encoding: chunked", status=status) + body


OK = (200, b"ok")
LAST = b"0\r\n\r\n"
STOLEN = sized()
"""Another answer, which nobody asked for."""


def taken(name: str, sent: bytes, rule: str, what: tuple[int, bytes] = OK, **more: object) -> Vector:
    """A row for an answer."""
    return Vector(name, sent, what, rule, **more)  # type: ignore[arg-type]


def refused(name: str, sent: bytes, rule: str, **more: object) -> Vector:
    """A row for what is none."""
    return Vector(name, sent, None, rule, kept=False, **more)  # type: ignore[arg-type]


STATUS_LINE = [
    taken("plain", sized(), "4"),
    taken("an empty reason", sized(status=b"HTTP/1.1 200 "), "4: the reason may be empty"),
    taken("no reason and no blank", sized(status=b"HTTP/1.1 200"), "4: servers leave the blank out; nothing else fits"),
    taken("a reason with 8-bit text", sized(status=b"HTTP/1.1 200 d\xe9j\xe0"), "4: obs-text"),
    taken("a reason with a tab", sized(status=b"HTTP/1.1 200 a\tb"), "4: HTAB"),
    taken("a reason of 1,000 bytes", sized(status=b"HTTP/1.1 200 " + b"x" * 1000), "4"),
    taken("HTTP/1.0", sized(status=b"HTTP/1.0 200 OK"), "2.5 of RFC 9110", kept=None),
    taken("status 599", sized(status=b"HTTP/1.1 599 Odd"), "15 of RFC 9110", (599, b"ok")),
    refused("two blanks before the status", sized(status=b"HTTP/1.1  200 OK"), "4: one SP"),
    refused("a tab before the status", sized(status=b"HTTP/1.1\t200 OK"), "4: SP"),
    refused("no blank before the status", sized(status=b"HTTP/1.1200 OK"), "4: SP"),
    refused("a blank before the version", sized(status=b" HTTP/1.1 200 OK"), "4"),
    refused("a status of two digits", sized(status=b"HTTP/1.1 20 OK"), "4: 3DIGIT"),
    refused("a status of four digits", sized(status=b"HTTP/1.1 2000 OK"), "4: 3DIGIT"),
    refused("a status below 100", sized(status=b"HTTP/1.1 099 Odd"), "15 of RFC 9110"),
    refused("a status below 100 before another answer", head(status=b"HTTP/1.1 051 Odd") + sized(), "15 of RFC 9110"),
    refused("a status of zero", sized(status=b"HTTP/1.1 000 Odd"), "15 of RFC 9110"),
    refused("a status with a letter", sized(status=b"HTTP/1.1 20x OK"), "4: 3DIGIT"),
    refused("a status with a sign", sized(status=b"HTTP/1.1 +20 OK"), "4: 3DIGIT"),
    refused("a negative status", sized(status=b"HTTP/1.1 -20 OK"), "4: 3DIGIT"),
    refused("no status", sized(status=b"HTTP/1.1 OK"), "4"),
    refused("no status, but a blank", sized(status=b"HTTP/1.1 "), "4"),
    refused("HTTP/2.0", sized(status=b"HTTP/2.0 200 OK"), "2.3: another major version"),
    refused("HTTP/1.2", sized(status=b"HTTP/1.2 200 OK"), "2.3: nobody has it, and llhttp doesn't read it either"),
    refused("HTTP/0.9 with a status", sized(status=b"HTTP/0.9 200 OK"), "2.3"),
    refused("two digits before the point", sized(status=b"HTTP/11.1 200 OK"), "2.3: DIGIT"),
    refused("two digits after the point", sized(status=b"HTTP/1.01 200 OK"), "2.3: DIGIT"),
    refused("no version", sized(status=b"HTTP 200 OK"), "2.3"),
    refused("no point", sized(status=b"HTTP/1 200 OK"), "2.3"),
    refused("small letters", sized(status=b"http/1.1 200 OK"), "2.3: case-sensitive"),
    refused("a blank in the version", sized(status=b"HTTP/ 1.1 200 OK"), "2.3"),
    refused("a mark before it", b"\xef\xbb\xbf" + sized(), "4"),
    refused("an empty line before it", b"\r\n" + sized(), "2.2: only servers pass over one; it may follow an answer"),
    refused("a bare LF before it", b"\n" + sized(), "2.2"),
    refused("NUL before it", b"\0" + sized(), "4"),
    refused("NUL in the reason", sized(status=b"HTTP/1.1 200 O\0K"), "4"),
    refused("a control character in the reason", sized(status=b"HTTP/1.1 200 O\x01K"), "4"),
    refused("DEL in the reason", sized(status=b"HTTP/1.1 200 O\x7fK"), "4"),
    refused("a bare CR in the reason", sized(status=b"HTTP/1.1 200 O\rK"), "2.2"),
    refused("a bare CR that hides a field", sized(status=b"HTTP/1.1 200 OK\rContent-Length: 0"), "2.2"),
    refused("a bare LF after it", sized().replace(b"OK\r\n", b"OK\n"), "2.2: a client may, this one doesn't"),
    refused("HTTP/0.9", b"<html>ok</html>", "4: no status line", ends=True),
    refused("nothing", b"", "8: it ends before it begins", ends=True),
    refused("ICY", sized(status=b"ICY 200 OK"), "4: another protocol"),
    refused("RTSP", sized(status=b"RTSP/1.0 200 OK"), "4: another protocol, which llhttp reads"),
    refused("ICE", sized(status=b"ICE/1.0 200 OK"), "4: another protocol, which llhttp reads"),
    refused("a request", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok", "4"),
    refused("SSH", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "4"),
    refused("TLS", b"\x15\x03\x01\x00\x02\x02\x16" + b"\r\n\r\n", "4"),
    refused("HTTP/2", b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0\0\5\0\xff\xff\xff", "4", ends=True),
]

FIELDS = [
    taken("no field but the length", sized(), "5"),
    taken("a field without a value", sized(b"X:"), "5"),
    taken("blanks around a value", sized(b"X: \t a b \t "), "5: OWS"),
    taken("no blank before a value", sized(b"X:a"), "5: OWS"),
    taken("colons in a value", sized(b"X: a:b::c"), "5"),
    taken("8-bit text in a value", sized(b"X: d\xe9j\xe0"), "5.5 of RFC 9110: obs-text"),
    taken("a tab in a value", sized(b"X: a\tb"), "5.5 of RFC 9110"),
    taken("every character that a name has", sized(b"!#$%&'*+-.^_`|~09AZaz: x"), "5.6.2 of RFC 9110: tchar"),
    taken("a name in odd case", head(b"cOnTeNt-lEnGtH: 2") + b"ok", "5.1 of RFC 9110"),
    taken("the same name twice", sized(b"Set-Cookie: a=1", b"Set-Cookie: b=2"), "5.2 of RFC 9110"),
    taken("a value of 8 KiB", sized(b"X: " + b"x" * 8192), "2.3 of RFC 9110: at least that"),
    taken("90 fields", sized(*(b"X-%d: %d" % (n, n) for n in range(90))), "5.4 of RFC 9110"),
    refused("a folded value", sized(b"X: a", b" b"), "5.2: obs-fold"),
    refused("a value folded with a tab", sized(b"X: a", b"\tb"), "5.2: obs-fold"),
    refused("an empty fold", sized(b"X: a", b" "), "5.2: obs-fold"),
    refused("a fold before any field", sized(b" X: a"), "2.2"),
    refused("a folded coding", chunked(b"2\r\nok\r\n" + LAST).replace(b": chunked", b":\r\n chunked"), "5.2: obs-fold"),
    refused("a folded length", head(b"Content-Length:\r\n 2") + b"ok", "5.2: obs-fold"),
    refused("a blank before a colon", sized(b"X : a"), "5.1"),
    refused("a tab before a colon", sized(b"X\t: a"), "5.1"),
    refused("a blank before the length's colon", head(b"Content-Length : 2") + b"ok", "5.1"),
    refused("a blank before the coding's colon", head(b"Transfer-Encoding : chunked") + b"2\r\nok\r\n" + LAST, "5.1"),
    refused("no colon", sized(b"garbage"), "5"),
    refused("no name", sized(b": x"), "5"),
    refused("a blank in a name", sized(b"X Y: a"), "5.6.2 of RFC 9110"),
    refused("a bracket in a name", sized(b"X(a): b"), "5.6.2 of RFC 9110"),
    refused("an at sign in a name", sized(b"X@a: b"), "5.6.2 of RFC 9110"),
    refused("a slash in a name", sized(b"X/a: b"), "5.6.2 of RFC 9110"),
    refused("8-bit text in a name", sized(b"X\xe9: b"), "5.6.2 of RFC 9110"),
    refused("NUL in a name", sized(b"X\0: b"), "5.6.2 of RFC 9110"),
    refused("a control character in a name", sized(b"X\x01: b"), "5.6.2 of RFC 9110"),
    refused("NUL in a value", sized(b"X: a\0b"), "5.5 of RFC 9110"),
    refused("NUL as a value", sized(b"X: \0"), "5.5 of RFC 9110"),
    refused("a control character in a value", sized(b"X: a\x01b"), "5.5 of RFC 9110"),
    refused("a vertical tab before a value", sized(b"X:\x0ba"), "5.5 of RFC 9110"),
    refused("DEL in a value", sized(b"X: a\x7fb"), "5.5 of RFC 9110"),
    refused("a bare CR in a value", sized(b"X: a\rb"), "2.2"),
    refused("a bare CR at a value's end", sized(b"X: a\r"), "2.2"),
    refused("a bare CR that hides a field", sized(b"X: a\rTransfer-Encoding: chunked"), "2.2"),
    refused("a bare LF between fields", sized(b"X: a\nY: b"), "2.2: a client may, this one doesn't"),
    refused("a bare LF that hides a length", head(b"X: a\nContent-Length: 2") + b"ok", "2.2"),
    refused("LF before CR", sized(b"X: a\n\rY: b"), "2.2"),
    refused("bare LFs everywhere", sized().replace(b"\r\n", b"\n"), "2.2", ends=True),
    refused("a bare LF for the empty line", sized().replace(b"\r\n\r\n", b"\r\n\n"), "2.2", ends=True),
    refused("a bare CR for the empty line", sized().replace(b"\r\n\r\n", b"\r\n\r"), "2.2", ends=True),
    refused("10,000 fields", sized(*[b"X: a"] * 10_000), "5.4 of RFC 9110: a bound"),
    refused("a value of 300 KB", sized(b"X: " + b"x" * 300_000), "5.4 of RFC 9110: a bound"),
    refused("a name of 300 KB", sized(b"x" * 300_000 + b": a"), "5.4 of RFC 9110: a bound"),
    refused("a reason of 300 KB", sized(status=b"HTTP/1.1 200 " + b"x" * 300_000), "4: a bound"),
    refused("cut off in a name", b"HTTP/1.1 200 OK\r\nContent-Le", "8", ends=True),
    refused("cut off before the empty line", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "8", ends=True),
]


def _of_length(*values: bytes, body: bytes = b"ok") -> bytes:
    return head(*(b"Content-Length: " + value for value in values)) + body


LENGTHS = [
    taken("zero", _of_length(b"0", body=b""), "6.2", (200, b"")),
    taken("zeros before it", _of_length(b"002"), "6.2: 1*DIGIT"),
    taken("blanks around it", _of_length(b" \t2\t "), "5: OWS"),
    taken("twice the same", _of_length(b"2", b"2"), "8.6 of RFC 9110: may be taken as one"),
    taken("three times the same", _of_length(b"2", b"2", b"2"), "8.6 of RFC 9110"),
    taken("twice the same in one field", _of_length(b"2, 2"), "8.6 of RFC 9110"),
    refused("two", _of_length(b"2", b"3"), "6.3"),
    refused("two, the larger first", _of_length(b"3", b"2"), "6.3"),
    refused("two, one of them zero", _of_length(b"0", b"2"), "6.3"),
    refused("two apart", head(b"Content-Length: 2", b"X: a", b"content-length: 0") + b"ok", "6.3"),
    refused("two in one field", _of_length(b"2, 3"), "6.3"),
    refused("two in one field, without a blank", _of_length(b"2,3"), "6.3"),
    refused("a sign", _of_length(b"+2"), "6.2: 1*DIGIT"),
    refused("a negative one", _of_length(b"-2"), "6.2"),
    refused("minus nothing", _of_length(b"-0"), "6.2"),
    refused("none", _of_length(b""), "6.2"),
    refused("a comma", _of_length(b","), "6.2"),
    refused("a comma after it", _of_length(b"2,"), "6.2"),
    refused("a comma before it", _of_length(b",2"), "6.2"),
    refused("a blank in it", _of_length(b"2 2"), "6.2"),
    refused("hexadecimal", _of_length(b"0x2"), "6.2"),
    refused("a point", _of_length(b"2.0"), "6.2"),
    refused("an exponent", _of_length(b"2e0"), "6.2"),
    refused("an underscore", _of_length(b"0_2"), "6.2"),
    refused("a word", _of_length(b"two"), "6.2"),
    refused("quoted", _of_length(b'"2"'), "6.2"),
    refused("a semicolon", _of_length(b"2;a=b"), "6.2"),
    refused("a superscript", _of_length(b"\xb2"), "6.2: not every digit is a DIGIT"),
    refused("digits of another script", _of_length(b"\xef\xbc\x92"), "6.2"),
    refused("NUL after it", _of_length(b"2\0"), "5.5 of RFC 9110"),
    refused("above 64 bits", _of_length(b"18446744073709551618"), "6.2: more than anybody counts"),
    refused("100 digits", _of_length(b"9" * 100), "6.2"),
    refused("too long by one", _of_length(b"3"), "8: cut off", ends=True),
    refused("a body that never came", _of_length(b"2", body=b""), "8: cut off", ends=True),
]


def _coded(*codings: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return head(*(b"Transfer-Encoding: " + coding for coding in codings), status=status) + b"2\r\nok\r\n" + LAST


CODINGS = [
    taken("chunked", _coded(b"chunked"), "6.1"),
    taken("in capitals", _coded(b"CHUNKED"), "7: case-insensitive"),
    taken("blanks around it", _coded(b" \tchunked\t "), "5: OWS"),
    taken("a version above 1.0 and no length", _coded(b"chunked"), "6.1"),
    refused("with a length", _coded(b"chunked").replace(b"\r\nT", b"\r\nContent-Length: 2\r\nT"), "6.3: smuggling"),
    refused(
        "with a length after it",
        _coded(b"chunked").replace(b"ed\r\n", b"ed\r\nContent-Length: 12\r\n"),
        "6.3: smuggling",
    ),
    refused("with a length of zero", _coded(b"chunked").replace(b"\r\nT", b"\r\nContent-Length: 0\r\nT"), "6.3"),
    refused("chunked first", _coded(b"chunked, deflate"), "6.1: chunked is the last one"),
    refused("another one first", _coded(b"gzip, chunked"), "7: it was not asked for"),
    refused("another one in a field of its own", _coded(b"gzip", b"chunked"), "7: it was not asked for"),
    refused("another one after it", _coded(b"chunked", b"identity"), "6.1"),
    refused("another one", _coded(b"gzip"), "7: it was not asked for", ends=True),
    refused("identity", _coded(b"identity"), "7: it is gone since RFC 7230", ends=True),
    refused("identity first", _coded(b"identity, chunked"), "7"),
    refused("twice", _coded(b"chunked, chunked"), "6.1: once"),
    refused("twice, in two fields", _coded(b"chunked", b"chunked"), "6.1: once"),
    refused("with a parameter", _coded(b"chunked;q=1"), "7.1: chunked has none", ends=True),
    refused("a letter before it", _coded(b"xchunked"), "7", ends=True),
    refused("a letter after it", _coded(b"chunkedx"), "7", ends=True),
    refused("in quotes", _coded(b'"chunked"'), "7", ends=True),
    refused("a comma after it", _coded(b"chunked,"), "7: a list that one reader takes and another doesn't", ends=True),
    refused("a comma before it", _coded(b",chunked"), "7", ends=True),
    refused("a vertical tab before it", _coded(b"\x0bchunked"), "5.5 of RFC 9110"),
    refused("a bare CR before it", _coded(b"\rchunked"), "2.2"),
    refused("none", _coded(b""), "6.1", ends=True),
    refused("HTTP/1.0", _coded(b"chunked", status=b"HTTP/1.0 200 OK"), "6.1: HTTP/1.0 doesn't know it", ends=True),
]


def _chunk(text: bytes, after: bytes = LAST) -> bytes:
    return chunked(text + after)


CHUNKS = [
    taken("one", _chunk(b"2\r\nok\r\n"), "7.1"),
    taken("two", _chunk(b"1\r\no\r\n1\r\nk\r\n"), "7.1"),
    taken("none", _chunk(b""), "7.1", (200, b"")),
    taken("capitals in a size", _chunk(b"A\r\n0123456789\r\n"), "7.1: HEXDIG", (200, b"0123456789")),
    taken("small letters in a size", _chunk(b"a\r\n0123456789\r\n"), "7.1: HEXDIG", (200, b"0123456789")),
    taken("zeros before a size", _chunk(b"0002\r\nok\r\n"), "7.1: 1*HEXDIG"),
    taken("a last chunk of many zeros", _chunk(b"2\r\nok\r\n", b"0000\r\n\r\n"), '7.1: 1*"0"'),
    taken("an extension", _chunk(b"2;a=b\r\nok\r\n"), "7.1.1"),
    taken("an extension without a value", _chunk(b"2;a\r\nok\r\n"), "7.1.1"),
    taken("a quoted extension", _chunk(b'2;a="b c"\r\nok\r\n'), "7.1.1"),
    taken("an extension with a value and no name", _chunk(b"2;=b\r\nok\r\n"), "7.1.1 wants one; llhttp doesn't"),
    taken("an empty extension before another", _chunk(b"2;;a\r\nok\r\n"), "7.1.1 wants a name; llhttp doesn't"),
    taken("two extensions", _chunk(b"2;a=b;c=d\r\nok\r\n"), "7.1.1"),
    taken("an extension on the last chunk", _chunk(b"2\r\nok\r\n", b"0;a=b\r\n\r\n"), "7.1.1"),
    taken("a chunk that looks like an end", _chunk(b"5\r\n0\r\n\r\n\r\n"), "7.1", (200, b"0\r\n\r\n")),
    taken("a trailer", _chunk(b"2\r\nok\r\n", b"0\r\nX: a\r\n\r\n"), "7.1.2"),
    refused(
        "a trailer with a length",
        _chunk(b"2\r\nok\r\n", b"0\r\nContent-Length: 9\r\n\r\n"),
        "6.5.1 of RFC 9110: it mustn't be there, and llhttp doesn't read it",
    ),
    refused(
        "a trailer with a coding",
        _chunk(b"2\r\nok\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "6.5.1 of RFC 9110: it mustn't be there",
    ),
    refused(
        "a trailer with an empty coding",
        _chunk(b"2\r\nok\r\n", b"0\r\ntransfer-encoding:\r\nX: a\r\n\r\n"),
        "6.5.1 of RFC 9110: it mustn't be there, and llhttp doesn't read it",
    ),
    taken(
        "a coding in a second answer, which is no trailer",
        _chunk(b"2\r\nok\r\n", LAST + chunked(LAST)),
        "9.3: what follows is no answer of ours",
        kept=False,
    ),
    refused("no size", _chunk(b"\r\nok\r\n"), "7.1"),
    refused("no hexadecimal", _chunk(b"g\r\nok\r\n"), "7.1"),
    refused("hexadecimal as Python writes it", _chunk(b"0x2\r\nok\r\n"), "7.1"),
    refused("a sign", _chunk(b"+2\r\nok\r\n"), "7.1"),
    refused("a negative size", _chunk(b"-2\r\nok\r\n"), "7.1"),
    refused("an underscore", _chunk(b"0_2\r\nok\r\n"), "7.1"),
    refused("a blank before a size", _chunk(b" 2\r\nok\r\n"), "7.1"),
    refused("a blank after a size", _chunk(b"2 \r\nok\r\n"), "7.1: some read on, some don't"),
    refused("a tab after a size", _chunk(b"2\t\r\nok\r\n"), "7.1"),
    refused("a quote for a size", _chunk(b'"2"\r\nok\r\n'), "7.1"),
    refused("an equals sign for a semicolon", _chunk(b"2=a\r\nok\r\n"), "7.1"),
    refused("64 bits and more", _chunk(b"10000000000000002\r\nok\r\n"), "7.1: it must not overflow"),
    refused("1,000 digits", _chunk(b"f" * 1000 + b"\r\nok\r\n"), "7.1: it must not overflow"),
    refused("a bare LF after a size", _chunk(b"2\nok\r\n"), "7.1"),
    refused("a bare CR after a size", _chunk(b"2\rok\r\n"), "7.1"),
    refused("a bare LF after a chunk", _chunk(b"2\r\nok\n"), "7.1"),
    refused("nothing after a chunk", _chunk(b"2\r\nok"), "7.1"),
    refused("a chunk longer than it says", _chunk(b"2\r\nokay\r\n"), "7.1"),
    refused("a chunk shorter than it says", _chunk(b"4\r\nok\r\n", b"0\r\n\r\n"), "7.1", ends=True),
    refused("an extension without a name", _chunk(b"2;\r\nok\r\n"), "7.1.1"),
    refused("an extension with half a quote", _chunk(b'2;a="b\r\nok\r\n'), "7.1.1"),
    refused("a blank in an extension", _chunk(b"2; a=b\r\nok\r\n"), "7.1.1: bad, and llhttp doesn't read it"),
    refused("a bare LF in an extension", _chunk(b"2;a\nb\r\nok\r\n"), "7.1.1"),
    refused("a bare LF after an extension", _chunk(b"2;a=b\nok\r\n"), "7.1.1"),
    refused("a bare CR in an extension", _chunk(b"2;a\rb\r\nok\r\n"), "7.1.1"),
    refused("NUL in an extension", _chunk(b"2;a\0b\r\nok\r\n"), "7.1.1"),
    refused("an extension of 300 KB", _chunk(b"2;" + b"a" * 300_000 + b"\r\nok\r\n"), "7.1.1: a bound"),
    refused("extensions of 300 KB in all", _chunk(b"1;%b\r\na\r\n" % (b"a" * 3000) * 100), "7.1.1: a bound"),
    refused("a bare LF for the last line", _chunk(b"2\r\nok\r\n", b"0\r\n\n"), "7.1", ends=True),
    refused("a bare LF after the last size", _chunk(b"2\r\nok\r\n", b"0\n\r\n"), "7.1", ends=True),
    refused("no last line", _chunk(b"2\r\nok\r\n", b"0\r\n"), "8: cut off", ends=True),
    refused("no last chunk", _chunk(b"2\r\nok\r\n", b""), "8: cut off", ends=True),
    refused("cut off in a chunk", _chunk(b"2\r\no", b""), "8: cut off", ends=True),
    refused("a folded trailer", _chunk(b"2\r\nok\r\n", b"0\r\nX: a\r\n b\r\n\r\n"), "5.2: obs-fold"),
    refused("a trailer without a colon", _chunk(b"2\r\nok\r\n", b"0\r\ngarbage\r\n\r\n"), "5"),
    refused("an answer for a trailer", _chunk(b"2\r\nok\r\n", b"0\r\n" + STOLEN), "5: no field has such a name"),
    refused("a blank before a trailer's colon", _chunk(b"2\r\nok\r\n", b"0\r\nX : a\r\n\r\n"), "5.1"),
    refused("a bare LF after a trailer", _chunk(b"2\r\nok\r\n", b"0\r\nX: a\n\r\n"), "2.2", ends=True),
    refused("NUL in a trailer", _chunk(b"2\r\nok\r\n", b"0\r\nX: a\0b\r\n\r\n"), "5.5 of RFC 9110"),
    refused("10,000 trailers", _chunk(b"2\r\nok\r\n", b"0\r\n" + b"X: a\r\n" * 10_000 + b"\r\n"), "5.4 of RFC 9110"),
    refused(
        "a trailer of 300 KB", _chunk(b"2\r\nok\r\n", b"0\r\nX: " + b"a" * 300_000 + b"\r\n\r\n"), "5.4 of RFC 9110"
    ),
]

BODIES = [
    taken("to HEAD, with a length", head(b"Content-Length: 5000"), "6.3", (200, b""), method="HEAD"),
    taken("to HEAD, chunked", head(b"Transfer-Encoding: chunked"), "6.3", (200, b""), method="HEAD"),
    taken("to HEAD, with neither", head(), "6.3", (200, b""), method="HEAD"),
    taken("to HEAD, with a body", sized(), "6.3: that is no body", (200, b""), method="HEAD", kept=False),
    taken("204", head(status=b"HTTP/1.1 204 No Content"), "6.3", (204, b"")),
    taken("204 with a length", head(b"Content-Length: 0", status=b"HTTP/1.1 204 No"), "6.3", (204, b"")),
    taken("204 with a body", sized(status=b"HTTP/1.1 204 No"), "6.3: that is no body", (204, b""), kept=False),
    taken("204 that is chunked", head(b"Transfer-Encoding: chunked", status=b"HTTP/1.1 204 No"), "6.3", (204, b"")),
    taken("304", head(b"ETag: a", status=b"HTTP/1.1 304 Not Modified"), "6.3", (304, b"")),
    taken(
        "304 with the length of what isn't sent",
        head(b"Content-Length: 5000", status=b"HTTP/1.1 304 No"),
        "6.3",
        (304, b""),
    ),
    taken("304 with a body", sized(status=b"HTTP/1.1 304 No"), "6.3: that is no body", (304, b""), kept=False),
    taken("205 with a length", head(b"Content-Length: 0", status=b"HTTP/1.1 205 Reset"), "6.3", (205, b"")),
    taken("until the end", head() + b"ok", "6.3: neither a length nor a coding", kept=False, ends=True),
    taken("until the end, empty", head(), "6.3", (200, b""), kept=False, ends=True),
    taken("until the end, HTTP/1.0", head(status=b"HTTP/1.0 200 OK") + b"ok", "6.3", kept=False, ends=True),
    taken("until the end, kept alive", head(b"Connection: keep-alive") + b"ok", "6.3", kept=False, ends=True),
    taken("until the end, an answer in it", head() + STOLEN, "6.3", (200, STOLEN), kept=False, ends=True),
    taken("to a POST", sized(), "6.3", method="POST"),
    taken("a second answer after it", sized() + STOLEN, "9.2: nobody asked", kept=False),
    taken("garbage after it", sized() + b"garbage", "9.2", kept=False),
    taken("an empty line after it", sized() + b"\r\n", "9.2", kept=False),
    taken("one byte after it", sized() + b"\n", "9.2", kept=False),
    taken("a second answer after chunks", _chunk(b"2\r\nok\r\n") + STOLEN, "9.2", kept=False),
    taken("an empty line after chunks", _chunk(b"2\r\nok\r\n") + b"\r\n", "9.2", kept=False),
    taken("a second answer after 204", head(status=b"HTTP/1.1 204 No") + STOLEN, "9.2", (204, b""), kept=False),
]

INTERIM = [
    taken("100", b"HTTP/1.1 100 Continue\r\n\r\n" + sized(), "15.2 of RFC 9110"),
    taken("102 and 103", b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: </x>\r\n\r\n" + sized(), "15.2 of RFC 9110"),
    taken("one that nobody knows", b"HTTP/1.1 199 Odd\r\n\r\n" + sized(), "15.2 of RFC 9110"),
    taken("five", b"HTTP/1.1 103 E\r\n\r\n" * 5 + sized(), "15.2 of RFC 9110: a bound, as Go's"),
    taken("before chunks", b"HTTP/1.1 100 C\r\n\r\n" + _chunk(b"2\r\nok\r\n"), "15.2 of RFC 9110"),
    taken("before 204", b"HTTP/1.1 100 C\r\n\r\n" + head(status=b"HTTP/1.1 204 No"), "15.2 of RFC 9110", (204, b"")),
    taken(
        "one with a length",
        b"HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\n" + sized(),
        "6.3: it has no body all the same",
    ),
    taken(
        "one with a coding",
        b"HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\n" + sized(),
        "6.3: it has no body all the same",
    ),
    taken(
        "one that says close",
        b"HTTP/1.1 103 E\r\nConnection: close\r\n\r\n" + sized(),
        "9.6: it is about the final one",
        kept=None,
    ),
    refused("six", b"HTTP/1.1 103 E\r\n\r\n" * 6 + sized(), "15.2 of RFC 9110: a bound, as Go's"),
    refused("only one", b"HTTP/1.1 100 Continue\r\n\r\n", "8", ends=True),
    refused("one that is folded", b"HTTP/1.1 103 E\r\nX: a\r\n b\r\n\r\n" + sized(), "5.2: obs-fold"),
    refused("one with bare LFs", b"HTTP/1.1 100 C\n\n" + sized(), "2.2"),
    refused("one with bad framing", b"HTTP/1.1 103 E\r\nX : a\r\n\r\n" + sized(), "5.1"),
    refused("one of 300 KB", b"HTTP/1.1 103 E\r\nX: " + b"a" * 300_000 + b"\r\n\r\n" + sized(), "5.4 of RFC 9110"),
]

CONNECTIONS = [
    taken("keep-alive", sized(b"Connection: keep-alive"), "9.3"),
    taken("another option", sized(b"Connection: x"), "9.3"),
    taken("close", sized(b"Connection: close"), "9.6", kept=False),
    taken("close in capitals", sized(b"Connection: CLOSE"), "9.6", kept=False),
    taken("close among others", sized(b"Connection: keep-alive, Close, x"), "9.6", kept=False),
    taken("close in a second field", sized(b"Connection: x", b"Connection: close"), "9.6", kept=False),
    taken("close with chunks", chunked(b"2\r\nok\r\n" + LAST, b"Connection: close"), "9.6", kept=False),
    taken("a word that holds close", sized(b"Connection: closed"), "9.6: another option"),
    taken(
        "an upgrade on offer",
        sized(b"Connection: upgrade", b"Upgrade: h2c"),
        "7.8 of RFC 9110: it isn't made",
        kept=None,
    ),
    taken(
        "an upgrade on offer with chunks",
        chunked(b"2\r\nok\r\n" + LAST, b"Connection: upgrade", b"Upgrade: h2c"),
        "7.8 of RFC 9110: it isn't made",
        kept=None,
    ),
    taken(
        "an upgrade on offer with 204",
        head(b"Connection: upgrade", b"Upgrade: h2c", status=b"HTTP/1.1 204 No"),
        "7.8 of RFC 9110",
        (204, b""),
        kept=None,
    ),
    taken(
        "an upgrade asked for",
        sized(b"Connection: upgrade", b"Upgrade: h2c", status=b"HTTP/1.1 426 Upgrade"),
        "15.5.22 of RFC 9110",
        (426, b"ok"),
        kept=None,
    ),
    refused(
        "another protocol",
        head(b"Connection: upgrade", b"Upgrade: h2c", status=b"HTTP/1.1 101 Switching") + STOLEN,
        "15.2.2 of RFC 9110: nobody asked",
    ),
    refused("another protocol, without a name", head(status=b"HTTP/1.1 101 Switching") + STOLEN, "15.2.2 of RFC 9110"),
    taken("HTTP/1.0", sized(status=b"HTTP/1.0 200 OK"), "9.3", kept=False),
    taken("HTTP/1.0, close", sized(b"Connection: close", status=b"HTTP/1.0 200 OK"), "9.3", kept=False),
    taken(
        "HTTP/1.0, kept alive", sized(b"Connection: keep-alive", status=b"HTTP/1.0 200 OK"), "9.3: may be", kept=None
    ),
]

_GROUPS: dict[str, Sequence[Vector]] = {
    "the status line": STATUS_LINE,
    "a field": FIELDS,
    "a length": LENGTHS,
    "a coding": CODINGS,
    "a chunk": CHUNKS,
    "a body": BODIES,
    "an interim answer": INTERIM,
    "a connection": CONNECTIONS,
}

VECTORS: dict[str, Vector] = {
    f"{group}: {vector.name}": vector for group, vectors in _GROUPS.items() for vector in vectors
}
