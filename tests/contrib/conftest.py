"""Fixtures for the tests of the checkers that ask the DNS.

A module says PROGRAM, the checker's name, ZONE, what the name server knows, and CLIENT, the environment.
"""

import pytest

from tests.checkerforms import preloaded
from tests.nameserver import serving


@pytest.fixture(scope="module")
def nameserver(request):
    with serving(request.module.ZONE) as server:
        yield server


@pytest.fixture
def client(request, nameserver):
    """Return a function that gives the environment of a client, with more variables."""
    return lambda **more: {"XF_NAMESERVER": nameserver.address, **request.module.CLIENT, **more}


@pytest.fixture(scope="module")
def warm(request):
    with preloaded(request.module.PROGRAM) as checker:
        yield checker


@pytest.fixture
def run(warm):
    """Return a function that runs the checker, imported once and forked, which is the fastest of its forms."""

    def of(environment):
        done = warm.run(environment)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        return done

    return of
