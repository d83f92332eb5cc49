"""Sessions of every kind leave no descriptor, no process and no memory behind."""

import pytest

from tests.faults.leaks import watch
from tests.support import QmailHome


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_nothing_is_left(loop: str, home: QmailHome) -> None:
    first, *others = watch(home, loop, 1200, 3, print)
    assert {held.descriptors for held in others} == {first.descriptors}
    assert others[-1].resident - first.resident < 2048
