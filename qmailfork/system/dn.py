"""The names in a client's certificate, as sslserver(1) tells them."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHORT = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
    "emailAddress": "Email",
}


def subject(certificate: "Mapping[str, object]") -> dict[bytes, bytes]:
    """SSL_CLIENT_S_DN and its parts, SSL_CLIENT_I_DN and the serial number, of a certificate as ssl shows it."""
    parts = list(_pairs(certificate.get("subject")))
    found = {
        b"SSL_CLIENT_S_DN": _line(parts),
        b"SSL_CLIENT_I_DN": _line(list(_pairs(certificate.get("issuer")))),
        b"SSL_CLIENT_M_SERIAL": _octets(str(certificate.get("serialNumber", ""))),
    }
    for name, value in parts:
        found[b"SSL_CLIENT_S_DN_" + _SHORT.get(name, name).encode()] = _octets(value)
    return found


def _pairs(names: object) -> "Iterator[tuple[str, str]]":
    for relative in names if isinstance(names, tuple) else ():
        yield from relative


def _line(parts: list[tuple[str, str]]) -> bytes:
    return b"".join(b"/%b=%b" % (_SHORT.get(name, name).encode(), _octets(value)) for name, value in parts)


def _octets(value: str) -> bytes:
    """`value` fit for a variable: it may hold anything that the client's authority signed."""
    return value.replace("\0", "?").encode("utf-8", "replace")
