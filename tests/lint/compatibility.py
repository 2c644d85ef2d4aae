"""Every test that docs/compatibility.md names exists, and every contract names one."""
import re
import sys
from pathlib import Path

root = Path(__file__).resolve().parents[2]
page = root / "docs" / "compatibility.md"
bad = []


def exists(name):
    path, _, function = name.partition("::")
    file = root / "tests" / (path if path.startswith(("unit/", "sim/")) else f"e2e/{path}")
    if not file.is_file():
        return False
    return not function or re.search(rf"\b{re.escape(function)}\(", file.read_text())


in_contract = False
for number, line in enumerate(page.read_text().splitlines(), 1):
    if line.startswith("|"):
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line.strip("|"))]
        if cells[0] == "contract":
            in_contract = True
        elif in_contract and not cells[0].startswith("---"):
            names = re.findall(r"`([^`]+)`", cells[-1])
            if not names:
                bad.append(f"{page}:{number}: names no test")
            bad += [f"{page}:{number}: no test {n}" for n in names if not exists(n)]
    else:
        in_contract = False

print("\n".join(bad))
sys.exit(bool(bad))
