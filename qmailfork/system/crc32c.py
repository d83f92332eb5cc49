"""CRC32C, Castagnoli's checksum (RFC 3720 section 12.1; RFC 4960 appendix B).

For headers of some hundred octets a table will do; the libraries are in C, to be compiled where there is no wheel.
"""

_POLYNOMIAL = 0x82F63B78  # its bits reversed


def _shifted(number: int) -> int:
    for _ in range(8):
        number = number >> 1 ^ (_POLYNOMIAL if number & 1 else 0)
    return number


_TABLE = tuple(_shifted(number) for number in range(256))


def crc32c(octets: bytes) -> int:
    """The checksum of `octets`."""
    rest = 0xFFFFFFFF
    for octet in octets:
        rest = _TABLE[(rest ^ octet) & 0xFF] ^ rest >> 8
    return rest ^ 0xFFFFFFFF
