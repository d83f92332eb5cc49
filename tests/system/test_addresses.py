"""This host's own addresses (system/addresses.py)."""

import pytest

from qmailfork.system import addresses


@pytest.mark.parametrize("ip", [b"127.0.0.1", b"0.0.0.0"])
def test_mine(ip: bytes) -> None:
    assert addresses.is_mine(ip)


@pytest.mark.parametrize("ip", [b"192.0.2.77", b"255.255.255.255", b""])
def test_not_mine(ip: bytes) -> None:
    assert not addresses.is_mine(ip)
