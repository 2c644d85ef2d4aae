"""What `hq log` has over its older spelling: choosing, searching, the ends of outputs."""
import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import tarfile
import time

import pytest

import hqs
from harness import HQ


@pytest.fixture
def log(bare):
    """Two jobs by two workers; task 1 of job 3 ran twice. Times are seconds."""
    hqs.write(bare.work / "log" / "a.hqs", hqs.task(3, 0, "hello\nworld\n", ms=1000),
              hqs.record(3, 1, 0, "given up\n", ms=2000),
              hqs.task(12, 10, "", "warning: x\n", ms=5000))
    hqs.write(bare.work / "log" / "b.hqs", hqs.task(3, 1, "Hello again\n", instance=2, ms=3000),
              hqs.task(3, 7, "seven\n", "e\n", ms=4000), worker=2)
    return bare


def shown(env, *words, code=0):
    return env.log("log", *words, code=code).stdout.splitlines()


HELLO, WORLD, AGAIN = "03.00:0> hello", "03.00:0> world", "03.01:0> Hello again"
SEVEN, E, WARNING = "03.07:0> seven", "03.07:1> e", "12.10:1> warning: x"
GIVEN_UP = "03.01:0> given up"


@pytest.mark.parametrize("choice, lines", [
    ([], [HELLO, WORLD, AGAIN, SEVEN, E, WARNING]),
    (["--job", "3,12"], [HELLO, WORLD, AGAIN, SEVEN, E, WARNING]),
    (["--job", "4-11"], []),
    (["--task", "7,10"], [SEVEN, E, WARNING]),
    (["--job", "3", "--task", "1-9"], [AGAIN, SEVEN, E]),
    (["--channel", "stderr"], [E, WARNING]),
    (["--worker", "2"], [AGAIN, SEVEN, E]),
    (["--worker", "1,7"], [HELLO, WORLD, WARNING]),
    (["--since", "@3"], [AGAIN, SEVEN, E, WARNING]),
    (["--until", "@3"], [HELLO, WORLD]),
    (["--since", "1970-01-01T00:00:03Z", "--until", "1970-01-01 00:00:04.5 UTC"],
     [AGAIN, SEVEN, E]),
    (["--since", "10m"], []),
    (["--all-instances", "--task", "1"], [GIVEN_UP, AGAIN]),
    (["--all-instances", "--worker", "1", "--task", "0-1"], [HELLO, WORLD, GIVEN_UP]),
    (["--state", "failed"], []),
    (["--grep", "ello"], [HELLO, AGAIN]),
    (["--host", "nowhere"], []), (["--rank", "0"], [])])
def test_choice(log, choice, lines):
    for order in "time", "task":
        assert shown(log, "show", "--lines", "--order", order, *choice) == lines


def test_order_and_times(bare):
    hqs.write(bare.work / "log" / "a.hqs", hqs.record(1, 0, 0, "a\nb", ms=1000),
              hqs.record(1, 1, 0, "x\n", ms=2000), hqs.record(1, 0, 0, "c\nd\n", ms=3500))
    assert shown(bare, "show") == ["1.0:0> a", "b", "1.1:0> x", "1.0:0> c", "d"]
    assert shown(bare, "show", "--lines") == [
        "1.0:0> a", "1.1:0> x", "1.0:0> bc", "1.0:0> d"]
    assert shown(bare, "show", "--lines", "--order=task") == [
        "1.0:0> a", "1.0:0> bc", "1.0:0> d", "1.1:0> x"]
    assert shown(bare, "show", "--lines", "--timestamps") == [
        "1970-01-01T00:00:01Z 1.0:0> a", "1970-01-01T00:00:02Z 1.1:0> x",
        "1970-01-01T00:00:01Z 1.0:0> bc", "1970-01-01T00:00:03.500Z 1.0:0> d"]


@pytest.mark.parametrize("words, lines, code", [
    (["hello"], ["03.00:0:hello"], 0),
    (["-i", "hello"], ["03.00:0:hello", "03.01:0:Hello again"], 0),
    (["-iv", "O", "--job", "3"], ["03.07:0:seven", "03.07:1:e"], 0),
    (["-E", "^(world|e)$"], ["03.00:0:world", "03.07:1:e"], 0),
    (["-c", "l"], ["03.00:0:2", "03.01:0:1"], 0),
    (["-l", "i"], ["3.1", "12.10"], 0),
    (["v", "--task", "7"], ["03.07:0:seven"], 0),
    (["given", "--all-instances"], ["03.01:0:given up"], 0),
    (["given"], [], 1), (["hello\\"], [], 1), (["i", "--since", "@4", "--channel=stderr"],
                                               ["12.10:1:warning: x"], 0)])
