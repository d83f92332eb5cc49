"""What any session may come to need, loaded before the first one.

A session under tcpserver loads it when it needs it, which spares the others the time. A worker lives for months: by
then it may have no descriptor left to read a file with, or another version of this package may stand in its place.
"""

import contextlib
import importlib

from qmailfork.conversation.settings import ControlFault

MODULES = {
    "conversation": ("authentication", "chunking", "encryption", "extensions", "mailboxes", "relay", "relaylogin",
                     "relaytls", "screening"),
    "programs": ("decision", "jsonlines", "output", "policy", "preload", "rcptcheck", "spp"),
    "smtp": ("header",),
    "system": ("addresses", "authentication", "cdb", "certificates", "hosts", "lists", "switches"),
    "drivers.worker": ("idle", "meter", "proxied", "secure", "ucspi"),
}  # fmt: skip
OPTIONAL = ("cdblib", "qmailfork.drivers.worker.visit")  # their libraries are for those who use them


def load() -> None:
    """Load all of it; later imports find it."""
    for package, names in MODULES.items():
        for name in names:
            importlib.import_module(f"qmailfork.{package}.{name}")
    for name in OPTIONAL:
        with contextlib.suppress(ImportError, ControlFault):
            importlib.import_module(name)
