"""The names of a connection, as tcpserver looks them up before the rules are asked."""

import asyncio

from qmailfork.drivers.worker.options import Options
from qmailfork.system import lookups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dns.name import Name

    from qmailfork.drivers.worker.tcp import Guest


async def names(guest: "Guest", options: Options, own: dict[bytes, bytes | None]) -> None:
    """Fill in what DNS and ident know of `guest`, and our own name; `own` remembers that for each address."""
    name, ip, port = guest.local
    client, remote = guest.client, guest.client.ip.decode()
    if name is None:
        if ip not in own:
            own[ip] = _spelt(await lookups.name_of(ip.decode()))
        guest.local = own[ip], ip, port
    seconds = 0.0 if client.proxied else options.ident_seconds  # it has no connection with us to tell of
    client.host, client.info = await asyncio.gather(
        _host(remote, options), _user((ip.decode(), port), (remote, client.port), seconds)
    )


async def _host(ip: str, options: Options) -> bytes | None:
    if not options.look_up_host:
        return None
    name = await lookups.name_of(ip)
    if name is not None and options.paranoid and not await lookups.has_address(name, ip):
        return None
    return _spelt(name)


def _spelt(name: "Name | None") -> bytes | None:
    return lookups.spelt(name) if name is not None else None


async def _user(local: tuple[str, int], remote: tuple[str, int], seconds: float) -> bytes | None:
    return await lookups.user_of(local, remote, seconds) if seconds else None
