"""This host's own addresses (qmail's ipme)."""

from qmailfork.system import library


def is_mine(ip: bytes) -> bool:
    """True for 0.0.0.0 and every IPv4 address of an interface of this host; `ip` in decimal form."""
    adapters = library.load("ifaddr").get_adapters()  # only an address literal asks
    own = {address.ip for adapter in adapters for address in adapter.ips if address.is_IPv4}
    return ip == b"0.0.0.0" or ip.decode() in own
