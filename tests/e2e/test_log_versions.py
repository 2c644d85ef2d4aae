"""Logs that released versions wrote stay readable, see tests/fixtures/outlog/make.py."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import HQ, ROOT
from hqlog_reader import Log, runs_of as runs_of_blocks, xxh3

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures" / "outlog"
LOGS = sorted(FIXTURES.glob("*.hqlog"))


def test_each_version_has_its_logs():
    assert {p.stem for p in LOGS} >= {"v1-open", "v1-sealed", "v1-damaged"}


def runs_of(log):
    return [json.loads(line) for line in log.with_suffix(".runs").read_text().splitlines()]


@pytest.mark.parametrize("log", LOGS, ids=lambda p: p.stem)
def test_the_independent_reader_finds_the_same_as_then(log):
    found = subprocess.run([sys.executable, HERE / "hqlog_reader.py", log],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    assert found.stdout.decode() == log.with_suffix(".runs").read_text()


@pytest.mark.core
@pytest.mark.parametrize("log", LOGS, ids=lambda p: p.stem)
def test_hq_log_finds_the_same_as_then(bare, log):
    found = bare.hq("log", log, "export", "--format", "jsonl", "--all-instances", code=None)
    rows = {(r["job"], r["id"], r["instance"]): r
            for r in map(json.loads, found.stdout.splitlines())}
    runs = runs_of(log)
    more = set(rows) - {(r["job"], r["task"], r["instance"]) for r in runs}
    # Of the run whose only block is damaged the index tells.
    assert len(more) == ("damaged" in log.stem)
    for run in runs:
        row = rows[run["job"], run["task"], run["instance"]]
        assert row["state"] == run["state"]
        if (run["job"], run["task"]) == (2, 1):
            continue  # random bytes, no text
        for channel in ("out", "err"):
            text = row[f"std{channel}"].encode()
            assert len(text) == run[f"std{channel}_size"]
            assert f"{xxh3(text):016x}" == run[channel]


def test_the_log_in_the_specification(bare):
    """Its bytes are those of a log, for us and for the reader made from the text."""
    text = (ROOT / "docs" / "format-outlog.md").read_text().partition("## 9. ")[2]
    size = int(re.search(r"The file is (\d+)\s+bytes", text).group(1))
    data = bytearray(size)
    rows = re.findall(r"^ *(\d+)  ((?:[0-9a-f]{2} ?)+)$", text, re.M)
    for place, row in rows:
        piece = bytes.fromhex(row)
        data[int(place):int(place) + len(piece)] = piece
    assert len(rows) > 20 and len(data) == size
    log = bare.work / "text.hqlog"
    log.write_bytes(data)
    assert bare.hq("log", log, "cat", "7", "stdout", "--task", "3").stdout == "hello\n"
    assert "| good " in bare.hq("log", log, "check").stdout
    theirs = Log(log)
    run, = runs_of_blocks(theirs.scan())
    assert (run["job"], run["task"], run["out"]) == (7, 3, b"hello\n")
    assert (run["state"], run["exit_code"]) == ("failed", 3)
    assert list(runs_of_blocks(theirs.indexed())) == [run] and not theirs.damage
    key, seed = re.findall(r"is `0x([0-9a-f]{16})`", text)
    assert theirs.key == int(key, 16).to_bytes(8, "little")
    assert theirs.seed(12288) == int(seed, 16)


@pytest.mark.core
@pytest.mark.parametrize("log", LOGS, ids=lambda p: p.stem)
def test_check_and_repair(bare, log):
    before = log.read_bytes()
    good = "damaged" not in log.stem
    check = bare.hq("log", log, "check", code=0 if good else 1)
    assert f"| {'good' if good else 'damaged'} " in check.stdout
    bare.hq("log", log, "repair", "whole.hqlog")
    assert "| good " in bare.hq("log", "whole.hqlog", "check").stdout
    random = next(r for r in runs_of(log) if (r["job"], r["task"]) == (2, 1))
    out = subprocess.run([HQ, "log", bare.work / "whole.hqlog", "cat", "2", "stdout",
                          "--task", "1"], stdout=subprocess.PIPE, check=True).stdout
    assert f"{xxh3(out):016x}" == random["out"] and len(out) == 100_000
    assert log.read_bytes() == before
