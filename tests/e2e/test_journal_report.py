"""`hq journal report`: one page about a journal."""
import re
from html.parser import HTMLParser

import pytest


class Page(HTMLParser):
    """Checks that tags are closed and that nothing comes from elsewhere."""

    VOID = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.tiles = [], [], {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            assert name not in ("src", "href") and "url(" not in (value or "")
        assert tag not in ("script", "link", "img", "iframe")

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            if self.open[-2:] == ["div", "span"]:
                self.tiles[data] = int(self.texts[-1])
            self.texts.append(data.strip())


def report(env, *words):
    result = env.hq("journal", "report", "j", "out.html", *words)
    assert (result.stdout, result.stderr) == ("", "")
    text = env.read("out.html")
    assert "@import" not in text and "nan" not in re.sub(r"<title>.*?</title>", "", text)
    return Page(text)


@pytest.fixture
def ran(bare):
    """A journal with workers, failures, cancels, aborts, a lost worker, a restart."""
    bare.start_server("--journal", "j")
    worker = bare.start_worker("--resource", "mem=sum(100)", cpus=2)
    bare.submit_and_wait("--array", "1-40", "--stdout", "none", "--stderr", "none", "--",
                         "sh", "-c", "exit $((HQ_TASK_ID % 4 == 0))")
    bare.submit_and_wait("--cpus", "2", "--resource", "mem=10", "--", "sleep", "0.2")
    graph = bare.workflow('tasks:\n  a: {run: "exit 1"}\n  b: {needs: a, run: "true"}\n')
    bare.hq("job", "wait", graph)
    job = bare.submit("--cpus", "64", "--array", "1-3", "--", "true")
    bare.hq("job", "cancel", job)
    running = bare.submit("--", "sh", "-c", "test $HQ_INSTANCE_ID != 0 || sleep 60")
    bare.wait_stats(running, running=1)
    worker.kill()
    bare.start_worker(cpus=1)
    bare.wait_job(running)
    bare.stop_server()
    return bare


@pytest.mark.core
def test_page(ran):
    page = report(ran)
    assert page.texts.count("HQ Journal Report") == 2  # title and heading
    assert page.tiles == {"workers": 2, "jobs": 5, "starts of tasks": 44, "finished": 32,
                          "failed": 11, "canceled": 3, "aborted": 1}
    for text in ("Workers", "Running tasks", "Utilization of resources", "Tasks by request",
                 "Durations of tasks", "cpus 2, mem 100.00 MiB", "cpus 2 compact, mem 10 compact"):
        assert text in page.texts


@pytest.mark.core
def test_window(ran):
    page = report(ran, "--start-time", "1h")
    assert page.tiles["finished"] == page.tiles["failed"] == page.tiles["canceled"] == 0
    page = report(ran, "--start-time", "0s", "--end-time", "1h")
    assert page.tiles["finished"] == 32
    result = ran.hq("journal", "report", "j", "out.html", "--start-time", "2s",
                    "--end-time", "1s", code=1)
    assert "--end-time must be later than --start-time" in result.stderr


def test_size_does_not_depend_on_tasks(bare):
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=2)
    sizes = []
    for _ in range(2):
        bare.submit_and_wait("--array", "1-3000", "--stdout", "none", "--stderr", "none",
                             "--", "true")
        bare.hq("journal", "flush")
        report(bare)
        sizes.append(bare.work.joinpath("out.html").stat().st_size)
    assert max(sizes) < 60_000


def test_many_kinds_of_requests(bare):
    bare.start_server("--journal", "j")
    for n in range(40):
        bare.submit("--cpus", f"{100 + n}", "--", "true")
    bare.hq("job", "cancel", "all")
    bare.hq("journal", "flush")
    page = report(bare)
    assert page.tiles["canceled"] == 40
    assert "all other requests" in page.texts


def test_errors(bare):
    bare.start_server("--journal", "j")
    bare.stop_server()
    data = bare.work.joinpath("j").read_bytes()
    bare.work.joinpath("header").write_bytes(data[:80])
    result = bare.hq("journal", "report", "header", "out.html", code=1)
    assert result.stderr == "Empty journal\n"
    result = bare.hq("journal", "report", "j", "no/dir/out.html", code=1)
    assert result.stderr == "No such file or directory (os error 2)\n"
    result = bare.hq("--output-mode", "json", "journal", "report", "none", "x", code=1)
    assert result.json() == {"error": "Cannot open event log file at `none`: "
                             "No such file or directory (os error 2)"}
    assert bare.json("journal", "report", "j", "out.html") == {}
    assert not (bare.work / "x").exists()
    (bare.work / "link").symlink_to("j")
    result = bare.hq("journal", "report", "j", "link", code=1)
    assert result.stderr == 'the page would overwrite the journal "j"\n'
    assert (bare.work / "j").read_bytes() == data
