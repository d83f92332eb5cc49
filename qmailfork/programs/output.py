"""What a checker of the plain contract may say on its descriptor 1, line by line (qmailfork-checker(7)).

`Header: Name: value` asks for a field above the message (SMTPEXTFORKHEADERS), `Cache: session` says that its verdict
holds for the whole session, and the first line that is neither is the text of a refusal (SMTPEXTFORKREPLY).
"""

from qmailfork.smtp import replies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmailfork.programs.checkers import Contract
    from qmailfork.programs.verdict import Verdict


def read(contract: "Contract", output: bytes, verdict: "Verdict") -> None:
    """Add to the `verdict` what the `output` says and the `contract` lets it say."""
    headers = []
    for line in output.split(b"\n"):
        text = line.rstrip(b"\r")
        if text == b"Cache: session":
            verdict.lasting = True
        elif text.startswith(b"Header: "):
            headers.append(text.removeprefix(b"Header: "))
        elif contract.own_words and not verdict.words and text.strip():
            verdict.words = (replies.plain(text),)
    if contract.headers:
        verdict.headers = tuple(headers)
