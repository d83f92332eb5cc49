#!/usr/bin/env -S python3 -I -S
"""john-joe-checker in Python: defer (101) what john@foodomain.net sends to joe@joedomain.net, else 0.

Usage: REMOTEMF=SENDER REMOTERCPT=RECIPIENT john-joe-checker.py
"""

import os
import sys


def main():
    """Return the exit code that the environment calls for."""
    for name in ("REMOTEMF", "REMOTERCPT"):
        if name not in os.environ:
            print(f"No {name} var", file=sys.stderr)
            return 0
    # John@FooDomain.net is john, too: whoever wants to get past a policy writes another case.
    envelope = os.environ["REMOTEMF"].lower(), os.environ["REMOTERCPT"].lower()
    return 101 if envelope == ("john@foodomain.net", "joe@joedomain.net") else 0


if __name__ == "__main__":
    sys.exit(main())
