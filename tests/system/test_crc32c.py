"""CRC32C by the examples of RFC 3720 appendix B.4, which writes the checksum's lowest octet first."""

import pytest

from qmailfork.system.crc32c import crc32c

READ = "01c00000" + "00" * 12 + "140000000000040000000014000000182800000000000000" + "0200000000000000"


@pytest.mark.parametrize(
    ("octets", "checksum"),
    [
        (b"", "00000000"),
        (b"123456789", "839206e3"),
        (bytes(32), "aa36918a"),
        (b"\xff" * 32, "43aba862"),
        (bytes(range(32)), "4e79dd46"),
        (bytes(range(31, -1, -1)), "5cdb3f11"),
        (bytes.fromhex(READ), "563a96d9"),
    ],
)
def test_examples(octets: bytes, checksum: str) -> None:
    assert crc32c(octets).to_bytes(4, "little").hex() == checksum
