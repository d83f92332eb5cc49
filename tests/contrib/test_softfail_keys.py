"""softfail's keys: senders without their changing part, and the list entries that apply."""

from __future__ import annotations

import pytest
from xfgreylist import keys
from xfgreylist.senders import steady

STEADY = {
    "joe": "joe",
    "mary-jane": "mary-jane",
    "john.smith1984": "john.smith1984",
    "12345": "12345",
    "facade": "facade",
    "prvs=0123abcdef=joe": "joe",
    "msprvs1=17437knm3=bounces-1-2": "bounces-#-#",
    "btv1==aabb==joe": "joe",
    "srs0=hhh=tt=x.org=joe": "srs0=x.org=joe",
    "srs0+hhh=tt=x.org=joe": "srs0=x.org=joe",
    "srs1=hhh=y.org==hhh=tt=x.org=joe": "srs1=y.org=x.org=joe",
    "prvs=1=list-return-12-bob=x.org": "list-return-#",
    "list-return-123-user=x.org": "list-return-#",
    "list-bounces+user=x.org": "list-bounces",
    "owner-list": "owner-list",
    "bounce-1234-5678": "bounce-#-#",
    "0100018ab3cd12ef-1b2c3d4e-1111-2222-3333-0123456789ab-000000": "#-#-#",
    "=": "=",
    "prvs=": "prvs=",
    "srs0=x": "srs0=x",
    "srs1=x=y=z": "srs1=x=y=z",
    "": "",
}


@pytest.mark.parametrize("local", STEADY)
def test_the_changing_part_goes(local: str) -> None:
    assert steady(local) == STEADY[local]


def test_entries_come_from_the_narrow_to_the_wide() -> None:
    found = keys.candidates("192.0.2.1", "a@b.x.org", "c@y.org")
    assert found[:4] == ["recipient:c@y.org", "recipient:@y.org", "recipient:@org", "sender:a@b.x.org"]
    assert found[4:6] == ["client:192.0.2.1/32", "client:192.0.2.0/31"]
    assert found[-4:] == ["client:192.0.0.0/8", "domain:b.x.org", "domain:x.org", "domain:org"]