def test_grep(log, words, lines, code):
    assert shown(log, "grep", *words, code=code) == lines


def little_memory(env, *words, **kwargs):
    """Runs `hq log log` with less memory than the longest lines take."""
    # The shadow of a sanitizer alone is more than any limit.
    may_limit = b"__asan_init" not in HQ.read_bytes() and b"__tsan_init" not in HQ.read_bytes()
    limit = "ulimit -v 300000; " * may_limit
    return env.run("sh", "-c", f'{limit}exec {HQ} log log "$@"', "hq", *words, **kwargs)


def test_a_line_of_any_length_is_one(bare):
    """It costs bounded memory; a text over the border of two of its pieces is found."""
    n, word = 96 << 20, b"needle"
    line = bytearray(b"x" * n)
    for at in (16 << 20) + (16 << 10), 1 << 20, 30 << 20:
        for k in range(-8, 9, 2):
            line[at + 64 * k - k:at + 64 * k - k + len(word)] = word
    line[-6:] = b"y-last"
    line = line.decode()
    pieces = [line[at:at + (16 << 10)] for at in range(0, n, 16 << 10)]
    hqs.write(bare.work / "log" / "a.hqs", *[hqs.record(1, 0, 0, p) for p in pieces],
              hqs.record(1, 0, 0, b"\nsecond needle\n"), hqs.record(1, 1, 0, b"other\n"))
    for mark, words in (":", ["grep", "needle"]), (":", ["grep", "-i", "NEEDLE"]), \
            (":", ["grep", "-E", "ne+dle"]), ("> ", ["show", "--grep", "needle"]):
        found = little_memory(bare, *words).stdout.splitlines()
        assert found == [f"1.0:0{mark}{line}", f"1.0:0{mark}second needle"]
    assert little_memory(bare, "grep", "-v", "x").stdout == \
        "1.0:0:second needle\n1.1:0:other\n"
    assert little_memory(bare, "grep", "-c", "e").stdout == "1.0:0:2\n1.1:0:1\n"
    for words in ["show", "--lines"], ["show", "--lines", "--order=task"], ["tail"]:
        assert little_memory(bare, *words).stdout.splitlines() == [
            f"1.0:0> {line}", "1.0:0> second needle", "1.1:0> other"]


def test_a_text_that_is_everywhere(bare):
    """A first look at so much of it is called off, and nothing is found twice."""
    tasks, records, block = 6, 40, "a common line\n" * 18000
    hqs.write(bare.work / "log" / "a.hqs", *[
        hqs.record(1, task, 0, block + f"end {record}\n")
        for record in range(records) for task in range(tasks)])
    assert shown(bare, "grep", "-c", "common") == \
        [f"1.{task}:0:{18000 * records}" for task in range(tasks)]
    assert shown(bare, "grep", "end 39") == [f"1.{task}:0:end 39" for task in range(tasks)]
    assert shown(bare, "grep", "-l", "line") == [f"1.{task}" for task in range(tasks)]


@pytest.mark.parametrize("pattern, found", [
    ("x[0-9]+z", True),      # over a cut
    ("^a.*", True), ("last$", True), ("q$|^q", False),
    (r"\<x", False),         # a word begins at no cut
    ("^ax{1000}", True)])
def test_regular_expressions_in_long_lines(bare, pattern, found):
    """Looked at 16 MiB at a time and what comes with them, each with a MiB of the one
    before."""
    n, cuts = 40 << 20, (17 << 20, 33 << 20)
    line = bytearray(b"a" + b"x" * (n - 1))
    for cut in cuts:
        line[cut - 500_000:cut + 500_000] = b"1" * 1_000_000
    line[cuts[0] + 500_000] = ord("z")
    line[-4:] = b"last"
    pieces = [bytes(line[at:at + (1 << 20)]) for at in range(0, n, 1 << 20)]
    hqs.write(bare.work / "log" / "a.hqs", *[hqs.record(1, 0, 0, p) for p in pieces],
              hqs.record(1, 0, 0, b"\n"))
    done = little_memory(bare, "grep", "-cE", pattern, code=0 if found else 1)
    assert done.stdout == "1.0:0:1\n" * found
    assert ("1 lines of more than 16 MiB" in done.stderr) == (not found)


