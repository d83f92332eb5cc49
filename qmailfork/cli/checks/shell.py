"""A run script read without being run: its values, and the command that serves."""

import re
import shlex

_ASSIGNED = re.compile(r"^(?:export\s+|readonly\s+)?([A-Za-z_]\w*)=(.*)$")
_DEFAULT = re.compile(r"^:\s+\"?\$\{([A-Za-z_]\w*):?=(.*?)\}\"?\s*$")
_REDIRECTED = re.compile(r"[0-9]*(>>?|<)(&?[-\w./$]*)")
_WHOLE = re.compile(r'"\$\{?([A-Za-z_]\w*)\}?"')
_BARE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_WHERE_SET = re.compile(r"\$\{([A-Za-z_]\w*):\+([^}]*)\}")
_FOUND = re.compile(r"\$\((?:command -v|which) ([\w./-]+)\)")
_BACKTICKS = re.compile(r"`([^`]*)`")


class Script:
    """What a script sets (`values`, and of them the `exported`) and runs at its end (`words`)."""

    def __init__(self, text: str) -> None:
        self.values: dict[str, str] = {}
        self.exported: set[str] = set()
        self.words: list[str] = []
        self.interpreter = text.partition("\n")[0].removeprefix("#!").strip() if text.startswith("#!") else ""
        commands = []
        for line in text.replace("\\\n", " ").split("\n"):
            line = line.strip()
            if not self._sets(line):
                commands.append(line)
        for line in commands:
            self._runs(line)

    def _sets(self, line: str) -> bool:
        match = _ASSIGNED.match(line) or _DEFAULT.match(line)
        if line.startswith("export ") and not match:
            self.exported.update(line.split()[1:])
        if not match:
            return False
        if line.startswith("export "):
            self.exported.add(match[1])
        self.values[match[1]] = self._value(match[2])
        return True

    def _value(self, text: str) -> str:
        text = _FOUND.sub(r"\1", _BACKTICKS.sub(r"$(\1)", text))
        if text.startswith("$("):
            return self.expanded(text[: text.find(")") + 1])
        first = _words(self.expanded(text))[:1]
        return first[0] if first else ""

    def expanded(self, text: str) -> str:
        """`text` with the variables that are known replaced; in quotes as one word, bare as many."""
        text = _FOUND.sub(r"\1", _BACKTICKS.sub(r"$(\1)", text))
        text = _WHERE_SET.sub(lambda match: match[2] if self.values.get(match[1]) else "", text)
        text = _WHOLE.sub(lambda match: shlex.quote(self.values.get(match[1], match[0])), text)
        return _BARE.sub(lambda match: self.values.get(match[1] or match[2], match[0]), text)

    def _runs(self, line: str) -> None:
        """The last `exec` counts; without one, the last line with tcpserver in it or the like."""
        if not line or line.startswith("#"):
            return
        words = [word for word in _words(self.expanded(line)) if not _REDIRECTED.fullmatch(word)]
        if words[:1] == ["exec"]:
            self.words = words[1:] or self.words
        elif not self.words and any(word.endswith(("tcpserver", "qmailfork")) for word in words):
            self.words = words


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # a quote that ends on another line
        return []
