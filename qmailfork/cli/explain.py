"""`qmailfork explain`: the conversation that a client would have, and what decides in it."""

import ipaddress
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import click

from qmailfork.cli import compiling, faults, records, surroundings, words
from qmailfork.cli.surroundings import text
from qmailfork.conversation.conduct import converse
from qmailfork.conversation.requests import Consult, Hear, Lookup, Start, Tell
from qmailfork.conversation.settings import ControlFault
from qmailfork.drivers import rehearsal, stdio
from qmailfork.drivers.rehearsal import Rehearsal, Step
from qmailfork.drivers.worker.profile import TCP, Profile
from qmailfork.drivers.worker.tcpserver import Client
from qmailfork.programs.outcome import ANSWERED, EXITED, Outcome
from qmailfork.smtp import replies
from qmailfork.system import config, spawn, tcprules

WHOLE = 4 * 1024  # characters of an address and the verb before it, however much of it is escaped
MESSAGE = b"Subject: explain\r\n\r\nexplain\r\n"
DECIDES = {
    b"Reject::SNDR::Invalid_Relay": "control/rcpthosts does not have the recipient's domain",
    b"Reject::ORIG::Bad_Mailfrom": "control/badmailfrom has the sender",
    b"Reject::DATA::Invalid_Size": "control/databytes, or DATABYTES, is smaller",
    b"Reject::SNDR::Bad_Helo": "HELOCHECK: control/badhelo has the client's name, or there is none",
    b"Reject::SNDR::DNS_Helo": "HELOCHECK: the client's name is not what DNS says",
    b"Reject::SNDR::DNS_Helo_Temp": "HELOCHECK: DNS does not answer",
    b"Reject::ORIG::DNS_MF": "MFDNSCHECK: DNS does not have the sender's domain",
    b"Reject::ORIG::DNS_MF_Temp": "MFDNSCHECK: DNS does not answer",
    b"Reject::RCPT::Failed_Rcptto": "control/recipients knows no such recipient",
    b"Reject::RCPT::Bad_Rcptto": "control/badrcptto has the recipient",
    b"Reject::RCPT::Toomany_Rcptto": "MAXRECIPIENTS are reached, or TARPITCOUNT by recipients that do not exist",
    b"Reject::ORIG::Invalid_Mailfrom": "LOCALMFCHECK: the sender is not the client's own",
    b"Accept::ORIG::Local_Sender": "RELAYCLIENT is set, and the sender is the client's own (LOCALMFCHECK)",
    b"Accept::RCPT::Recipients_Cdb": "a cdb in control/recipients has the recipient",
    b"Accept::RCPT::Recipients_Pam": "a program in control/recipients knows the recipient",
    b"Error::RCPT::Recipients_Pam": "a program in control/recipients does not tell",
    b"Accept::RCPT::Recipients_Wild": "control/recipients takes every recipient of the domain",
    b"Error::SNDR::Wrapped_Exec": "the wrapped smtpd cannot be executed",
    b"Error::SNDR::Wrapped_Gone": "the wrapped smtpd has ended",
    b"Error::SNDR::Wrapped_Timeout": "QMAILFORK_CHILDTIMEOUT: the wrapped smtpd says nothing",
    b"Error::SNDR::Wrapped_Protocol": "what the wrapped smtpd says is no SMTP",
    b"Accept::SNDR::Relay_Client": "RELAYCLIENT is set: control/rcpthosts does not count",
}