def test_nothing_comes_between_the_pieces_of_a_line(bare):
    """The lines of others are printed when they are due, the long one when it ends. A
    character that lies in two pieces is whole."""
    n, records, others = 5 << 20, [], []
    line = "a" + "\N{EURO SIGN}" * (n // 3)
    raw = line.encode()
    for ms, at in enumerate(range(0, len(raw), 64 << 10)):
        records += [hqs.record(1, 0, 0, raw[at:at + (64 << 10)], ms=1000 + 2 * ms),
                    hqs.record(1, 1, 0, f"other {ms}\n", ms=1001 + 2 * ms)]
        others.append(f"1.1:0> other {ms}")
    hqs.write(bare.work / "log" / "a.hqs", *records,
              hqs.record(1, 0, 0, b"\nshort\n", ms=1000 + 2 * len(others)))
    assert shown(bare, "show", "--lines") == [*others, f"1.0:0> {line}", "1.0:0> short"]
    bare.vars["TMPDIR"] = str(bare.work / "nowhere")
    assert "cannot keep a long line in" in bare.log("log", "show", "--lines", code=1).stderr


def test_grep_errors(log):
    assert "bad regular expression '('" in log.log("log", "grep", "-E", "(", code=1).stderr
    assert "more than a line" in log.log("log", "grep", "a\nb", code=1).stderr
    log.log("log", "grep", "-c", "-l", "x", code=2)


@pytest.mark.parametrize("seed", range(5))
def test_grep_agrees_with_a_plain_search(bare, seed):
    """Random chunks of random tasks: lines and words over the borders of chunks."""
    rng = random.Random(seed)
    texts = {}
    records = []
    for _ in range(400):
        key = rng.randrange(1, 4), rng.randrange(12), rng.randrange(2)
        chunk = "".join(rng.choice("abcN\n") for _ in range(rng.randrange(1, 12)))
        texts[key] = texts.get(key, "") + chunk
        records.append(hqs.record(*key, chunk, ms=rng.randrange(10000)))
    hqs.write(bare.work / "log" / "a.hqs", *records)
    for word in "abc", "N", "cNb", "bb", "":
        want = [f"{j}.{t:02}:{c}:{line}" for (j, t, c), text in sorted(texts.items())
                for line in text.removesuffix("\n").split("\n") if word in line]
        # A line is there when something is: no output has no empty line.
        assert shown(bare, "grep", word, code=None if not want else 0) == want
        if word:
            assert shown(bare, "grep", "-E", word, code=0 if want else 1) == want


@pytest.mark.parametrize("words, lines", [
    (["-n", "1"], [WORLD, AGAIN, SEVEN, E, WARNING]),
    (["-n", "2", "--job=3", "--task=0"], [HELLO, WORLD]),
    (["-n1", "--channel", "stderr"], [E, WARNING])])
def test_tail(log, words, lines):
    assert shown(log, "tail", *words) == lines


def test_tail_goes_over_chunks(bare):
    text = "".join(f"line {i}\n" for i in range(100)) + "open"
    hqs.write(bare.work / "log" / "a.hqs",
              *[hqs.record(1, 0, 0, text[at:at + 7]) for at in range(0, len(text), 7)])
    for n in 1, 2, 10, 100, 101, 500:
        want = [f"1.0:0> {line}" for line in text.split("\n")[-n:]]
        assert shown(bare, "tail", "-n", n) == want
    assert shown(bare, "tail", "-n", "0") == []


def test_list_and_cat_choose_as_well(log):
    rows = log.json("log", "log", "list", "--worker", "2", "--job", "3")
    assert [(r["task"], r["instance"], r["worker"]) for r in rows] == [(1, 2, 2), (7, 0, 2)]
    assert log.log("log", "cat", "stdout", "--since", "@2", "--until", "@4").stdout == \
        "Hello again\n"


def test_several_logs_as_one(bare):
    hqs.write(bare.work / "x.hqs", hqs.task(1, 0, "one\n"))
    hqs.write(bare.work / "d" / "y.hqs", hqs.task(1, 1, "two\n"), worker=2)
    hqs.write(bare.work / "other.hqs", hqs.task(1, 2, "three\n"), uid="xYz789")
    assert bare.log("x.hqs", "--also", "d", "cat", "stdout").stdout == "one\ntwo\n"
    assert "multiple server" in bare.log("x.hqs", "--also", "other.hqs", "jobs", code=1).stderr
    assert "'gone': No such file" in bare.log("x.hqs", "--also", "gone", "jobs", code=1).stderr


@pytest.mark.parametrize("sealed", [[], ["b"], ["a", "b"]])
def test_copies_of_a_log_are_one(pair, sealed):
    """A backup beside the log, the same file twice: each block comes once, and none as
    that of another task."""
    pair.submit_and_wait("--log", "l", "--array", "1-20", "--", "sh", "-c",
                         "echo out $HQ_TASK_ID; sleep 0.03; echo err $HQ_TASK_ID >&2; "
                         "sleep 0.03; echo more $HQ_TASK_ID")
    pair.stop_server()
    (pair.work / "d").mkdir()
    for copy in "a", "b":
        shutil.copy(pair.work / "l", pair.work / "d" / f"{copy}.hqlog")
    for copy in sealed:
        pair.log(f"d/{copy}.hqlog", "seal")
    os.symlink("l", pair.work / "link")
    want = pair.log("l", "show", "--order", "task").stdout
    for where, files in (["d"], 2), (["l", "--also", "l"], 1), (["l", "--also", "link"], 1), \
            (["l", "--also", "d"], 3):
        assert pair.json("log", *where, "summary")["summary"]["n_files"] == files
        assert pair.log(*where, "show", "--order", "task").stdout == want
        assert pair.log(*where, "cat", "stdout").stdout == \
            "".join(f"out {t}\nmore {t}\n" for t in range(1, 21))
        for t in 1, 7, 20:
            assert pair.log(*where, "cat", "stdout", "--task", t).stdout == \
                f"out {t}\nmore {t}\n"
        assert pair.log(*where, "grep", "err 13").stdout == "1.13:1:err 13\n"
        assert pair.log(*where, "grep", "-c", "more").stdout.count(":0:1\n") == 20
        assert pair.log(*where, "check").fields()["Runs"] == "20 (0 unfinished)"


@pytest.mark.parametrize("text", ["yesterday", "25:00", "2026-13-01", "2026-02-31", "10:00 XYZ",
                                  "@", "2026-08-03T", ""])
def test_times_that_are_none(log, text):
    refused = log.log("log", "show", f"--since={text}", code=2).stderr
    assert "--since" in refused and ("expected a time" in refused or not text)


def test_states_hosts_and_ranks(pair):
    job = pair.submit_and_wait("--log", "l", "--array", "0-3", "--", "sh", "-c",
                               "echo $HQ_TASK_ID; exit $((HQ_TASK_ID % 2))")
    assert pair.log("l", "cat", job, "stdout", "--state", "failed").stdout == "1\n3\n"
    assert pair.log("l", "tail", "--state=finished,canceled").stdout == \
        "1.0:0> 0\n1.2:0> 2\n"
    host = pair.json("log", "l", "list")[0]["host"]
    assert pair.log("l", "cat", job, "stdout", "--host", f"x,{host}").stdout == "0\n1\n2\n3\n"
    assert pair.log("l", "list", "--host", "x").stdout.count("\n") == 3
    assert pair.log("l", "show", "--since", "1h", "--state", "unfinished").stdout == ""


def test_log_of_a_job_by_its_number(pair):
    pair.submit_and_wait("--log", "l", "--", "echo", "first")
    job = pair.submit_and_wait("--log", "l", "--", "echo", "second")
    assert pair.log(job, "show").stdout == f"{job}.0:0> second\n"
    assert pair.log("last", "grep", "co").stdout == f"{job}.0:0:second\n"
    assert pair.log("1", "cat", "stdout").stdout == "first\n"
    none = pair.submit_and_wait("--", "true")
    assert "writes into no log" in pair.log(none, "show", code=1).stderr
    assert "Job 99 not found" in pair.log("99", "show", code=1).stderr
    assert pair.json("log", job, "summary")["filename"] == str(pair.work / "l")
    (pair.work / "l").unlink()
    for verb in ["summary"], ["show"], ["cat", "stdout"]:
        assert pair.log(job, *verb, code=1).stderr == \
            f"There is no log of job {job} at '{pair.work / 'l'}'\n"


def test_log_of_a_job_is_that_of_its_server(pair):
    """Where several servers write, the number of a job means that of the one asked."""
    pair.submit_and_wait("--stream", "d", "--", "echo", "of the first")
    pair.submit_and_wait("--log", "l", "--", "echo", "first")
    pair.stop_server()
    pair.start_server()
    pair.start_worker()
    job = pair.submit_and_wait("--stream", "d", "--", "echo", "of the second")
    assert "multiple server instances" in pair.log("d", "show", code=1).stderr
    assert pair.log(job, "show").stdout == f"{job}.0:0> of the second\n"
    assert pair.json("log", job, "summary")["summary"]["n_files"] == 1
    # The log of the job that this server refused to write is another server's.
    refused = pair.submit_and_wait("--log", "l", "--", "echo", "second")
    assert pair.stats(refused) == {"failed": 1}
    assert pair.log(refused, "show", code=1).stderr == \
        f"There is no log of job {refused} at '{pair.work / 'l'}'\n"
    uid = pair.json("server", "info")["server_uid"]
    assert pair.json("log", "--server-uid", uid, "l", "summary")["summary"]["n_files"] == 0


def test_tasks_that_are_not_there(log):
    """Nothing is printed for tasks that were named but do not exist."""
    hqs.write(log.work / "one.hqs", hqs.task(5, 0, "zero\n"), hqs.task(5, 2, "two\n"))
    for verb in ["cat", "stdout"], ["export"], ["export", "--format", "jsonl"]:
        for job in [], ["5"]:
            refused = log.log("one.hqs", verb[0], *job, *verb[1:], "--task", "0-2", code=1)
            assert refused.stderr == "Task 1 not found\n" and refused.stdout == ""
    assert log.log("one.hqs", "cat", "stdout", "--task", "2,0").stdout == "two\nzero\n"
    assert "job" in log.json("log", "one.hqs", "export", "--task", "2")[0]
    # Of several jobs not all have each task.
    assert log.log("log", "cat", "stdout", "--task", "0,10").stdout == "hello\nworld\n"


def test_seal_and_repair_in_each_mode(pair):
    pair.submit_and_wait("--log", "l", "--array", "1-3", "--", "echo", "x")
    pair.stop_server()
    pair.worker.wait()  # it closes the log
    found = pair.json("log", "l", "seal")
    assert [(f["file"], f["n_tasks"]) for f in found] == [("l", 3)]
    assert found[0]["index_size"] > 0
    assert pair.json("log", "l", "repair", "new") == \
        {"n_blocks": found[0]["n_blocks"], "n_dropped": 0}
    for verb in ["seal"], ["repair", "new2"]:
        quiet = pair.hq("--output-mode", "quiet", "log", "l", *verb)
        assert quiet.stdout == quiet.stderr == ""
    assert "exists already" in pair.json("log", "l", "repair", "new", code=1)["error"]


def test_a_selector_of_a_million_ids(log):
    begin = time.monotonic()
    assert shown(log, "show", "--job", "1-1000000", "--task", "0-1000000:5") == \
        ["03.00:0> hello", "world", "12.10:1> warning: x"]
    assert time.monotonic() - begin < 60


def test_sealing_leaves_no_ghost(pair):
    """The index lies where no reader takes it for damage."""
    pair.submit_and_wait("--log", "l", "--array", "1-2000", "--", "echo", "x" * 100)
    pair.stop_server()
    pair.worker.wait()  # it closes the log
    assert re.match(r"l: 2000 tasks, \d+ blocks", pair.log("l", "seal").stdout)
    assert pair.log("l", "check").fields()["Result"] == "good"
    found = pair.log("l", "grep", "-c", "x")
    assert found.stderr == "" and found.stdout.count("\n") == 2000


# -- export ----------------------------------------------------------------------------

def test_export_as_json_lines(log):
    rows = [json.loads(line) for line in shown(log, "export", "--format", "jsonl")]
    assert [(r["job"], r["id"], r["instance"], r["stdout"], r["stderr"]) for r in rows] == [
        (3, 0, 0, "hello\nworld\n", ""), (3, 1, 2, "Hello again\n", ""),
        (3, 7, 0, "seven\n", "e\n"), (12, 10, 0, "", "warning: x\n")]
    assert all(list(r) == sorted(r) and r["finished"] for r in rows)
    assert len(shown(log, "export", "--format", "jsonl", "--all-instances")) == 5
    assert shown(log, "export", "4", "--format", "jsonl", code=1) == []


def test_export_as_files(log):
    log.log("log", "export", "--format", "dir", "--to", "a/b")
    found = {str(p.relative_to(log.work / "a/b")): p.read_text()
             for p in (log.work / "a/b").rglob("*") if p.is_file()}
    assert found == {
        "job-3/0.stdout": "hello\nworld\n", "job-3/0.stderr": "",
        "job-3/1.stdout": "Hello again\n", "job-3/1.stderr": "",
        "job-3/7.stdout": "seven\n", "job-3/7.stderr": "e\n",
        "job-12/10.stdout": "", "job-12/10.stderr": "warning: x\n"}
    refused = log.log("log", "export", "3", "--format", "dir", "--to", "a/b", code=1)
    assert "cannot create 'a/b/job-3/0.stderr': File exists" in refused.stderr
    assert "needs --to" in log.log("log", "export", "--format", "dir", code=1).stderr
    for form in "json", "jsonl", "tar":
        assert log.log("log", "export", "--format", form, "--to", "o", code=1).stderr == \
            f"--format {form} goes to standard output and takes no --to\n"
    log.write("file", "")
    log.log("log", "export", "--format", "dir", "--to", "file", code=1)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 40000])
