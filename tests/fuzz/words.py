"""What a client may say: lines of SMTP and of what comes close to it, mutated, and noise, from one random number."""

from random import Random

VERBS = (
    b"HELO", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP", b"VRFY", b"HELP", b"QUIT", b"AUTH", b"STARTTLS",
    b"BDAT",
    b"EXPN", b"TURN", b"ETRN", b"XCLIENT", b"XFORWARD", b"BURL", b"PROXY", b"SEND", b"LHLO", b"", b"\xff",
)  # fmt: skip
LOCALS = (
    b"joe",
    b"ann",
    b"a.b",
    b"",
    b'"a b"',
    b'"\\""',
    b"\\@",
    b"x" * 900,
    b"\xc3\xa9",
    b"\xff",
    b"'; rm",
    b"%",
    b"a+b",
    b"@",
)
DOMAINS = (
    b"joedomain.net", b"JOEDOMAIN.NET", b"a.sub.joedomain.net", b"example.net", b"bad.example", b"[203.0.113.7]",
    b"[192.0.2.1]",
    b"[IPv6:::1]", b"[999.1.1.1]", b"", b".", b"..", b"x" * 300, b"b\xc3\xbccher.example", b"xn--bcher-kva.example",
    b"a b", b"[",
)  # fmt: skip
PARAMETERS = (
    b" SIZE=5", b" SIZE=999999", b" SIZE=x", b" BODY=8BITMIME", b" BODY=BINARYMIME", b" SMTPUTF8", b" RET=HDRS",
    b" ENVID=a+2Bb",
    b" NOTIFY=NEVER", b" NOTIFY=SUCCESS,FAILURE", b" ORCPT=rfc822;a@b", b" AUTH=<>", b" AUTH=a+3D", b" REQUIRETLS",
    b" =", b" X=Y=Z",
    b" HOLDFOR=9", b" \x7f=1", b" SIZE", b" MT-PRIORITY=3",
)  # fmt: skip
TOKENS = (b"AGEAYg==", b"AGpvZQBzZWNyZXQ=", b"=", b"*", b"!!!", b"dXNlcg==", b"A" * 600, b"", b"\xff")
BODY = (
    b"Subject: x", b"Received: x", b"Delivered-To: x", b"", b"", b".", b"..", b".x", b"text", b"x" * 70,
    b"x" * 1100, b".\r", b"\r",
    b"a\rb", b"\0", b"\xff" * 9, b"From: <a@b>", b" folded", b"MAIL FROM:<evil@example.net>", b"DATA", b"RSET", b"QUIT",
)  # fmt: skip
ENDS = (b"\r\n",) * 30 + (b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n", b"\0\r\n", b"")
NOISE = (
    b"\r",
    b"\n",
    b"\r\n",
    b".",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r.\r",
    b"\0",
    b"\xff",
    b" ",
    b"\t",
    b"<",
    b">",
    b'"',
    b"\\",
    b":",
    b"=",
)
TRANSACTION = (b"MAIL FROM:<a@example.net>", b"RCPT TO:<joe@joedomain.net>", b"DATA")


def stream(chance: Random) -> bytes:
    """One client's octets."""
    kind = chance.random()
    if kind < 0.04:
        return noise(chance)
    said = bytearray()
    for _ in range(chance.randint(1, 6)):
        said += group(chance)
    return mutated(bytes(said), chance) if kind < 0.5 else bytes(said)


def group(chance: Random) -> bytes:
    """A few lines that belong together."""
    kind = chance.random()
    if kind < 0.45:
        return transaction(chance)
    if kind < 0.55:
        return b"BDAT %d%b\r\n%b" % (chance.randint(0, 80), chance.choice((b"", b" LAST")), body(chance))
    if kind < 0.65:
        lines = [chance.choice(TOKENS) for _ in range(chance.randint(0, 3))]
        mechanism = chance.choice((b"PLAIN", b"LOGIN", b"CRAM-MD5", b"SCRAM-SHA-256", b"EXTERNAL", b""))
        return b"".join(line + b"\r\n" for line in (b"AUTH " + mechanism + b" " + chance.choice(TOKENS), *lines))
    if kind < 0.7:
        return chance.choice(
            (b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 25\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12))
        )
    return b"".join(command(chance) + chance.choice(ENDS) for _ in range(chance.randint(1, 4)))


