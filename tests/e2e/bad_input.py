#!/usr/bin/env python3
"""Gives the program files that are missing, truncated, oversized or hostile, and expects one clear sentence and exit status 1 for each.

usage: bad_input.py PROGRAM
"""

import os
import random
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DEMO = os.path.join(HERE, "..", "..", "guests", "demo-riscv64", "demo.elf")


def elf(entry=0x80200000, phoff=64, phnum=1, offset=0x1000, paddr=0x80200000, filesz=16, memsz=16, machine=243, bits=2):
    """An ELF file of one segment, to be spoiled."""
    head = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, phoff, 0, 0, 64, 56, phnum, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, offset, paddr, paddr, filesz, memsz, 0x1000)
    return (head + segment).ljust(0x1000, b"\0") + b"\x6f\x00\x00\x00" * 4


def cases(folder):
    def put(name, data):
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    demo = open(DEMO, "rb").read()
    noise = random.Random(1).randbytes(8192)
    huge = put("huge", b"")
    os.truncate(huge, 1 << 41)
    good = ["-kernel", DEMO]
    missing = os.path.join(folder, "missing")

    for option in ("-kernel", "-bios"):
        yield f"{option}: missing", [option, missing]
        yield f"{option}: a folder", [option, folder]
        yield f"{option}: empty", [option, put("empty", b"")]
        yield f"{option}: enormous", [option, huge]
        yield f"{option}: truncated ELF head", [option, put("head", demo[:40])]
        yield f"{option}: truncated ELF", [option, put("cut", demo[: len(demo) // 2])]
        for what, spoiled in (
            ("segment outside the file", {"filesz": 1 << 40, "memsz": 1 << 40}),
            ("segment bigger in file than in memory", {"filesz": 16, "memsz": 8}),
            ("segment outside memory", {"paddr": 0x10}),
            ("segment at the end of the address space", {"paddr": (1 << 64) - 8}),
            ("segment with an overflow", {"offset": (1 << 64) - 8}),
            ("segments without end", {"phnum": 65535}),
            ("segments nowhere", {"phoff": 1 << 63}),
            ("of another machine", {"machine": 62}),
            ("of 32 bits", {"bits": 1}),
        ):
            yield f"{option}: ELF {what}", [option, put("elf", elf(**spoiled))]
    yield "-kernel: truncated gzip", ["-kernel", put("gz", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + noise[:100])]
    yield "-kernel: truncated zstd", ["-kernel", put("zst", b"\x28\xb5\x2f\xfd" + noise[:100])]
    yield "-initrd: missing", [*good, "-initrd", missing]
    yield "-initrd: larger than memory", [*good, "-initrd", huge]
    yield "-dtb: missing", [*good, "-dtb", missing]
    yield "-dtb: empty", [*good, "-dtb", put("dtb0", b"")]
    yield "-dtb: noise", [*good, "-dtb", put("dtb1", noise)]
    yield "-dtb: hostile sizes", [*good, "-dtb", put("dtb2", struct.pack(">10I", 0xD00DFEED, 0xFFFFFFFF, 0xFFFFFFF0, 56, 40, 17, 16, 0, 4, 4) + noise)]
    yield "-drive: missing", [*good, "-drive", f"file={missing},format=raw,if=virtio"]
    yield "-drive: a folder", [*good, "-drive", f"file={folder},format=raw,if=virtio"]
    yield "-drive: flash too large", [*good, "-drive", f"file={huge},format=raw,if=pflash"]
    if os.geteuid() != 0:
        locked = put("locked", bytes(4096))
        os.chmod(locked, 0o444)
        yield "-drive: may not be written", [*good, "-drive", f"file={locked},format=raw,if=virtio"]
    yield "-m: too little", [*good, "-m", "4K"]
    yield "-m: too much", [*good, "-m", "16000000T"]
    yield "-smp: too many", [*good, "-smp", "500"]
    yield "-serial: socket that nobody listens on", [*good, "-serial", f"unix:{missing}"]
    yield "-serial: file in a folder that is not there", [*good, "-serial", f"file:{missing}/x"]
    yield "-D: folder that is not there", [*good, "-d", "guest_errors", "-D", f"{missing}/x"]


def main():
    program = sys.argv[1]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, options in cases(folder):
            problem = None
            try:
                run = subprocess.run([program, "riscv64", *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
                text = run.stderr.decode(errors="replace")
                if run.returncode != 1:
                    problem = f"exit status {run.returncode}"
                elif not text.startswith("ambidex: ") or text.count("\n") != 1 or len(text) < 30:
                    problem = "not one sentence"
                elif "panicked" in text:
                    problem = "a panic"
            except subprocess.TimeoutExpired as e:
                problem, text = "it did not end", (e.stderr or b"").decode(errors="replace")
            print(f"{'WRONG' if problem else 'right'}  {name}: {problem + ': ' if problem else ''}{text.strip()}", flush=True)
            wrong += problem is not None
    if wrong:
        sys.exit(f"{wrong} cases went wrong")


main()