def test_export_as_tar(bare, size):
    text = bytes(i % 251 for i in range(size))
    chunks = [hqs.record(1, 0, 0, text[at:at + 16384]) for at in range(0, size, 16384)]
    hqs.write(bare.work / "log" / "a.hqs", *chunks, hqs.task(2, 70000, "x", "y", ms=86400000))
    archive = bare.log("log", "export", "--format", "tar").raw
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}
        assert members == {**({"job-1/0.stdout": text, "job-1/0.stderr": b""} if size else {}),
                           "job-2/70000.stdout": b"x", "job-2/70000.stderr": b"y"}
        assert tar.getmember("job-2/70000.stdout").mtime == 86400
    assert len(archive) % 512 == 0
    assert "--to" in bare.log("log", "export", "--format=tar", "--to", "x", code=1).stderr


def test_export_of_damaged_blocks_keeps_the_archive_whole(pair):
    pair.submit_and_wait("--log", "l", "--array", "1-5", "--", "head", "-c", "30000",
                         "/dev/urandom")
    pair.stop_server()
    pair.worker.wait()  # it closes the log
    good = pair.log("l", "export", "--format", "tar").raw
    data = bytearray((pair.work / "l").read_bytes())
    data[40000] ^= 1
    (pair.work / "l").write_bytes(data)
    bad = pair.log("l", "export", "--format", "tar")
    assert bad.stderr and bad.raw != good and len(bad.raw) == len(good)
    with tarfile.open(fileobj=io.BytesIO(bad.raw)) as tar:
        assert len(tar.getmembers()) == 10


