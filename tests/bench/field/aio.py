"""aiosmtpd as an SMTP server on a port, handing each message to the queue program by qmail-queue(8)'s interface."""

import asyncio
import os
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class ToQueue:
    """aiosmtpd's handler."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        names = [b"F" + (envelope.mail_from or "").encode(), *(b"T" + name.encode() for name in envelope.rcpt_tos)]
        ends = os.pipe()
        queue = await asyncio.create_subprocess_exec(
            os.environ["QMAILQUEUE"], stdin=asyncio.subprocess.PIPE, stdout=ends[0]
        )
        os.close(ends[0])
        os.write(ends[1], b"\0".join(names) + b"\0\0")
        os.close(ends[1])
        content = envelope.content
        await queue.communicate(content if isinstance(content, bytes) else b"")
        return "250 ok" if queue.returncode == 0 else "451 queue"


def main() -> None:
    port = int(sys.argv[1])
    controller = Controller(ToQueue(), hostname="127.0.0.1", port=port, data_size_limit=100_000_000)
    controller.start()
    sys.stdin.read()
    controller.stop()


if __name__ == "__main__":
    main()
