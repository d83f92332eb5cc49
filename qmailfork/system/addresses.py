"""This host's own addresses (qmail's ipme)."""


def is_mine(ip: bytes) -> bool:
    """True for 0.0.0.0 and every IPv4 address of an interface of this host; `ip` in decimal form."""
    import ifaddr  # noqa: PLC0415  # only an address literal asks

    own = {address.ip for adapter in ifaddr.get_adapters() for address in adapter.ips if address.is_IPv4}
    return ip == b"0.0.0.0" or ip.decode() in own