# -- export to SQLite --------------------------------------------------------------------

def to_sqlite(env, *words, to="out.db", code=0):
    done = env.run(HQ, "log", "log", "export", *words, "--format", "sqlite", "--to", to,
                   code=None)
    if "built without" in done.stderr or "cannot be loaded" in done.stderr:
        assert done.code == 1 and not list(env.work.glob("out.db*"))
        pytest.skip(done.stderr.strip())
    assert done.code == code, done.stderr
    return done


def rows(env, query, db="out.db"):
    with contextlib.closing(sqlite3.connect(env.work / db)) as database:
        return database.execute(query).fetchall()


def test_export_to_sqlite(log):
    to_sqlite(log)
    assert rows(log, "SELECT job, task, instance, superseded, state, exit_code, worker, "
                     "stdout_bytes, stderr_bytes FROM tasks ORDER BY id") == [
        (3, 0, 0, 0, "ended", None, 1, 12, 0), (3, 1, 2, 0, "ended", None, 2, 12, 0),
        (3, 7, 0, 0, "ended", None, 2, 6, 2), (12, 10, 0, 0, "ended", None, 1, 0, 11)]
    assert rows(log, "SELECT job, task, channel, time_us, data FROM blocks "
                     "JOIN tasks ON id = task_id ORDER BY time_us, channel DESC") == [
        (3, 0, "stdout", 1000000, b"hello\nworld\n"),
        (3, 1, "stdout", 3000000, b"Hello again\n"),
        (3, 7, "stdout", 4000000, b"seven\n"), (3, 7, "stderr", 4000000, b"e\n"),
        (12, 10, "stderr", 5000000, b"warning: x\n")]
    assert rows(log, "PRAGMA user_version") == [(1,)]
    assert rows(log, "PRAGMA integrity_check") == [("ok",)]
    assert dict(rows(log, "SELECT * FROM log"))["path"] == "log"
    to_sqlite(log, "--task", "1", "--all-instances", to="runs.db")
    assert rows(log, "SELECT instance, superseded FROM tasks", "runs.db") == [(0, 1), (2, 0)]


