"""The sites (control files, environment, queue) in which streams are tried."""

import re
from dataclasses import dataclass, field

from tests.support import QmailHome

NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Site:
    """What a site has beside QmailHome's own settings."""

    name: str
    control: dict[str, str | None] = field(default_factory=dict)
    env: dict[str, str | None] = field(default_factory=dict)
    domains: tuple[str, ...] = ()
    queue: str = "queue"

    def set_up(self, home: QmailHome) -> dict[str, str]:
        """Makes `home` this site; returns a session's environment."""
        for file in (home.path / "control").iterdir():
            file.unlink()
        home.control(**{**PLAIN, **self.control})
        if self.domains:
            home.more_rcpthosts(self.domains)
        home.queue(self.queue)
        return home.environment(**self.env)

    @property
    def by_rules(self) -> bool:
        """Whether rules can say what it has in the environment: they cannot take a variable away."""
        return None not in self.env.values()

    @property
    def wrappable(self) -> bool:
        """Whether its name can stand in an address, as WRAPPING wants it."""
        return self.name != "odd"

    @property
    def databytes(self) -> int:
        """The limit on messages, 0 for none."""
        text = self.env.get("DATABYTES", self.control.get("databytes")) or ""
        digits = NUMBER.match(text)
        return int(digits[0]) if digits else 0


PLAIN: dict[str, str | None] = {
    "me": "mail.joedomain.net\n",
    "rcpthosts": "joedomain.net\n# comment\n.sub.joedomain.net\nliteral.example\n",
    "badmailfrom": "spam@bad.example\n@worse.example\n",
}
SITES = {
    site.name: site
    for site in (
        Site("plain"),
        Site("named", {"smtpgreeting": "mx here \n"}, {"TCPREMOTEHOST": "mx.example.net", "TCPREMOTEINFO": "o'id"}),
        Site("literal", {"localiphost": "literal.example\n"}),
        Site("anonymous", {"me": None, "smtpgreeting": "x"}, {"TCPREMOTEIP": None, "TCPLOCALHOST": None}),
        Site("relay", env={"RELAYCLIENT": ""}),
        Site("suffix", env={"RELAYCLIENT": "@fix.me"}),
        Site("open", {"rcpthosts": None}),
        Site("closed", {"rcpthosts": ""}),
        Site("more", domains=("more.example", ".under.example")),
        Site("small", {"databytes": "40\n"}),
        Site("smaller", {"databytes": "40\n"}, {"DATABYTES": "3"}),
        Site("codes", queue="queue-told"),
        Site("crash", queue="queue-crash"),
        Site(
            "odd",
            {
                "me": "a b\tc\r\nsecond",
                "rcpthosts": " joedomain.net\n#x\n\n.\n@\nEXAMPLE.net\r\nJOEdomain.NET \t\n.sub.joedomain.net",
                "badmailfrom": "@\nspam\n Spam@bad.example\n#\n@Worse.Example \n-@joedomain.net\n0@a b\tc\r",
            },
            {"TCPREMOTEHOST": "MX.(example) ", "TCPREMOTEIP": "::1", "TCPLOCALHOST": "\xe9 'x'", "DATABYTES": " 5"},
        ),
        Site("silent", {"me": "", "rcpthosts": "# nobody", "badmailfrom": ""}, {"DATABYTES": "50 octets"}),
    )
}
