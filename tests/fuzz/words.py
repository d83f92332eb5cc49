"""What a client may say: lines of SMTP and of what comes close to it, mutated, and noise, from one random number."""

from base64 import b64encode
from collections.abc import Callable
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
SAID = (
    b"joe", b"secret", b"\0joe\0secret", b"joe\0joe\0secret", b"ann\0joe\0secret", b"joe\0secret", b"\0\0secret",
    b"\0joe\0", b"joe " + b"0" * 32, b"joe", b" ", b"\0", b"\xff", b"o'x\r\n250 ok", b"x" * 600,
    b"\0joe\0" + b"s" * 504, b"\0joe\0" + b"s" * 506,
)  # fmt: skip
TOKENS = (*map(b64encode, SAID), b"=", b"*", b"!!!", b"", b"\xff", b"AGpv\tZQBz", b"AGpv=ZQ", b"A" * 20000)
MECHANISMS = (b"PLAIN",) * 3 + (b"LOGIN",) * 3 + (b"CRAM-MD5",) * 3 + (b"plain", b"SCRAM-SHA-256", b"EXTERNAL", b"")
LOGINS = (
    (b"AUTH PLAIN AGpvZQBzZWNyZXQ=",), (b"AUTH PLAIN", b"AGpvZQBzZWNyZXQ="), (b"AUTH LOGIN", b"am9l", b"c2VjcmV0"),
    (b"AUTH LOGIN am9l", b"c2VjcmV0"), (b"AUTH CRAM-MD5", b64encode(b"joe " + b"0" * 32)),
)  # fmt: skip
COUNTS = (b"", b"x", b"-1", b"+1", b"0x1", b"1 2", b"99999999999999999999", b"5 FIRST", b"5 LAST LAST", b" 5", b"\0")
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
    for share, words in GROUPS:
        kind -= share
        if kind < 0:
            return words(chance)
    return commands(chance)


def commands(chance: Random) -> bytes:
    """Lines in any order."""
    return b"".join(command(chance) + chance.choice(ENDS) for _ in range(chance.randint(1, 4)))


def authentication(chance: Random) -> bytes:
    """AUTH, and what may be said to its challenges; a good one every third time."""
    if chance.random() < 0.35:
        return b"".join(line + b"\r\n" for line in chance.choice(LOGINS))
    first = b" ".join((b"AUTH", chance.choice(MECHANISMS), *[chance.choice(TOKENS)] * (chance.random() < 0.5)))
    answers = [chance.choice(TOKENS) for _ in range(chance.randint(0, 3))]
    return b"".join(line + chance.choice(ENDS) for line in (first, *answers))


def encryption(chance: Random) -> bytes:
    """STARTTLS, and what a client may not send behind it before the answer is there."""
    behind = (b"", b"", b"RSET\r\n", b"\x16\x03\x01\0\xff", b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<")
    return chance.choice((b"STARTTLS\r\n",) * 8 + (b"STARTTLS x\r\n", b"starttls\n")) + chance.choice(behind)


def chunks(chance: Random) -> bytes:
    """A message in chunks, for the most part as long as announced."""
    lines = list(TRANSACTION[:2]) if chance.random() < 0.8 else [chance.choice(TRANSACTION)]
    said = b"".join(line + b"\r\n" for line in lines)
    count = chance.choice((0, 1, 1, 2, 3, 6))
    return said + b"".join(chunk(chance, at == count) for at in range(count + 1)) + chance.choice((b"", b"RSET\r\n"))


def chunk(chance: Random, last: bool) -> bytes:
    """BDAT and its octets, which may begin anywhere in a message."""
    octets = body(chance)
    octets = octets[chance.randint(0, len(octets)) :] if chance.random() < 0.5 else octets
    number = b"%d" % (len(octets) if chance.random() < 0.9 else chance.randint(0, 80))
    announced = number if chance.random() < 0.95 else chance.choice(COUNTS)
    return b"BDAT " + announced + b" LAST" * (last and chance.random() < 0.9) + chance.choice(ENDS) + octets


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


GROUPS: tuple[tuple[float, Callable[[Random], bytes]], ...] = (
    (0.40, transaction), (0.13, chunks), (0.13, authentication), (0.07, encryption),
)  # fmt: skip


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