def test_export_to_sqlite_tells_how_tasks_ended(pair):
    script = "echo $HQ_TASK_ID; test $HQ_TASK_ID != 2 || exit 7; test $HQ_TASK_ID != 3 || kill -9 $$"
    pair.submit_and_wait("--log", "log", "--array", "1-3", "--", "sh", "-c", script)
    to_sqlite(pair)
    assert rows(pair, "SELECT task, state, cut, exit_code, signal FROM tasks ORDER BY task") == [
        (1, "finished", 0, 0, None), (2, "failed", 0, 7, None), (3, "failed", 0, None, 9)]
    listed = json.loads(pair.hq("log", "log", "list", "--output-mode", "json").stdout)
    assert rows(pair, "SELECT task, host, rank, worker FROM tasks ORDER BY task") == [
        (t["task"], t["host"], t["rank"], t["worker"]) for t in listed]
    begun = rows(pair, "SELECT count(*) FROM tasks WHERE start_us > 1e15 AND end_us >= start_us")
    assert begun == [(3,)]


def test_export_to_sqlite_leaves_files_alone(log):
    to_sqlite(log, "--task", "0")
    before = (log.work / "out.db").read_bytes()
    assert to_sqlite(log, code=1).stderr == "'out.db' exists already\n"
    assert (log.work / "out.db").read_bytes() == before
    assert to_sqlite(log, to=".", code=1).stderr == "'.' exists already\n"
    assert "cannot create 'no/out.db': No such file" in \
        to_sqlite(log, to="no/out.db", code=1).stderr
    assert "Job 99 not found" in to_sqlite(log, "99", to="x.db", code=1).stderr
    assert [p.name for p in log.work.glob("*.db*")] == ["out.db"]
    assert "needs --to FILE" in log.log("log", "export", "--format", "sqlite", code=1).stderr