@click.command()
@click.argument("record", nargs=-1, metavar="[ID [LOG]...]")
@click.option("--ip", type=text, help="The client's address.")
@click.option("--host", type=text, help="The client's name, as DNS has it.")
@click.option("--info", type=text, help="What ident says of the client.")
@click.option("--helo", type=text, help="What the client calls itself; none if not given.")
@click.option("--from", "sender", type=text, default="", help="The sender; the null sender if not given.")
@click.option("--to", "recipients", type=text, multiple=True, help="A recipient; may be repeated.")
@click.option("-x", "cdb", type=text, help="tcpserver's rules, compiled by tcprules.")
@click.option("--rules", "source", type=text, help="The same, not yet compiled.")
@click.option("--local", type=text, default="mail.example.net", help="Our name (tcpserver's -l).")
@click.option("--wrap", metavar="'PROGRAM ARG...'", help="The smtpd that the server stands in front of.")
@click.option("--dry", is_flag=True, help="Run no checkers; take it that all of them let the recipient pass.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@surroundings.options
def explain(as_json: bool, record: tuple[str, ...], **given: Any) -> None:
    """Tell the conversation that a client would have, with the rule and the files that decide; --ip and --to say who.

    Checkers run for real; nothing is queued. A PROGRAM to --wrap runs for real, too, but is sent no message.

    With ID: tell what a log in JSON has of that decision, or of that session. LOG is a directory of multilog's or the
    like, a file, or - for standard input.

    Exit status: 0, all recipients are accepted, or ID was found; 1, not; 2, a wrong argument; 111, what the server
    goes by, or a log, cannot be read.
    """
    if record:
        if given["ip"] or given["recipients"]:
            raise click.UsageError("either ID, or --ip and --to")
        records.explain(record[0], record[1:], as_json)
        return
    for option, value in (("--ip", given["ip"]), ("--to", given["recipients"])):
        if not value:
            raise click.UsageError(f"Missing option '{option}'.")
    _possible(given)
    environment = surroundings.environment(given["env_dir"], given["pairs"])
    try:
        told = Explained(environment, given)
    except (ControlFault, OSError) as fault:
        faults.end("explain", [surroundings.said(fault)], faults.UNREADABLE)
    if as_json:
        click.echo(json.dumps(told.as_json()))
    else:
        _show(told)
    sys.exit(0 if told.accepted else 1)


def _possible(given: dict[str, Any]) -> None:
    """Whether there can be such a client, and one source of rules. Raises click.UsageError."""
    try:
        ipaddress.ip_address(os.fsdecode(given["ip"]))
    except ValueError:
        surroundings.fail("--ip", f"{words.shown(given['ip'])} is no address")
    if given["cdb"] and given["source"]:
        raise click.UsageError("either -x or --rules")
    for value in (given["helo"] or b"", given["sender"], *given["recipients"]):
        if b"\n" in value:
            raise click.UsageError("no client can send a line feed in its name or an address")


class Explained:
    """The `rule` for a client under its `key` (None: no rule fits), and the session `held` with it where it may
    connect (else None). `open_relay` where no list of our domains is there.

    Raises ControlFault, OSError where rules or control files cannot be read.
    """

    def __init__(self, environment: dict[bytes, bytes], given: dict[str, Any]) -> None:
        base = {name: value for name, value in environment.items() if name not in TCP}
        rules = tcprules.Rules(_compiled(given["source"]) if given["source"] else given["cdb"], optional=False)
        self.key = rules.key(given["ip"], given["host"], given["info"])
        self.rule = rules.decide(given["ip"], given["host"], given["info"])
        self.dry = given["dry"]
        self.held: Rehearsal | None = None
        self.open_relay = False
        if self.rule.allowed:
            home = config.home({**base, **self.rule.environment})
            os.chdir(home)
            wrapped = _wrapped(given["wrap"], base)
            profile = Profile(config.Controls(home, wrapped), base, self.rule.environment)
            self.open_relay = profile.settings.rcpthosts is None and not wrapped
            self.held = self._hold(profile, given)

    def _hold(self, profile: Profile, given: dict[str, Any]) -> Rehearsal:
        client, local = Client(given["ip"], 40000), (given["local"], b"192.0.2.1", 25)
        client.host, client.info = given["host"], given["info"]
        null = spawn.seal()
        driver = stdio.Driver(profile.environment(client, local), null, lambda event: None)
        message = None if given["wrap"] else MESSAGE
        words = rehearsal.client(given["helo"], given["sender"], list(given["recipients"]), message)
        held = Rehearsal(words, _dry(driver) if given["dry"] else driver.answer)
        try:
            return held.drive(converse(profile.settings, profile.peer(client, local)))
        finally:
            driver.leave()

    @property
    def accepted(self) -> bool:
        """Whether every recipient is."""
        tried = [step for step in self.held.steps if step.said.startswith(b"RCPT")] if self.held else []
        return bool(tried) and all(replies.is_positive(step.reply) for step in tried)

    def as_json(self) -> dict[str, Any]:
        """Its members for --json."""
        sets = {words.shown(name): words.shown(value) for name, value in self.rule.environment.items()}
        key = None if self.key is None else words.shown(self.key)
        steps = [_as_json(step) for step in self.held.steps] if self.held else []
        queued = [
            {"program": words.shown(one.program), "envelope": envelope(one.envelope)}
            for one in (self.held.queued if self.held else [])
        ]
        return {
            "rule": {"address": key, "allowed": self.rule.allowed, "sets": sets},
            "dry": self.dry,
            "open_relay": self.open_relay,
            "accepted": self.accepted,
            "conversation": steps,
            "queued": queued,
        }


def _compiled(source: bytes) -> bytes:
    """The rules of `source` in a cdb, made by tcprules itself. Raises ControlFault, OSError, click.UsageError."""
    directory = tempfile.mkdtemp()
    click.get_current_context().call_on_close(lambda: shutil.rmtree(directory))
    path = f"{directory}/cdb"
    said = compiling.compiled(os.fsdecode(source), path)
    if said is None:
        surroundings.fail("--rules", "tcprules is not in PATH")
    if said:
        raise ControlFault(f"{words.shown(source)}: {said}")
    return os.fsencode(path)


def _wrapped(command: str | None, environment: dict[bytes, bytes]) -> list[bytes]:
    """The words of --wrap, as the server finds them. Raises ControlFault, click.UsageError."""
    try:
        argv = [os.fsencode(word) for word in shlex.split(command or "")]
    except ValueError as fault:
        surroundings.fail("--wrap", str(fault))
    if command is not None and not argv:
        surroundings.fail("--wrap", "no program")
    return [spawn.located(argv[0], environment), *argv[1:]] if argv else []


def _dry(driver: stdio.Driver) -> Callable[[Any], object]:
    """Asks what costs nothing, and takes it that checkers and a wrapped smtpd have no objection."""
    obliging = _Obliging()

    def carry_out(request: Any) -> object:
        if isinstance(request, Lookup):
            return driver.answer(request)
        return obliging.answer(request) if isinstance(request, Start | Tell | Hear) else _pass(request)

    return carry_out


class _Obliging:
    """Stands for a wrapped smtpd that says yes to everything."""

    def __init__(self) -> None:
        self._reply = b"220 the wrapped smtpd\r\n"

    def answer(self, request: Any) -> object:
        """What it would have done."""
        if isinstance(request, Tell):
            self._reply = b"221 ok\r\n" if request.octets.upper().startswith(b"QUIT") else b"250 ok\r\n"
            return True
        return self._reply if isinstance(request, Hear) else None


def _pass(request: Any) -> Outcome:
    """What a checker that has no objection would have answered."""
    return Outcome(ANSWERED, 0, b"action=DUNNO\n\n") if isinstance(request, Consult) else Outcome(EXITED, 0)


def envelope(queued: bytes) -> list[str]:
    """Sender and recipients of an envelope for the queue, as text."""
    return [words.shown(part[1:], WHOLE) for part in queued.split(b"\0") if part]


def _said(step: Step) -> str:
    return "the message" if step.said == MESSAGE + b".\r\n" else words.shown(step.said.rstrip(b"\r\n"), WHOLE)


def _decisions(step: Step) -> list[str]:
    return [DECIDES[event.condition] for event in step.events if event.condition in DECIDES]


def _checkers(step: Step) -> list[dict[str, Any]]:
    checks = next((event.checks for event in reversed(step.events) if event.checks), [])
    return [
        {"program": words.shown(checker.program), "ending": words.ending(outcome), "ms": round(outcome.milliseconds, 1)}
        for checker, outcome in checks
    ]


def _as_json(step: Step) -> dict[str, Any]:
    return {
        "client": _said(step),
        "reply": [words.shown(line) for line in step.reply.rstrip(b"\r\n").split(b"\r\n")],
        "checkers": _checkers(step),
        "decides": _decisions(step),
        "waits": step.waits,
        "log": [words.shown(event.condition) for event in step.events],
    }


def _show(told: Explained) -> None:
    """The rule, the conversation, the queue."""
    which = "no rule fits" if told.key is None else f"rule {words.shown(told.key)!r}"
    click.echo(f"{which}: {'may connect' if told.rule.allowed else 'may not connect'}")
    for name, value in told.rule.environment.items():
        click.echo(f"  sets {words.shown(name)}={words.shown(value)}")
    if told.open_relay:
        click.secho("control/rcpthosts is not there: every recipient is taken, an open relay", fg="red")
    for step in told.held.steps if told.held else []:
        _show_step(step, told.dry)
    for one in told.held.queued if told.held else []:
        sender, *recipients = envelope(one.envelope)
        click.echo(f"{words.shown(one.program)} would get: from <{sender}> to {', '.join(recipients)}")


def _show_step(step: Step, dry: bool) -> None:
    if step.said:
        click.echo(f"C: {_said(step)}")
    for check in _checkers(step):
        took = "would run" if dry else f"{check['ending']} after {words.milliseconds(check['ms'])}"
        click.echo(f"     {check['program']}: {took}")
    if step.waits:
        click.echo(f"     the client waits for {step.waits:g} s")
    for decision in _decisions(step):
        click.echo(f"     {decision}")
    for line in step.reply.rstrip(b"\r\n").split(b"\r\n"):
        click.secho(f"S: {words.shown(line)}", fg=None if replies.is_positive(step.reply) else "red")
