#!/usr/bin/env python3
"""Compares what the guest's test "programs" printed with the outputs programs/expected made.

usage: compare.py CONSOLE-LOG EXPECTED-FOLDER [NAME-PATTERN...]

Prints one line for each program that differs, with the first differing line, and a last line with the counts. Exit status 0: all equal, none missing.
"""

import fnmatch
import os
import sys

log, folder, patterns = sys.argv[1], sys.argv[2], sys.argv[3:] or ["*"]
got, name, lines = {}, None, []
with open(log, "rb") as f:
    for line in f.read().decode("latin-1").replace("\r", "").split("\n"):
        words = line.split()
        if words[:1] == ["AMBIDEX-PROGRAM-BEGIN"] and len(words) == 2:
            name, lines = words[1], []
        elif words[:1] == ["AMBIDEX-PROGRAM-END"] and len(words) == 3 and words[1] == name:
            got[name] = (lines, words[2])
            name = None
        elif name is not None:
            lines.append(line)

bad = 0
wanted = [n for n in sorted(os.listdir(folder)) if any(fnmatch.fnmatch(n, p) for p in patterns)]
for n in wanted:
    with open(os.path.join(folder, n), encoding="latin-1") as f:
        expected = f.read().split("\n")[:-1]
    if n not in got:
        print(f"{n}: did not run to its end")
    elif got[n][1] != "status=0":
        print(f"{n}: ended with {got[n][1]}; last line: {got[n][0][-1:]}")
    elif got[n][0] != expected:
        pairs = list(zip(got[n][0] + [None] * len(expected), expected + [None] * len(got[n][0])))
        at, (g, e) = next((i, p) for i, p in enumerate(pairs, 1) if p[0] != p[1])
        print(f"{n}: line {at} is {g!r}, expected {e!r}")
    else:
        continue
    bad += 1
print(f"{len(wanted) - bad} of {len(wanted)} programs gave the expected output")
sys.exit(1 if bad or not wanted else 0)