def test_export_to_sqlite_without_room(bare):
    """What was written so far goes away."""
    hqs.write(bare.work / "log" / "a.hqs",
              *[hqs.task(1, t, "x" * 15000, ms=t) for t in range(100)])
    to_sqlite(bare, "--task", "1")
    done = bare.run("bash", "-c", f"trap '' XFSZ; ulimit -f 500; {HQ} log log export "
                    "--format sqlite --to small.db", code=1)
    assert re.fullmatch("cannot write 'small.db': (File too large|disk I/O error)\n",
                        done.stderr)
    assert not list(bare.work.glob("small.db*"))


@pytest.mark.parametrize("words", ["export --format sqlite --to", "repair"])
def test_a_signal_leaves_nothing_half_written(pair, words):
    """Here that of the limit of a file's size, at a point that is the same each time."""
    pair.submit_and_wait("--log", "log", "--", "head", "-c", "700000", "/dev/zero")
    to_sqlite(pair)
    done = pair.run("bash", "-c", f"ulimit -f 500; exec {HQ} log log {words} new", code=None)
    assert done.code == -signal.SIGXFSZ
    assert not list(pair.work.glob("new*"))


def test_hq_does_not_load_sqlite(log):
    to_sqlite(log)
    maps = log.run("sh", "-c", f"LD_DEBUG=files {HQ} log log summary 2>&1").stdout
    assert "libc.so" in maps and "sqlite" not in maps


@pytest.mark.parametrize("form", ["json", "jsonl", "tar"])
def test_export_to_a_full_disk(log, form):
    full = log.run("sh", "-c", f"{HQ} log log export --format {form} > /dev/full", code=1)
    assert "No space left" in full.stderr


@pytest.mark.parametrize("sealed", [True, False])
def test_grep_of_many_small_tasks(pair, sealed):
    """Tasks whose output is one block, where lines are taken at the first look."""
    script = ("echo begin $HQ_TASK_ID; echo value $((HQ_TASK_ID % 10)); printf open; "
              "test $((HQ_TASK_ID % 50)) -ne 0 || { echo Wrong >&2; sleep 0.01; echo late; }")
    job = pair.submit_and_wait("--log", "l", "--array", "1-300", "--", "sh", "-c", script)
    if sealed:
        pair.stop_server()
        pair.worker.wait()  # it closes the log
        pair.log("l", "seal")
    ids = [t for t in range(1, 301) if t % 10 == 3]
    assert pair.log("l", "grep", "value 3").stdout == \
        "".join(f"{job}.{t:03}:0:value 3\n" for t in ids)
    assert pair.log("l", "grep", "-c", "value 3").stdout == \
        "".join(f"{job}.{t:03}:0:1\n" for t in ids)
    assert pair.log("l", "grep", "-l", "VALUE 3", "-i").stdout == \
        "".join(f"{job}.{t}\n" for t in ids)
    assert pair.log("l", "grep", "open").stdout.count(":open\n") == 294
    wrong = [f"{job}.{t:03}:1:Wrong" for t in range(50, 301, 50)]
    assert pair.log("l", "grep", "Wrong").stdout.splitlines() == wrong
    assert pair.log("l", "grep", "openlate").stdout.count("\n") == 6
    assert pair.log("l", "grep", "-c", "i").stdout.count(":2\n") == 0


@pytest.mark.parametrize("seed", range(4))
def test_grep_of_texts_in_pieces(bare, seed):
    """Output of many tasks, mixed up and cut anywhere, in several files."""
    rng = random.Random(seed)
    lines = {task: ["".join(rng.choices("ab", k=rng.randrange(12))) for _ in range(40)]
             for task in range(10)}
    for worker in range(1, 4):
        mine, records = [t for t in lines if t % 3 == worker - 1], []
        left = {task: "".join(line + "\n" for line in lines[task]) for task in mine}
        while any(left.values()):
            task = rng.choice([t for t in mine if left[t]])
            size = rng.randrange(1, 9)
            records.append(hqs.record(1, task, 0, left[task][:size], ms=len(records)))
            left[task] = left[task][size:]
        hqs.write(bare.work / "log" / f"{worker}.hqs", *records, worker=worker)
    for pattern in "a", "abba", "bbbb", "babab", "abababab":
        want = [f"1.{t}:0:{line}" for t in lines for line in lines[t] if pattern in line]
        assert shown(bare, "grep", pattern, code=0 if want else 1) == want
        assert shown(bare, "grep", "-i", pattern.upper(), code=0 if want else 1) == want


