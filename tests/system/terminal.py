"""A terminal with a program on it: types, and reads what the program writes."""

import os
import pty
import re
import select
import signal
import struct
import termios
import time
from fcntl import ioctl

from harness import PATIENCE, REPOSITORY, environment

COLUMNS, ROWS = 160, 24


class Terminal:
    """A process that has a terminal of its own. `raw` is everything that it has written."""

    def __init__(self, *command: str, cwd: object = REPOSITORY, stdout: int | None = None, **variables: str):
        self.raw = ""
        settings = environment(**({"TERM": "xterm-256color"} | variables))
        for name in ("CI", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
            if name not in variables:
                settings.pop(name, None)
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(str(cwd))
                if stdout is not None:
                    os.dup2(stdout, 1)
                os.execvpe(command[0], list(command), settings)
            finally:
                os._exit(127)
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.code: int | None = None

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def read(self, seconds: float = 0.05) -> str:
        """What comes within a time."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return ""
        try:
            part = os.read(self.master, 65536).decode(errors="replace")
        except OSError:
            # The other side is closed.
            part = ""
            time.sleep(0.01)
        self.raw += part
        # Shells ask what terminal this is, and wait for the answer.
        if "\x1b[6n" in part:
            self.type("\x1b[1;1R")
        if "\x1b[c" in part or "\x1b[0c" in part:
            self.type("\x1b[?62;22c")
        return part

    def wait_for(self, what: str, since: int = 0) -> str:
        """Reads until its plain text has something; the plain text from there on."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if what in plain(self.raw[since:]):
                return plain(self.raw[since:])
            self.read()
        raise AssertionError(f"waited {PATIENCE:.0f} s for {what!r} in {self.raw[since:]!r}")

    def wait(self) -> int:
        """Reads to its end; its exit code."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read():
                    pass
                self.code = os.waitstatus_to_exitcode(status)
                return self.code
        raise AssertionError(f"has not ended: {self.raw!r}")

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


def plain(raw: str) -> str:
    """What was written without what steers the terminal."""
    return re.sub(r"\x1b(\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-B]|[=>78MD])", "", raw)


def colours(raw: str) -> set[str]:
    """The colours and styles that were set, as the numbers of their escape codes."""
    return {number for codes in re.findall(r"\x1b\[([0-9;]*)m", raw) for number in codes.split(";")} - {"", "0"}
