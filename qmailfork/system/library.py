"""Libraries that only some sessions need, imported when one does."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def load(name: str) -> "ModuleType":
    """The module `name`, with site's help where it does not stand beside this package (a clone, an editable install).

    Raises ImportError.
    """
    try:
        return __import__(name)
    except ImportError:
        import site  # noqa: PLC0415  # a session under tcpserver starts without it

        site.main()
        return __import__(name)