@pytest.mark.parametrize("verb", [["show"], ["grep", ""], ["tail"], ["show", "--order", "task"]])
def test_a_long_list_of_ids(bare, verb):
    hqs.write(bare.work / "log" / "a.hqs", *[hqs.task(1, t, f"{t}\n", ms=t) for t in range(6000)])
    ids = range(1, 6000, 2)
    mark = ":" if verb[0] == "grep" else "> "
    assert shown(bare, *verb, "--task", ",".join(map(str, ids))) == \
        [f"1.{t:04}:0{mark}{t}" for t in ids]


# -- what is no log, and damage ----------------------------------------------------------

def test_what_is_no_log(bare):
    bare.write("empty", "")
    bare.write("text", "hello\n")
    (bare.work / "zeros").write_bytes(bytes(10000))
    (bare.work / "dir").mkdir()
    os.mkfifo(bare.work / "fifo")
    for path, why in [("empty", "'empty' is not an output log: it is empty"),
                      ("text", "'text' is not an output log"),
                      ("zeros", "'zeros': not an output log"),
                      ("dir", "Error: No log files found"),
                      ("fifo", "'fifo' is not a regular file"),
                      ("text/x", "'text/x': Not a directory (os error 20)"),
                      ("nothing", "'nothing': No such file or directory (os error 2)")]:
        for verb in ["summary"], ["check"], ["grep", "x"], ["cat", "stdout"]:
            assert bare.log(path, *verb, code=1).stderr == why + "\n"
    for path in "empty", "text":
        assert bare.hq("output-log", path, "summary", code=1).stderr == \
            "Not a directory (os error 20)\n"


def test_a_log_that_cannot_be_read_is_told(pair):
    """One log of a directory is lost as a whole: the others are read, and nobody takes
    them for all."""
    pair.submit_and_wait("--stream", "d", "--", "echo", "x")
    pair.stop_server()
    good = next((pair.work / "d").iterdir())
    pair.write("d/empty.hqlog", "")
    (pair.work / "d" / "dir.hqlog").mkdir()
    pair.write("d/foreign.hqs", "as HyperQueue does: left out without a word")
    assert pair.log("d", "show").stderr == ""
    (pair.work / "d" / "zeros.hqlog").write_bytes(bytes(good.stat().st_size))
    (pair.work / "d" / "loop.hqlog").symlink_to("loop.hqlog")
    size = good.stat().st_size
    for verb in ["show"], ["grep", "x"], ["tail"]:
        found = pair.log("d", *verb)
        assert found.stdout.endswith("x\n")
        assert f"d/zeros.hqlog: no output log at offset 0 ({size} bytes)" in found.stderr
        assert "d/loop.hqlog: log that cannot be opened" in found.stderr
    found = pair.json("log", "d", "check", code=1)
    assert not found["good"] and found["n_damages"] == 2
    assert {os.path.basename(f["file"]) for f in found["findings"]} == \
        {"zeros.hqlog", "loop.hqlog"}


def test_grep_tells_damage_once(pair):
    """Also where the log is read a second time for the lines."""
    pair.submit_and_wait("--log", "log", "--array", "1-4", "--", "sh", "-c",
                         "seq 20000; sleep 0.05; echo found $HQ_TASK_ID")
    pair.stop_server()
    pair.worker.wait()  # it closes the log
    data = bytearray((pair.work / "log").read_bytes())
    # In the middle of the longest block.
    length, at = max((int.from_bytes(data[m.start() + 12:m.start() + 16], "little"), m.start())
                     for m in re.finditer(rb"(?s)....HQLB", data))
    data[at + 48 + length // 2] ^= 1
    (pair.work / "log").write_bytes(data)
    for words in (["found"], ["1"], ["-c", "7"]):
        told = pair.log("log", "grep", *words).stderr.splitlines()
        assert len(told) == len(set(told)) == 1 and "damaged block" in told[0], told
    # Looked at by several threads or by one: the same.
    alone = pair.run("taskset", "-c", "0", HQ, "log", "log", "grep", "found")
    assert alone.stdout == pair.log("log", "grep", "found").stdout
