#!/usr/bin/env python3
"""Runs a machine with its console on standard input and output, and waits for texts.

usage: console.py [--timeout SECONDS] [--log FILE] SCRIPT... -- COMMAND...

SCRIPT is a sequence of  expect:TEXT  (wait until the console has shown TEXT after the last match),  send:TEXT  (type it; \\r, \\n
and \\xNN as in Python) and  end  (wait until the command has ended by itself). For each expectation met the seconds since the start are printed. The command is killed
at the end unless it ended. Exit status: 0 when everything was met.
"""

import os
import pty
import select
import sys
import time
import tty


def main():
    args = sys.argv[1:]
    timeout, log = 120.0, None
    while args and args[0] in ("--timeout", "--log"):
        if args[0] == "--timeout":
            timeout = float(args[1])
        else:
            log = open(args[1], "wb")
        args = args[2:]
    if "--" not in args:
        sys.exit(__doc__)
    script, command = args[: args.index("--")], args[args.index("--") + 1 :]

    start = time.monotonic()
    pid, fd = pty.fork()
    if pid == 0:
        tty.setraw(0)
        try:
            os.execvp(command[0], command)
        except OSError as e:
            print(f"console.py: cannot run {command[0]}: {e.strerror}")
            os._exit(127)

    seen = b""
    ended = False

    def more():
        """Reads what has come; False when there will be no more in time."""
        nonlocal seen, ended
        left = start + timeout - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return False
        try:
            data = os.read(fd, 65536)
        except OSError:  # the other end of a terminal is gone
            data = b""
        if not data:
            ended = True
            return False
        if log:
            log.write(data)
            log.flush()
        seen += data
        return True

    failed = None
    for step in script:
        kind, _, text = step.partition(":")
        text = text.encode().decode("unicode_escape").encode("latin-1")
        if kind == "send":
            os.write(fd, text)
            continue
        if kind == "end":
            while not ended and more():
                pass
            if not ended:
                failed = "the machine did not stop by itself"
                break
        else:
            while text not in seen:
                if not more():
                    break
            at = seen.find(text)
            if at < 0:
                failed = f"{text.decode('latin-1')!r} did not appear" + (" before the command ended" if ended else "")
                break
            seen = seen[at + len(text) :]
        print(f"{time.monotonic() - start:8.2f} s  {step}", flush=True)
    if not ended:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    if failed:
        tail = seen[-1500:].decode("utf-8", "replace")
        print(f"{time.monotonic() - start:8.2f} s  FAILED: {failed}; the console's last words were:\n{tail}")
        sys.exit(1)


main()
