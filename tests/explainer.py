"""Many calls of `qmailfork explain` for one start of Python: `explainer.py` reads a JSON list of their words.

Each runs in a process of its own, with its own descriptor 1, and what it wrote there is a string of the list that is
printed.
"""

import json
import os
import sys
import tempfile

from qmailfork.cli.explain import explain


def explained(argv: list[str]) -> str:
    with tempfile.TemporaryFile() as written:
        pid = os.fork()
        if pid == 0:
            os.dup2(written.fileno(), 1)
            try:
                explain(argv)
            except SystemExit:
                sys.stdout.flush()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        written.seek(0)
        return written.read().decode()


print(json.dumps([explained(argv) for argv in json.load(sys.stdin)]))
