#!/usr/bin/env python3
"""Calls that have no place in C sources, and files that hold more than one idea."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BANNED = ("strcpy stpcpy strcat sprintf vsprintf strtok gets alloca system rand srand "
          "tmpnam mktemp").split()
CALL = re.compile(rf"(?<![\w.>])({'|'.join(BANNED)})\s*\(")
# Comments, strings and character constants, in this order of the text.
NOT_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
MAX_LINES = 1000


def files(*patterns):
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                          "--exclude-standard", "--", *patterns],
                         cwd=ROOT, check=True, capture_output=True).stdout
    return [ROOT / name for name in out.decode().split("\0") if name]


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def main():
    found = []
    for path in files("*.c", "*.h", "*.def", "*.py", "*.sh"):
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        name = path.relative_to(ROOT)
        lines = text.count("\n")
        if lines >= MAX_LINES:
            found.append(f"{name}: {lines} lines, {MAX_LINES - 1} at most")
        if path.suffix not in (".c", ".h", ".def"):
            continue
        code = NOT_CODE.sub(blank, text)
        if name.parts[0] == "tests":  # a test may run a program of the machine
            code = re.sub(r"(?<![\w.>])system\s*\(", "", code)
        for match in CALL.finditer(code):
            number = code.count("\n", 0, match.start()) + 1
            found.append(f"{name}:{number}: {match[1]}() is banned")
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
