"""The start of a program, from one file with its compiled modules, beside those that Python keeps for each.

Finding, reading and checking thirty small files costs a session under tcpserver more than the session itself. The
bundle is marshalled: the place and the code of this module, which bin/qmailfork-smtpd runs, and all modules by their
names. The first run that may write to __pycache__ writes it. Each module in it, this one too, is used as long as its
source is the one that was compiled; whatever is not as expected is left to the import system, and the bundle written
anew.
"""

import gc
import posix
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType

    Stamp = tuple[int, int]
    Bundle = dict[str, tuple[str, bool, Stamp, CodeType]]  # name → source, is a package, its stamp, code


ME = "qmailfork.quickstart"  # which __name__ is not where the bundle's code is run
PROGRAMS = {"qmailfork-smtpd": "qmailfork.drivers.stdio", "qmailfork-queue": "qmailfork.drivers.embedded_queue"}


class Importer:
    """Finds and loads the modules of a bundle, for sys.meta_path; `stale` once one had to be left out."""

    def __init__(self, bundle: "Bundle") -> None:
        self._bundle = bundle
        self.stale = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The spec of a module whose source is still the one in the bundle, None for all else."""
        if not name.startswith("qmailfork"):
            return None
        source, package, seen, _ = self._bundle.get(name, ("", False, None, None))
        if seen is None or stamp(source) != seen:
            self.stale = True
            return None
        spec = ModuleSpec(name, self, origin=source, is_package=package)  # type: ignore[arg-type]  # is a loader
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [source.rpartition("/")[0]]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """The default module will do."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run the module's code."""
        exec(self._bundle[module.__name__][3], module.__dict__)


def stamp(source: str) -> "Stamp | None":
    """What tells one version of a `source` file from another; None where it is not there."""
    try:
        stat = posix.stat(source)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def run(program: str, bundle: "Bundle") -> None:
    """Be the `program`, with the modules of its `bundle`; empty where there is none. Does not return."""
    if program == "qmailfork":
        operate()
    importer = Importer(bundle)
    importer.find_spec(ME)  # is this module itself the one of its source?
    sys.meta_path.insert(0, importer)
    module = __import__(PROGRAMS[program], fromlist=["main"])
    if importer.stale:
        sys.meta_path.remove(importer)
        own = __import__(ME, fromlist=["renew"])  # from its source, where the bundle's own code was run
        directory = str(own.__file__).rpartition("/")[0]
        own.renew(f"{directory}/__pycache__/{program}.{sys.implementation.cache_tag}.bundle")
    gc.freeze()
    gc.enable()
    posix._exit(module.main())


def operate() -> None:
    """Be the operator's command, which needs its libraries. Does not return."""
    gc.enable()
    __import__("site").main()
    try:
        from qmailfork.cli import main  # noqa: PLC0415  # not for a session

        sys.exit(main.main())
    except ModuleNotFoundError as fault:
        sys.exit(f"qmailfork: {fault} for {sys.executable}: pip install qmailfork brings what it needs")


def renew(path: str) -> None:
    """Write the bundle at `path` anew, where that is allowed."""
    draft = f"{path}.{posix.getpid()}"
    try:
        # first of all, since compiling is dear: most servers run as a user who may not write here
        descriptor = posix.open(draft, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, 0o644)
    except OSError:
        return
    from qmailfork import bundles  # noqa: PLC0415  # once for each version of the sources

    bundles.write(descriptor, draft, path)
