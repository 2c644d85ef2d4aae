"""A program on a terminal of its own: keys go in, a screen of characters comes out.

`Screen` understands what curses sends for TERM=xterm-256color: moving, erasing,
inserting and deleting, scrolling regions, the alternate screen. What it does not know
fails the test, so that nothing is drawn wrongly in silence.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata

from harness import PATIENCE, TIMEOUT_S

CSI = re.compile(r"\x1b\[([?>!]?)([\d;]*)([@-~])")
OTHER = re.compile(r"\x1b(?:[()][0B]|[=>78M]|\][^\x07]*\x07)")


def width(char):
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


class Screen:
    def __init__(self, columns, lines):
        self.resize(columns, lines)
        self.alternate = False
        self.cursor_visible = True
        self.rest = ""

    def resize(self, columns, lines):
        self.columns, self.lines = columns, lines
        self.cells = [[" "] * columns for _ in range(lines)]
        self.x = self.y = 0
        self.top, self.bottom = 0, lines - 1
        self.last = " "

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.cells)

    def feed(self, text):
        text = self.rest + text
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\x1b":
                match = CSI.match(text, at) or OTHER.match(text, at)
                if not match:
                    assert len(text) - at < 64, f"unknown sequence {text[at:at + 16]!r}"
                    break
                if match.re is CSI:
                    self.control(*match.groups())
                elif match[0] == "\x1bM":
                    self.up()
                at = match.end()
                continue
            at += 1
            if char == "\r":
                self.x = 0
            elif char == "\n":
                self.down()
            elif char == "\b":
                self.x = max(self.x - 1, 0)
            elif char == "\t":
                self.x = min(self.x // 8 * 8 + 8, self.columns - 1)
            elif char >= " ":
                self.put(char)
            else:
                assert char in "\x07\x0f\x0e", f"control character {char!r}"
        self.rest = text[at:]

    def put(self, char):
        columns = width(char)
        if columns == 0:
            return
        if self.x + columns > self.columns:
            self.x = 0
            self.down()
        self.cells[self.y][self.x] = char
        if columns == 2:
            self.cells[self.y][self.x + 1] = ""
        self.x += columns
        self.last = char

    def blank(self, count=1):
        return [[" "] * self.columns for _ in range(count)]

    def down(self):
        if self.y == self.bottom:
            self.cells[self.top:self.bottom + 1] = (
                self.cells[self.top + 1:self.bottom + 1] + self.blank())
        else:
            self.y = min(self.y + 1, self.lines - 1)

    def up(self):
        if self.y == self.top:
            self.cells[self.top:self.bottom + 1] = (
                self.blank() + self.cells[self.top:self.bottom])
        else:
            self.y = max(self.y - 1, 0)

    def control(self, private, words, final):
        numbers = [int(w or 0) for w in words.split(";")]
        n = max(numbers[0], 1)
        line = self.cells[self.y]
        if private:
            if final in "hl" and private == "?":
                for number in numbers:
                    if number == 1049:
                        self.alternate = final == "h"
                        self.cells = self.blank(self.lines)
                    elif number == 25:
                        self.cursor_visible = final == "h"
            return
        if final in "Hf":
            self.y = min(n, self.lines) - 1
            self.x = min(max((numbers + [1])[1], 1), self.columns) - 1
        elif final == "G":
            self.x = min(n, self.columns) - 1
        elif final == "d":
            self.y = min(n, self.lines) - 1
        elif final in "AB":
            self.y = min(max(self.y + (n if final == "B" else -n), 0), self.lines - 1)
        elif final in "CD":
            self.x = min(max(self.x + (n if final == "C" else -n), 0), self.columns - 1)
        elif final == "J":
            if numbers[0] == 0:
                line[self.x:] = " " * (self.columns - self.x)
                for y in range(self.y + 1, self.lines):
                    self.cells[y] = [" "] * self.columns
            else:
                self.cells = self.blank(self.lines)
        elif final == "K":
            if numbers[0] == 0:
                line[self.x:] = " " * (self.columns - self.x)
            else:
                end = self.x + 1 if numbers[0] == 1 else self.columns
                line[:end] = " " * end
        elif final == "X":
            end = min(self.x + n, self.columns)
            line[self.x:end] = " " * (end - self.x)
        elif final == "P":
            del line[self.x:self.x + n]
            line += " " * (self.columns - len(line))
        elif final == "@":
            line[self.x:self.x] = " " * n
            del line[self.columns:]
        elif final in "LM":
            n = min(n, self.bottom - self.y + 1)
            part = self.cells[self.y:self.bottom + 1]
            part = self.blank(n) + part[:-n] if final == "L" else part[n:] + self.blank(n)
            self.cells[self.y:self.bottom + 1] = part
        elif final in "ST":
            for _ in range(n):
                keep, self.y = self.y, self.bottom if final == "S" else self.top
                self.down() if final == "S" else self.up()
                self.y = keep
        elif final == "b":
            for _ in range(n):
                self.put(self.last)
        elif final == "r":
            self.top = n - 1
            self.bottom = (numbers + [0])[1] - 1 if len(numbers) > 1 else self.lines - 1
            self.x = self.y = 0
        else:
            assert final in "mlht", f"unknown control sequence {words}{final}"


class Terminal:
    """Runs a command on a pseudo terminal."""

    def __init__(self, env, *command, columns=80, lines=24, **variables):
        self.master, slave = pty.openpty()
        self.screen = Screen(columns, lines)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.raw = b""
        self.size(columns, lines)
        self.before = termios.tcgetattr(slave)
        environment = {**env.vars, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
                       **variables}
        for name in ("NO_COLOR", "LINES", "COLUMNS"):
            if name not in variables:
                environment.pop(name, None)
        self.slave = slave  # kept open: its state is looked at afterwards
        self.popen = subprocess.Popen(
            [str(c) for c in command], stdin=slave, stdout=slave, stderr=slave,
            cwd=env.work, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        os.close(self.slave)
        os.close(self.master)

    def size(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        self.read(0)
        self.screen.resize(columns, lines)
        self.size(columns, lines)

    def press(self, *keys):
        named = {"up": "\x1bOA", "down": "\x1bOB", "page-down": "\x1b[6~",
                 "page-up": "\x1b[5~", "home": "\x1bOH", "end": "\x1bOF",
                 "backspace": "\x7f", "escape": "\x1b", "control-c": "\x03"}
        for key in keys:
            os.write(self.master, named.get(key, key).encode())

    def read(self, timeout_s):
        ready, _, _ = select.select([self.master], [], [], timeout_s)
        if not ready:
            return False
        data = os.read(self.master, 65536)
        self.raw += data
        self.screen.feed(self.decoder.decode(data))
        return True

    def text(self):
        while self.read(0):
            pass
        return self.screen.text()

    def until(self, condition, what):
        deadline = time.monotonic() + TIMEOUT_S * PATIENCE
        while not condition(self.text()):
            left = deadline - time.monotonic()
            assert left > 0, f"timeout: {what}; the screen:\n{self.text()}"
            self.read(min(left, 0.2))
        return self.text()

    def shows(self, *texts):
        """Until all of these can be seen."""
        return self.until(lambda screen: all(t in screen for t in texts), f"{texts}")

    def hides(self, *texts):
        return self.until(lambda screen: all(t not in screen for t in texts),
                          f"still there: {texts}")

    def signal(self, signo):
        os.kill(self.popen.pid, signo)

    def ends(self, status=0):
        """The exit status, and the terminal is as it was."""
        deadline = time.monotonic() + TIMEOUT_S * PATIENCE
        while self.popen.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.text()}"
            self.read(0.05)
        text = self.text()
        assert self.popen.returncode == status, text
        assert termios.tcgetattr(self.slave) == self.before
        assert not self.screen.alternate and self.screen.cursor_visible
        return self.raw.decode(errors="replace")


SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
