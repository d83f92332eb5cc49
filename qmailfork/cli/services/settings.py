"""The env-dir, and the rules with their Makefile."""

from qmailfork.cli.services.plan import WARM, Plan
from qmailfork.cli.services.values import filled

File = tuple[str, bool]  # text, and whether it is a program

MAKEFILE = """\
# make: compiles tcp.smtp; connections see the new rules at once. make check: what is wrong; make show: what IP= gets.
IP = 127.0.0.1

tcp.smtp.cdb: tcp.smtp
\ttcprules tcp.smtp.cdb tcp.smtp.tmp < tcp.smtp

check: tcp.smtp.cdb
\tqmailfork check .

show: tcp.smtp.cdb
\tTCPREMOTEIP=$(IP) tcprulescheck tcp.smtp.cdb

.PHONY: check show
"""
RULES = """\
# Who may connect, who may relay, and what differs from env/ for them (tcprules(1)). After a change: make
# No blank may stand at the beginning of a rule or around its commas. The most specific address wins.

# These may relay. A relay client meets the checkers of SMTPEXTFORKR, not those of SMTPEXTFORK.
@relays@
# A network of ours that may relay, with checkers of its own:
#192.0.2.:allow,RELAYCLIENT="",SMTPEXTFORKR="/usr/local/bin/ratelimit"

# A host that we do not talk to:
#198.51.100.66:deny

# A network whose mail gets other checkers, and words of its own:
#203.0.113.:allow,SMTPEXTFORK="/usr/local/bin/softfail",454SMTPEXTFORK="sorry, not now"

:allow
"""
ABOUT = {
    "SMTPEXTFORK": "The programs that are asked about every recipient, in this order, with commas between them:\n"
    "qmailfork-checker(7). true(1) lets everyone in. Only the first line of a file in env/ counts.",
    "SMTPEXTFORKR": "The same for clients that may relay. Where the first line is empty they meet no checker.",
    "SMTPEXTFORKFAIL": "When a checker cannot be started, crashes or runs out of time: defer (451), reject (554), or\n"
    "pass as if it had not been there.",
    "554SMTPEXTFORK": "What a client hears when a checker exits 100.",
    "454SMTPEXTFORK": "What a client hears when a checker exits 101.",
    "QMAILFORK_LOG": "The style of the log: spamcontrol, qmail-ldap (with LOGLEVEL) or json.",
    "CERTFILE": "The certificate with its chain, in PEM.",
    "KEYFILE": "The certificate's key, readable to the user that serves.",
    "FORCETLS": "1: no mail without TLS.",
    "SMTPAUTH": "! wants AUTH before any mail. Whoever logs in may relay, and meets the checkers of SMTPEXTFORKR.",
    "QMAILFORK_CHECKPASSWORD": "The checkpassword program that knows who may log in: checkpassword-file(8) adds users.",
    "SMTPS": "1: TLS from the first octet.",
    "QMAILQUEUE": "The program that takes messages.",
    "QMAILFORK_MAILDIR": "Where qmailfork-queue delivers to: qmailfork-queue(8).",
}


def variables(plan: Plan) -> dict[str, str]:
    """The env-dir's variables."""
    return {
        "SMTPEXTFORK": plan.checkers,
        "SMTPEXTFORKR": "",
        "SMTPEXTFORKFAIL": "defer",
        "554SMTPEXTFORK": "sorry, local policy does not let this message in",
        "454SMTPEXTFORK": "sorry, local policy does not let this message in right now, please try again later",
        "QMAILFORK_LOG": "spamcontrol",
        **({"SMTPS": "1"} if plan.smtps else {}),
        **plan.variables,
    }


def files(plan: Plan, kind: str) -> dict[str, File]:
    """env/, and where it decides who may connect, tcp.smtp and Makefile."""
    if kind == WARM:  # a hand-off brings its environment along
        return {"env/QMAILFORK_LOG": (_variable("QMAILFORK_LOG", "spamcontrol"), False)}
    found = {f"env/{name}": (_variable(name, value), False) for name, value in variables(plan).items()}
    relays = "".join(f'{address}:allow,RELAYCLIENT=""\n' for address in plan.relays)
    return {**found, "tcp.smtp": (filled(RULES, relays=relays), False), "Makefile": (MAKEFILE, False)}


def _variable(name: str, value: str) -> str:
    return f"{value}\n\n{ABOUT[name]}\n" if name in ABOUT else f"{value}\n"
