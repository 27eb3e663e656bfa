#!/usr/bin/env python3
"""Checks how the program talks and ends: exit statuses, messages, signals, and the terminal, which is left as it was found.

usage: command_line.py PROGRAM
"""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

LIMIT = 60


def run(*options):
    done = subprocess.run([sys.argv[1], *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def check(what, right, *seen):
    print(f"{'right' if right else 'WRONG'}  {what}", *([] if right else seen), flush=True)
    return 0 if right else 1


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *options):
        self.ours, self.theirs = pty.openpty()
        self.before = termios.tcgetattr(self.theirs)
        self.seen = b""
        self.child = subprocess.Popen([sys.argv[1], *options], stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, start_new_session=True)

    def expect(self, text):
        end = time.monotonic() + LIMIT
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.ours], [], [], left)[0]:
                raise TimeoutError(f"{text!r} did not appear; the last words: {self.seen[-500:]!r}")
            self.seen += os.read(self.ours, 65536)
        self.seen = self.seen.split(text, 1)[1]

    def end(self):
        """Exit status (negative: a signal), and whether the terminal is as before."""
        try:
            end = time.monotonic() + LIMIT
            while self.child.poll() is None and time.monotonic() < end:
                if select.select([self.ours], [], [], 0.05)[0]:
                    self.seen += os.read(self.ours, 65536)
            if self.child.poll() is None:
                self.child.kill()
                self.child.wait()
                raise TimeoutError("it did not end")
            return self.child.returncode, termios.tcgetattr(self.theirs) == self.before
        finally:
            os.close(self.ours)
            os.close(self.theirs)


def main():
    wrong = 0
    status, out, err = run("--help")
    wrong += check("--help", status == 0 and "-kernel FILE" in out and not err, status, err)
    status, out, err = run("--version")
    wrong += check("--version", status == 0 and out.startswith("ambidex "), status, out)
    status, out, err = run("accel")
    wrong += check("accel", status == 0 and "tcg" in out, status, out)
    status, out, err = run("riscv64", "-kernel", "x", "-appendd", "y")
    wrong += check("a slip", (status, out, err) == (1, "", "ambidex: unknown option -appendd: did you mean -append?\n"), status, out, err)
    status, out, err = run("riscv64", "-cpu", "help")
    wrong += check("-cpu help", status == 0 and "zbb" in out, status, out)
    status, out, err = run("demo", "-append", "demo.quick", "-serial", "null")
    wrong += check("a guest that is content: status 0", status == 0 and "check" not in out, status, out, err)
    status, out, err = run("demo", "-append", "demo.quick demo.fail", "-serial", "null")
    wrong += check("a guest that reports a failure: status not 0", status not in (0, 101) and status < 128, status, out, err)

    shell = ("demo", "-append", "demo.quick demo.shell")
    for name, act, wanted in (
        ("the guest powers off", b"poweroff\r", 0),
        ("Ctrl-A x", b"\x01x", 0),
        ("SIGINT", signal.SIGINT, 128 + signal.SIGINT),
        ("SIGTERM", signal.SIGTERM, 128 + signal.SIGTERM),
        ("SIGHUP", signal.SIGHUP, 128 + signal.SIGHUP),
    ):
        try:
            terminal = Terminal(*shell)
            terminal.expect(b"demo: all")
            terminal.expect(b"> ")
            raw = termios.tcgetattr(terminal.theirs) != terminal.before
            if isinstance(act, bytes):
                os.write(terminal.ours, act)
            else:
                terminal.child.send_signal(act)
            status, restored = terminal.end()
            wrong += check(f"{name}: status {wanted}, terminal raw before and restored after", (status, raw, restored) == (wanted, True, True), status, raw, restored)
        except (TimeoutError, OSError) as e:
            terminal.child.kill()
            wrong += check(name, False, e)
    if wrong:
        sys.exit(f"{wrong} things went wrong")


main()
