"""Manual pages: all of them are there, installed, and correct mdoc."""
import re
import shutil
import subprocess

import pytest

from harness import ROOT, build_dir

FILES = sorted((ROOT / "docs" / "man").glob("*.5"))
GROUPS = ["doc", "generate-completion", "job", "log", "output-log", "server", "submit",
          "task", "worker"]


def lint(pages):
    """What mandoc has against the pages; pages that it cannot find do not count."""
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "style", *map(str, pages)],
                          stdout=subprocess.PIPE, text=True)
    return [line for line in done.stdout.splitlines()
            if "referenced manual not found" not in line]


@pytest.fixture
def pages(bare):
    bare.hq("generate-docs", "man", bare.work)
    return {path.name: path for path in bare.work.glob("*.1")}


def test_one_page_for_each_group(bare, pages):
    shown = re.search(r"(?s)Commands:\n(.*?)\n\n", bare.hq("-h").stdout).group(1)
    groups = re.findall(r"(?m)^  ([a-z-]+) ", shown)
    assert set(GROUPS) <= set(groups)
    assert set(pages) == {"hq.1", "hq-mpi-worker.1", *(f"hq-{g}.1" for g in groups)}
    assert {"hq-workflow.5", "hq-log.5"} <= {path.name for path in FILES}


def test_pages_tell_all(bare, pages):
    """Each page has its sections, each option of its commands, the variables."""
    for name, path in pages.items():
        text = path.read_text()
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"):
            assert f"\n.Sh {section}\n" in text, (name, section)
    for words in (["submit"], ["job", "list"], ["task", "list"], ["server", "start"],
                  ["worker", "start"]):
        text = pages[f"hq-{words[0]}.1"].read_text()
        options = re.findall(r"(?m)^ +(?:-\w, )?--([a-z-]+)", bare.hq(*words, "-h").stdout)
        assert len(options) > 2
        for option in set(options) - {"help"}:
            assert f" Fl -{option}" in text, (words, option)
    for variable in ("HQ_SERVER_DIR", "HQ_OUTPUT_MODE", "HQ_DEBUG"):
        assert f".Ev {variable}" in pages["hq.1"].read_text()


def test_pages_are_correct(pages):
    if not shutil.which("mandoc"):
        pytest.skip("no mandoc")
    assert lint([*pages.values(), *FILES]) == []


@pytest.mark.core
def test_pages_are_installed(bare):
    if not shutil.which("cmake"):
        pytest.skip("no cmake")
    bare.run("cmake", "--install", build_dir(), "--prefix", bare.root / "usr", timeout_s=60)
    manuals = bare.root / "usr" / "share" / "man"
    names = {path.name for path in manuals.glob("man*/*")}
    assert {"hq.1", "hq-mpi-worker.1", "hq-workflow.5", "hq-log.5",
            *(f"hq-{g}.1" for g in GROUPS)} <= names
    if not shutil.which("man"):
        return
    for page in ("hq", "hq-job", "hq-task", "hq-mpi-worker", "hq-workflow", "hq-log"):
        where = bare.run("man", "-M", manuals, "-w", page).stdout
        assert where.startswith(f"{manuals}/man")
