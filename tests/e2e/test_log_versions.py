"""Logs that released versions wrote stay readable, see tests/fixtures/outlog/make.py."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import HQ
from hqlog_reader import xxh3

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
