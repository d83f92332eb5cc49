"""The zones that the tests of dnsbl and xf-spf ask about."""

GHOST = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"  # 2001:db8::2
SIX = "0." * 20 + "f.f.f.f."  # ::ffff:0:0/96

LISTS = {
    # a list of addresses with its test points, that lists 192.0.2.66 (twice) and 2001:db8::2
    "2.0.0.127.bl.test": [("A", "127.0.0.2")],
    f"2.0.0.0.0.0.f.7.{SIX.replace('f.f.f.f.', '')}": [],
    "66.2.0.192.bl.test": [("A", "127.0.0.2"), ("A", "127.0.0.10"), ("TXT", b"spam seen, see https://bl.test/?ip")],
    f"{GHOST}.bl.test": [("A", "127.0.0.3"), ("TXT", b"six")],
    "66.2.0.192.other.test": [("A", "127.0.1.5")],
    "66.2.0.192.white.test": [("A", "127.0.5.2")],
    "66.2.0.192.mute.test": [("SILENT", None)],
    "66.2.0.192.broken.test": [("SERVFAIL", None)],
    "66.2.0.192.nasty.test": [("A", "127.0.0.2"), ("TXT", b"no\r\n250 ok\xff\x1b[2J")],
    "66.2.0.192.wordy.test": [("A", "127.0.0.2"), *(("TXT", b"%d " % n + b"w" * 240) for n in range(9))],
    "66.2.0.192.cname.test": [("CNAME", "66.2.0.192.elsewhere.test"), ("A", "127.0.0.2")],
    "*.gone.test": [("A", "198.51.100.1")],
    "*.quota.test": [("A", "127.255.255.254"), ("TXT", b"query refused")],
    "*.half.test": [("A", "127.0.0.2"), ("A", "203.0.113.9")],
    # lists of domains
    "test.rhs.test": [("A", "127.0.1.2")],
    "bad.example.rhs.test": [("A", "127.0.1.2"), ("TXT", b"bad domain")],
    "xn--bcher-kva.example.rhs.test": [("A", "127.0.1.2")],
    # faults that --check finds
    "*.all.test": [("A", "127.0.0.2")],
    "2.0.0.127.six.test": [("A", "127.0.0.2")],
    "2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20 + "six.test": [("A", "127.0.0.2")],
    "2.0.0.127.badsix.test": [("A", "127.0.0.2")],
    "1.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20 + "badsix.test": [("A", "127.0.0.2")],
}

SPF = {
    "pass.test": [("TXT", b"v=spf1 ip4:192.0.2.1 ip6:2001:db8::/32 -all")],
    "fail.test": [("TXT", b"v=spf1 -all")],
    "explains.test": [("TXT", b"v=spf1 -all exp=why.explains.test")],
    "why.explains.test": [("TXT", b"%{i} is not ours; %{s} knows")],
    "evil.test": [("TXT", b"v=spf1 -all exp=why.evil.test")],
    "why.evil.test": [("TXT", b"no\r\n250 ok\x1b[2J")],
    "long.test": [("TXT", b"v=spf1 -all exp=why.long.test")],
    "why.long.test": [("TXT", [b"y" * 255] * 4)],
    "softfail.test": [("TXT", b"v=spf1 ~all")],
    "neutral.test": [("TXT", b"v=spf1 ?all")],
    "none.test": [("A", "192.0.2.1"), ("MX", (10, "mx.none.test"))],
    "mx.none.test": [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")],
    "broken.test": [("TXT", b"v=spf1 nonsense -all")],
    "servfail.test": [("SERVFAIL", None)],
    "mute.test": [("SILENT", None)],
    "void.test": [("TXT", b"v=spf1 a:v1.test a:v2.test a:v3.test ip4:192.0.2.1 -all")],
    "cname.test": [("CNAME", "pass.test")],
    "xn--bcher-kva.test": [("TXT", b"v=spf1 ip4:192.0.2.1 -all")],
    "odd.test": [("TXT", b"v=spf1 exists:%{l}.l.odd.test -all")],
    "*.l.odd.test": [("A", "127.0.0.2")],
    "size.test": [
        ("TXT", [b"v=spf1 " + b"ip4:198.51.100.1 " * 14, *[b"ip4:198.51.100.1 " * 15] * 5, b"ip4:192.0.2.1 -all"])
    ],
    "big.test": [("TXT", b"v=spf1 " + b"a:big.test " * 11 + b"-all")],
    "forwarders.test": [("TXT", b"v=spf1 ip4:192.0.2.9 -all")],
    "helo.test": [("TXT", b"v=spf1 a -all"), ("A", "192.0.2.1"), ("AAAA", "2001:db8::1")],
}
