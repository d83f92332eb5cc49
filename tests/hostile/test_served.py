"""A few of each kind of attacker: whoever is honest is served meanwhile, and no worker fills up."""

import pytest

from tests.hostile.attacks import ATTACKS
from tests.hostile.served import served
from tests.support import QmailHome


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_served(name: str, home: QmailHome) -> None:
    calm = served("", home, 1, 1, 1.0)
    came_of_it = served(name, home, 1, 5, 0.05)
    assert len(home.messages()) >= 6
    assert came_of_it.memory - calm.memory < 40_000
