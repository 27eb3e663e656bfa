#!/usr/bin/env python3
"""Writes an initramfs (cpio "newc", gzip) for a test guest.

The result depends on the contents of the inputs only: entries are sorted, times and inode numbers are fixed, owners are root.
Python's standard library is all it needs, and it makes device nodes without being root because they exist in the archive only.
"""

import argparse
import gzip
import lzma
import os
import stat
import subprocess
import sys


class Tree:
    """The files of the archive: path without leading slash -> (mode, data, (major, minor))."""

    def __init__(self):
        self.entries = {}

    def folder(self, path):
        while path and path not in self.entries:
            self.entries[path] = (stat.S_IFDIR | 0o755, b"", (0, 0))
            path = os.path.dirname(path)

    def add(self, path, mode, data=b"", device=(0, 0)):
        self.folder(os.path.dirname(path))
        self.entries[path] = (mode, data, device)

    def file(self, path, data, mode=0o644):
        self.add(path, stat.S_IFREG | mode, data)

    def link(self, path, target):
        self.add(path, stat.S_IFLNK | 0o777, target.encode())

    def copy(self, source, path):
        if os.path.islink(source):
            self.link(path, os.readlink(source))
        elif os.path.isdir(source):
            self.folder(path)
            for name in os.listdir(source):
                self.copy(os.path.join(source, name), os.path.join(path, name))
        else:
            with open(source, "rb") as f:
                self.file(path, f.read(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def cpio(self):
        out = []

        def entry(inode, path, mode, data, device):
            name = path.encode() + b"\0"
            links = 2 if stat.S_ISDIR(mode) else 1
            fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, device[0], device[1], len(name), 0)
            head = b"070701" + b"".join(b"%08x" % f for f in fields) + name
            out.append(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

        for inode, path in enumerate(sorted(self.entries), 1):
            entry(inode, path, *self.entries[path])
        entry(0, "TRAILER!!!", 0, b"", (0, 0))
        blob = b"".join(out)
        return blob + b"\0" * (-len(blob) % 512)


class Modules:
    """The kernel modules of one kernel package."""

    SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")

    def __init__(self, root):
        self.root = root
        self.paths = {}
        for folder, _, names in os.walk(root):
            for name in names:
                for suffix in self.SUFFIXES:
                    if name.endswith(suffix):
                        self.paths[self.canonical(name[: -len(suffix)])] = os.path.join(folder, name)
        self.builtin = set()
        with open(os.path.join(root, "modules.builtin")) as f:
            for line in f:
                self.builtin.add(self.canonical(os.path.basename(line.strip())[: -len(".ko")]))
        self.data = {}

    @staticmethod
    def canonical(name):
        return name.replace("-", "_")

    def load(self, name):
        if name not in self.data:
            path = self.paths[name]
            with open(path, "rb") as f:
                blob = f.read()
            if path.endswith(".xz"):
                blob = lzma.decompress(blob)
            elif path.endswith(".gz"):
                blob = gzip.decompress(blob)
            elif path.endswith(".zst"):
                blob = subprocess.run(["zstd", "-dc"], input=blob, stdout=subprocess.PIPE, check=True).stdout
            self.data[name] = blob
        return self.data[name]

    def needs(self, name):
        """Modules `name` must find loaded: its hard dependencies, and the soft ones it asks to come first."""
        found = []
        for field in self.load(name).split(b"\0"):
            if field.startswith(b"depends="):
                found += field[len(b"depends=") :].decode().split(",")
            elif field.startswith(b"softdep=pre: "):
                found += field[len(b"softdep=pre: ") :].decode().split(" post:")[0].split()
        return [self.canonical(n) for n in found if n]

    def closure(self, names, done):
        """Appends `names` and everything they need to `done`, dependencies first."""
        for name in map(self.canonical, names):
            if name in done or name in self.builtin:
                continue
            if name not in self.paths:
                print(f"mkinitramfs: no module '{name}' in {self.root}; left out", file=sys.stderr)
                continue
            self.closure([n for n in self.needs(name) if n in self.paths], done)
            done.append(name)
        return done


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--output", required=True)
    p.add_argument("--busybox", required=True, help="the static busybox of the guest's architecture")
    p.add_argument("--modules", required=True, help="the folder lib/modules/VERSION of the kernel package")
    p.add_argument("--load", nargs="*", default=[], help="modules /init loads")
    p.add_argument("--carry", nargs="*", default=[], help="modules to have at hand for ambidex.modules=")
    p.add_argument("--init", required=True)
    p.add_argument("--copy", nargs=2, action="append", default=[], metavar=("FROM", "TO"), help="a file or folder to add")
    p.add_argument("--level", type=int, default=6, help="gzip level; 0 writes the bare cpio")
    a = p.parse_args()

    tree = Tree()
    for path in ("dev", "proc", "sys", "tmp", "run", "mnt", "root", "etc", "usr/bin", "usr/sbin", "usr/lib"):
        tree.folder(path)
    for path in ("bin", "sbin", "lib"):
        tree.link(path, "usr/" + path)
    tree.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    tree.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    tree.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    tree.file("etc/group", b"root:x:0:\n")
    for source, path in a.copy:
        tree.copy(source, path.strip("/"))
    tree.copy(a.busybox, "usr/bin/busybox")
    tree.link("usr/bin/sh", "busybox")
    with open(a.init, "rb") as f:
        tree.file("init", f.read(), 0o755)

    modules = Modules(a.modules)
    version = os.path.basename(os.path.normpath(a.modules))
    load = modules.closure(a.load, [])
    for name in modules.closure(a.carry, list(load)):
        tree.file(f"usr/lib/modules/{version}/{name}.ko", modules.load(name))
        order = modules.closure([name], [])
        tree.file(f"usr/lib/modules/{version}/{name}.order", "".join(n + "\n" for n in order).encode())
    tree.file(f"usr/lib/modules/{version}/load", "".join(n + "\n" for n in load).encode())

    blob = tree.cpio()
    if a.level:
        blob = gzip.compress(blob, a.level, mtime=0)
    with open(a.output + ".part", "wb") as f:
        f.write(blob)
    os.replace(a.output + ".part", a.output)


main()
