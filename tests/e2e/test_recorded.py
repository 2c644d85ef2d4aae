"""Console sessions recorded with the upstream program, replayed with ours.

Skipped where there are no recordings; HQ_TRANSCRIPTS names their folder. Sessions that
`docs/compatibility.md` lists as deliberate differences have to differ, all others to agree.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import HQ, PATIENCE, ROOT

FOLDER = Path(os.environ.get("HQ_TRANSCRIPTS", ROOT.parent / "shared" / "transcripts"))


def sessions():
    cases = sorted((FOLDER / "cases").glob("*/*.case")) if FOLDER.is_dir() else []
    return [f"{c.parent.name}/{c.stem}" for c in cases]


def deliberate():
    """First column of the table of recorded sessions that differ."""
    text = (ROOT / "docs" / "compatibility.md").read_text()
    return set(re.findall(r"^\| `([a-z]+/[a-z0-9-]+)` \|", text, re.M))


def replay(session):
    # Sessions end with SIGKILL: what their workers leave behind goes with the directory.
    with tempfile.TemporaryDirectory(prefix="hqr-", ignore_cleanup_errors=True) as temp:
        case = Path(temp) / f"{Path(session).name}.case"
        scratch = Path(temp) / "tmp"
        scratch.mkdir()
        # Directories for temporary files are known by "/tmp/hq" and six characters.
        text = (FOLDER / "cases" / f"{session}.case").read_text()
        case.write_text(text.replace("<TEMP>", f"{temp}<TEMP>"))
        command = [sys.executable, str(FOLDER / "replay"), str(HQ), str(case)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120 * PATIENCE,
                              env={**os.environ, "TMPDIR": str(scratch)})
    return done.returncode == 0, done.stdout.decode(errors="replace")


@pytest.mark.parametrize("session", sessions() or [
    pytest.param("", marks=pytest.mark.skip(reason="no recordings here"))])
def test_session(session):
    agrees, text = replay(session)
    if session in deliberate():
        assert not agrees, f"{session} agrees: remove it from docs/compatibility.md"
    elif not agrees:
        # Recordings hold fixed waits, which a busy machine may not keep: once more.
        agrees, again = replay(session)
        assert agrees, f"{text}\n---- again ----\n{again}"


def test_deliberate_differences_name_recorded_sessions():
    if not FOLDER.is_dir():
        pytest.skip("no recordings here")
    assert deliberate() <= set(sessions())
