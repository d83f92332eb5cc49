"""The time before a line: TAI64N of multilog, s6-log and svlogd, ISO 8601 in its many forms, syslog's.

Times are Unix seconds; 0 says that a line has none.
"""

import re
import time
from datetime import datetime

TAI = 2**62 + 10  # TAI64 of the Unix epoch, as tai64n(8) has it
EARLIEST, LATEST = 631152000, 4102444800  # 1990 and 2100: what is outside was never a stamp
DAY = 86400
_ISO = re.compile(
    rb"((\d{4}-\d\d-\d\d)([T_ ])(\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?) "
)  # fmt: skip
_SYSLOG = re.compile(rb"(?:<\d+>)?((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d) ")
_WHENCE = re.compile(rb"\S+ (?:[^\s:\[]+(?:\[\d+\])?: )?(?:\d{9,10}\.\d+ )?")  # host, program, splogger's own stamp
OURS = (b"qmail-smtpd", b"tcpserver: ", b"{")


def tai64n(label: bytes) -> int:
    """The time of `@` and 24 hexadecimal digits. Raises ValueError."""
    seconds = int(label[1:17], 16) - TAI
    if not EARLIEST <= seconds <= LATEST:
        raise ValueError(label)
    return seconds


class Stamps:
    """Takes the stamps off lines; `now` (Unix seconds) gives syslog's the year that they lack."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._last = self._label = b""  # stamps come in runs
        self._when = self._seconds = 0

    def split(self, line: bytes) -> tuple[int, bytes]:
        """The time of `line` and what follows it. Raises ValueError for a stamp that cannot be one."""
        if line.startswith(b"@4") and line[25:26] == b" ":
            if line[:17] != self._label:
                self._seconds = tai64n(line)
                self._label = line[:17]
            return self._seconds, line[26:]
        if line.startswith(OURS):
            return 0, line
        match = _ISO.match(line) or _SYSLOG.match(line)
        if not match:
            return 0, line
        if match[1] != self._last:
            self._when = self._iso(match) if match.re is _ISO else self._syslog(match)
            self._last = match[1]
        rest = line[match.end() :]
        return self._when, rest if rest.startswith(OURS) or match[0][10:11] == b"_" else _origin(rest)

    def _iso(self, match: re.Match[bytes]) -> int:
        """Without a zone: svlogd's are UTC, those with a blank (tai64nlocal, s6-log) local time."""
        day, between, hour, zone = (part.decode() for part in match.groups(b"")[1:])
        if not zone and between != " ":
            zone = "+00:00"
        when = int(datetime.fromisoformat(f"{day}T{hour}{zone}").timestamp())
        if not EARLIEST <= when <= LATEST:
            raise ValueError(match[0])
        return when

    def _syslog(self, match: re.Match[bytes]) -> int:
        """Local time of this year, or of the last one where that is still to come."""
        year = time.localtime(self._now).tm_year
        for guess in (year, year - 1, year - 2, year - 3, year - 4):  # 29 February needs a year that has it
            try:
                when = int(datetime.strptime(f"{guess} {match[1].decode()}", "%Y %b %d %H:%M:%S").timestamp())
            except ValueError:
                continue
            if when <= self._now + DAY:
                return when
        raise ValueError(match[0])


def _origin(line: bytes) -> bytes:
    """`line` without the host and the program that syslog puts before it."""
    match = _WHENCE.match(line)
    rest = line[match.end() :] if match else line
    return rest if rest.startswith(OURS) else line
