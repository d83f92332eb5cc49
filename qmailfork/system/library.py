"""Libraries that only some sessions need, imported when one does."""

import sys

from qmailfork.conversation.settings import ControlFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def load(name: str) -> "ModuleType":
    """The module `name`, with site's help where it does not stand beside this package (a clone, an editable install).

    Raises ControlFault where it is not installed.
    """
    try:
        return __import__(name)
    except ImportError:
        import site  # noqa: PLC0415  # a session under tcpserver starts without it

        site.main()
    try:
        return __import__(name)
    except ImportError:
        raise ControlFault(f"{sys.executable}: the Python library {name} is not installed") from None
