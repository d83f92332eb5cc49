"""Streams of octets that a client may send: by a grammar of SMTP and of what comes close to it, and mutated."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Octets = SearchStrategy[bytes]


def joined(*parts: "Octets | bytes") -> Octets:
    """The parts, one after the other."""
    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(b"".join)


def mostly(usual: bytes, *others: bytes) -> Octets:
    """`usual` twelve times of thirteen: a stream has many such places, and should get far."""
    return st.integers(-12 * len(others), len(others) - 1).map(lambda at: usual if at < 0 else others[at])


def often(usual: Octets, *others: Octets) -> Octets:
    """`usual` five times of six."""
    return st.integers(-5 * len(others), len(others) - 1).flatmap(lambda at: usual if at < 0 else others[at])


def repeated(parts: Octets, most: int) -> Octets:
    return st.lists(parts, max_size=most).map(b"".join)


LINE_END = mostly(b"\r\n", b"\n", b"\r\n", b"\r\r\n", b"\r\n\r\n", b"\n\r\n", b" \r\n")
NOISE = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"\r", b"\n", b".", b"\0", b"\t", b" ", b"\r\n.\r\n", b"\n.\n", b"\r\n.\n", b'"', b"\\", b"<"]),
)
LENGTHS = st.sampled_from([0, 1, 10, 300, 875, *range(884, 904), 1021, 1024])
ENDLESS = st.sampled_from([16370, *range(16380, 16388), 40000])

# Addresses: RFC 5321's and what addrparse makes of others

ATOM = st.sampled_from([b"joe", b"a", b"spam", b"SPAM", b"31", b"0", b"o'x", b"\xe9\xff", b"", b"-", b"a.b", b"#x"])
QUOTED = repeated(
    st.sampled_from([b'"', b'"', b"\\", b'\\"', b"\\\\", b"\\>", b" ", b">", b"<", b"@", b"x", b"\t", b":", b"\r"]), 6
)
LONG = LENGTHS.map(lambda count: b"x" * count)
LOCAL = often(ATOM, QUOTED, QUOTED, LONG, joined(b'"', ATOM, b" ", ATOM, b'"'), joined(QUOTED, ATOM))
OCTET = st.sampled_from([b"0", b"1", b"127", b"203", b"255", b"256", b"257", b"383", b"001", b"1x", b"", b"-1"])
LITERAL = st.one_of(
    st.sampled_from([b"[127.0.0.1]", b"[127.0.0.1]", b"[0.0.0.0]", b"[127.0.0.257]", b"[127.0.0.1", b"[127.0.1]"]),
    st.sampled_from(
        [b"[127.0.0.1]x", b"[127.0.0.1.]", b"[127.000.0.01]", b"[::1]", b"[]", b"127.0.0.1", b"[+127.0.0.1]"]
    ),
    joined(b"[", OCTET, b".", OCTET, b".", OCTET, b".", OCTET, b"]"),
)
DOMAIN = st.one_of(
    st.sampled_from([b"joedomain.net", b"joedomain.net", b"JOEdomain.NET", b"a.sub.joedomain.net", b"example.net"]),
    st.sampled_from([b"bad.example", b"BAD.example", b"worse.example", b"x.worse.example", b"elsewhere.org"]),
    st.sampled_from([b"more.example", b"a.under.EXAMPLE", b"under.example", b"literal.example", b".sub.joedomain.net"]),
    st.sampled_from([b"", b".", b"joedomain.net.", b"xjoedomain.net", b"sub.joedomain.net", b"joedomain.net "]),
    LITERAL,
)
MAILBOX = often(
    joined(LOCAL, b"@", DOMAIN),
    joined(ATOM, b"@joedomain.net"),
    LOCAL,
    st.just(b""),
    joined(ATOM, b"@", ATOM, b"@", DOMAIN),
)
ROUTE = mostly(b"", b"@relay.example:", b"@a.example,@b.example:", b"@worse.example:", b"@bad.example", b"@", b":@")
PATH = joined(ROUTE, MAILBOX)
BRACKETED = often(
    joined(b"<", PATH, b">"),
    PATH,
    joined(b"<", PATH),
    joined(PATH, b" ", PATH),
    joined(b"<", PATH, b"><", PATH, b">"),
    joined(b"<<", PATH, b">>"),
    joined(b"x <", PATH, b">"),
)
PARAMETERS = st.one_of(
    st.just(b""), st.just(b""),
    st.sampled_from([b" BODY=8BITMIME", b" SIZE=5", b" size=99999", b" SIZE=40", b" SIZE=41", b" SIZE=", b" SIZE=1x"]),
    st.sampled_from([b" SIZE", b" X=SIZE=9999", b" SIZE=1 SIZE=9999", b"\tSIZE=9999", b"SIZE=9999", b" NOTIFY=NEVER"]),
    st.sampled_from([b" SIZE=" + b"9" * 20, b" SIZE=" + b"0" * 30, b" SIZE=-1", b" AUTH=<>"]),
)  # fmt: skip

# Commands


def cased(word: bytes) -> Octets:
    """The word in the usual case, or another."""
    return mostly(word, word.lower(), word.title(), word[:-1], word + b"X", word + b"\t", b" " + word)


def addressed(verb: bytes, preposition: bytes) -> Octets:
    colon = mostly(
        preposition + b":", preposition.lower() + b":", preposition, b"", preposition + b" : ", b":", b"x:y:"
    )
    return joined(cased(verb), mostly(b" ", b"  ", b"", b"\t"), colon, mostly(b"", b" ", b"\t"), BRACKETED, PARAMETERS)


MAIL, RCPT = addressed(b"MAIL", b"FROM"), addressed(b"RCPT", b"TO")
HELO = joined(
    st.one_of(cased(b"HELO"), cased(b"EHLO")),
    st.sampled_from(
        [b" foo", b" mx.example.net", b" MX.EXAMPLE.NET", b"", b" ", b"  a b", b" \xe9(\x07)", b" unknown"]
    ),
)
SIMPLE = st.one_of(*(cased(verb) for verb in (b"RSET", b"NOOP", b"VRFY", b"DATA", b"HELP")), cased(b"QUIT"))
OTHER = st.one_of(
    st.sampled_from(
        [b"", b" ", b"EXPN x", b"STARTTLS", b"AUTH PLAIN =", b"BDAT 5 LAST", b"\r", b"RCPT", b"MAIL", b"."]
    ),
    joined(SIMPLE, b" ", NOISE),
    NOISE,
    joined(b"NOOP ", ENDLESS.map(lambda count: b"x" * count)),
)
COMMAND = joined(st.one_of(MAIL, RCPT, RCPT, HELO, SIMPLE, OTHER), LINE_END)

# Messages

FIELD = st.sampled_from(
    [
        b"Subject: x",
        b"Received: by x",
        b"RECEIVED",
        b"rEcEiVeD:",
        b"Delivered-To: x",
        b"delivereD",
        b"Receive",
        b" Received: x",
    ]
)
FIELDS = st.tuples(FIELD, st.sampled_from([1] * 40 + [2, 49, 50, 51, 98, 99, 100, 101])).map(
    lambda f: (f[0] + b"\r\n") * f[1]
)
TEXT = st.one_of(
    st.sampled_from(
        [b"hello", b"", b"", b".", b"..", b".x", b"...", b". ", b"x.", b"\xff\0", b"Received: x", b"x" * 37]
    ),
    st.binary(max_size=12),
    LONG,
)
FILLER = st.sampled_from([0] * 30 + [4000, 4096, 65000]).flatmap(lambda most: st.integers(most - most // 20, most))
PADDING = FILLER.map(lambda count: b"y" * count)  # puts what follows where a read ends
BODY_LINE = joined(TEXT, mostly(b"\r\n", b"\r", b"\n", b"\r\r\n", b"\r\n\r\n", b"\r\n.\r", b"\r.\r\n", b"\r\n\r"))
HARMLESS_LINE = joined(
    st.sampled_from([b"hello", b"", b"", b".", b"..", b".x", b"...", b"x.", b"\xff\0", b"x" * 37, b".\r", b"a\rb"]),
    mostly(b"\r\n", b"\r\r\n", b"\r\n\r\n", b"\r\n\r", b".\r\n", b"\r\n.\r"),
)
MESSAGE = joined(
    repeated(FIELDS, 3),
    mostly(b"\r\n", b"", b"\r\r\n", b".\r\n"),
    PADDING,
    st.one_of(repeated(HARMLESS_LINE, 6), repeated(HARMLESS_LINE, 6), repeated(BODY_LINE, 4)),
    mostly(
        b"\r\n.\r\n", b".\r\n", b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r\n.\r", b"\r\n. \r\n", b"\r\n.\r\r\n.\r\n", b""
    ),
)

# Sessions

GOOD_MAIL = st.sampled_from(
    [
        b"MAIL FROM:<a@example.net>\r\n",
        b"MAIL FROM:<>\r\n",
        b"MAIL FROM:<53@x> SIZE=3\r\n",
        b"MAIL FROM:<Spam@bad.example>\r\n",
        b"MAIL FROM:<31@worse.example>\r\n",
        b"MAIL FROM:<0@[127.0.0.1]>\r\n",
    ]
)
GOOD_RCPT = st.sampled_from(
    [
        b"RCPT TO:<joe@joedomain.net>\r\n",
        b"rcpt to: <jim@a.sub.joedomain.net>\r\n",
        b"RCPT TO:<postmaster>\r\n",
        b"RCPT TO:<joe@[127.0.0.1]>\r\n",
        b"RCPT TO:<a@More.example>\r\n",
    ]
)
ANY_RCPT = st.one_of(GOOD_RCPT, joined(RCPT, LINE_END))
TRANSACTION = joined(
    st.one_of(GOOD_MAIL, joined(MAIL, LINE_END)),
    ANY_RCPT,
    repeated(often(ANY_RCPT, COMMAND), 3),
    mostly(b"DATA\r\n", b"data\n", b"DATA \r\n", b"DATA x\r\n"),
    MESSAGE,
)
SESSION = joined(
    st.one_of(st.just(b""), joined(HELO, LINE_END), joined(b"NOOP ", PADDING, LINE_END)),
    st.lists(often(TRANSACTION, COMMAND), min_size=1, max_size=5).map(b"".join),
    mostly(b"QUIT\r\n", b"", b"QUIT", b"QUIT\r\nNOOP\r\n"),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A session in which octets are lost, doubled, changed, brought in, or that breaks off."""
    stream = draw(SESSION)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(stream)))
        end = draw(st.integers(start, min(start + 20, len(stream))))
        piece = draw(
            st.one_of(st.just(b""), NOISE, st.just(stream[start:end] * 2), st.sampled_from([b"DATA\r\n", b"RSET\r\n"]))
        )
        stream = stream[:start] + piece + stream[end:]
    return stream[: draw(st.integers(0, len(stream)))] if draw(st.booleans()) else stream