def command(chance: Random) -> bytes:
    """A command line without its end."""
    verb = chance.choice(VERBS)
    if verb in (b"MAIL", b"RCPT"):
        return (
            verb
            + chance.choice((b" ", b"", b"\t", b"  "))
            + chance.choice((b"FROM:", b"TO:", b":", b"", b"to: "))
            + path(chance)
        )
    words = (b"", b" foo", b" mx.example.net", b" [203.0.113.7]", b" \xff\x07", b" " + b"x" * 2000, b" a b", b"  ")
    return (verb.lower() if chance.random() < 0.2 else verb) + chance.choice(words)


def path(chance: Random) -> bytes:
    """An address with its brackets and parameters, or what is left of them."""
    address = chance.choice(LOCALS) + chance.choice((b"@", b"@", b"@", b"@", b"", b"@@")) + chance.choice(DOMAINS)
    route = chance.choice((b"",) * 9 + (b"@a.example:", b"@a,@b:", b"@x"))
    frame = chance.choice((b"<%b>",) * 9 + (b"%b", b"<%b", b"<<%b>>", b"%b>", b"x <%b>"))
    return frame % (route + address) + b"".join(
        chance.choice(PARAMETERS) for _ in range(chance.choice((0, 0, 0, 1, 2)))
    )


def transaction(chance: Random) -> bytes:
    """A message as it should be, for the most part."""
    lines = [chance.choice(TRANSACTION) if chance.random() < 0.05 else line for line in TRANSACTION]
    lines[2:2] = [b"RCPT TO:" + path(chance) for _ in range(chance.choice((0, 0, 1, 2)))]
    if chance.random() < 0.3:
        lines[0] = b"MAIL FROM:" + path(chance)
    return (
        b"".join(line + b"\r\n" for line in lines)
        + body(chance)
        + chance.choice((b".\r\n",) * 9 + (b".\n", b"\n.\n", b".\r", b""))
    )


def body(chance: Random) -> bytes:
    """Lines of a message."""
    lines = [chance.choice(BODY) for _ in range(chance.choice((0, 1, 2, 3, 6, 6, 12)))]
    if chance.random() < 0.03:
        lines += [b"Received: x"] * chance.randint(95, 105)
    if chance.random() < 0.02:
        lines.append(b"y" * chance.randint(65000, 70000))
    clean = chance.random() < 0.7
    return b"".join(line.replace(b"\r", b"") + b"\r\n" if clean else line + chance.choice(ENDS) for line in lines)


def noise(chance: Random) -> bytes:
    """Anything."""
    return b"".join(
        chance.choice(NOISE) if chance.random() < 0.5 else chance.randbytes(chance.randint(1, 9))
        for _ in range(chance.randint(0, 40))
    )


def mutated(said: bytes, chance: Random) -> bytes:
    """The same with octets lost, doubled, brought in, or broken off."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(said))
        end = min(start + chance.choice((0, 0, 1, 2, 20)), len(said))
        said = said[:start] + chance.choice((b"", chance.choice(NOISE), said[start:end] * 2)) + said[end:]
    return said[: chance.randint(0, len(said))] if chance.random() < 0.2 else said


def cut(said: bytes, chance: Random) -> list[bytes]:
    """The same in pieces, as they may arrive."""
    if len(said) < 400 and chance.random() < 0.1:
        return [said[at : at + 1] for at in range(len(said))]
    places = sorted(chance.randint(0, len(said)) for _ in range(chance.choice((1, 2, 5, 30))))
    return [said[start:end] for start, end in zip([0, *places], [*places, len(said)], strict=True) if start < end]
