#!/usr/bin/env python3
"""Compares src/LAYERS with every #include and with what CMake links.

A folder may include its own headers, the folders of its row, and whatever those may
include. The names in front of EXT in its hq_layer() call must equal its row. Each
third-party header is used in one folder only.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PYTHON = SRC / "python"  # the package for Python, no layer
CONFINED = {  # header of a library: the only folder that may include it
    "sodium.h": "wire", "uv.h": "io", "hwloc.h": "topo", "mpi.h": "mpi", "yaml.h": "conf",
    "jansson.h": "conf", "uthash.h": "base", "xxhash.h": "base", "zstd.h": "outlog",
    "sqlite3.h": "cli",
    "curses.h": "tui", "ncurses.h": "tui",
}


def read_rows(path):
    rows = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, _, allowed = line.partition(":")
            rows[folder.strip()] = allowed.split()
    return rows


def closure(rows, folder, seen=None):
    seen = set() if seen is None else seen
    for name in rows[folder]:
        if name not in seen:
            seen.add(name)
            closure(rows, name, seen)
    return seen


def check_table(rows):
    for folder, allowed in rows.items():
        for name in allowed:
            if name not in rows:
                yield f"src/LAYERS: '{folder}' names '{name}', which has no row"
        if not (SRC / folder).is_dir():
            yield f"src/LAYERS: no folder src/{folder}"
    for path in sorted(SRC.iterdir()):
        if path.is_dir() and path != PYTHON and path.name not in rows:
            yield f"src/LAYERS: src/{path.name} has no row"


def check_includes(rows):
    for path in sorted(SRC.glob("*/*.[ch]")) + sorted(SRC.glob("*/*.def")):
        folder = path.parent.name
        allowed = closure(rows, folder) | {folder} if folder in rows else set()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if not match:
                continue
            place = f"{path.relative_to(ROOT)}:{number}"
            quoted, name = match[1] == '"', match[2]
            if quoted and "/" not in name:
                yield f"{place}: '{name}' is not written from the include root"
            elif quoted and not name.startswith("hq/") and name.split("/")[0] not in allowed:
                yield f"{place}: '{folder}' may not include '{name}'"
            base = name.split("/")[-1]
            if not quoted and CONFINED.get(base, folder) != folder:
                yield f"{place}: <{name}> belongs into '{CONFINED[base]}'"


def check_links(rows):
    for folder, allowed in rows.items():
        path = SRC / folder / "CMakeLists.txt"
        if not path.exists():
            yield f"{path.relative_to(ROOT)}: missing"
            continue
        call = re.search(r"hq_layer\(([^)]*)\)", path.read_text())
        words = call[1].split() if call else []
        links = words[1:words.index("EXT")] if "EXT" in words else words[1:]
        if not words or words[0] != folder or sorted(links) != sorted(allowed):
            yield (f"{path.relative_to(ROOT)}: links {' '.join(links) or 'nothing'}, "
                   f"src/LAYERS says {' '.join(allowed) or 'nothing'}")


def main():
    rows = read_rows(SRC / "LAYERS")
    found = list(check_table(rows))
    if not found:
        found = [*check_includes(rows), *check_links(rows)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
