"""The reader of `hq output-log` and `hq log`, on files as HyperQueue's workers write them
and as ours do; no server runs."""
import json
import os

import pytest

import hqs

READERS = ["output-log", "log"]
EMPTY = {"n_files": 0, "n_jobs": 0, "n_opened": 0, "n_streams": 0, "n_superseded": 0,
         "n_tasks": 0, "stderr_size": 0, "stdout_size": 0, "superseded_stderr_size": 0,
         "superseded_stdout_size": 0}


@pytest.fixture
def two(bare):
    """Jobs 3 and 12 in the files of two workers; task 1 of job 3 ran twice."""
    log = bare.work / "log"
    hqs.write(log / "a.hqs", hqs.task(3, 0, "hello\n", ms=1000),
              hqs.record(3, 1, 0, "first\n", ms=2000),
              hqs.task(12, 10, "", "warning: x\n", ms=5000))
    hqs.write(log / "b.hqs", hqs.task(3, 1, "second\n", instance=2, ms=3000),
              hqs.task(3, 7, "no newline", "e", ms=4000), worker=2)
    return bare


def summary(env, *args):
    return env.json("output-log", *args, "summary")["summary"]


# -- opening ---------------------------------------------------------------------------

@pytest.mark.parametrize("reader", READERS)
def test_opening_errors(bare, reader):
    (bare.work / "empty").mkdir()
    (bare.work / "file").touch()
    no_log = ("Not a directory (os error 20)" if reader == "output-log" else
              "'file' is not an output log: it is empty")
    missing = "No such file or directory (os error 2)"
    for path, text in [("missing", missing if reader == "output-log" else
                        f"'missing': {missing}"),
                       ("file", no_log),
                       ("empty", "Error: No log files found")]:
        refused = bare.hq(reader, path, "jobs", code=1)
        assert refused.stderr == f"{text}\n" and refused.stdout == ""
        refused = bare.hq("--output-mode", "json", reader, path, "jobs", code=1)
        assert refused.json() == {"error": text}


def test_files_without_a_header_are_left_out(bare):
    hqs.write(bare.work / "log" / "good.hqs", hqs.task(1, 0, "x"))
    for name, data in [("junk.hqs", b"junk\n"), ("none.hqs", b""), ("cut.hqs", b"hqsf00"),
                       ("long.hqs", b"hqsf0000\xfdxxxxxxxxxxxxx"), ("x.txt", b"text")]:
        (bare.work / "log" / name).write_bytes(data)
    assert summary(bare, "log")["n_files"] == 1
    os.unlink(bare.work / "log" / "good.hqs")
    assert summary(bare, "log") == EMPTY


def test_only_the_directory_itself_is_read(two):
    hqs.write(two.work / "log" / "sub" / "c.hqs", hqs.task(99, 0, "x"))
    assert two.hq("output-log", "log", "jobs").stdout == "3\n12\n"


def test_streams_of_several_servers(two):
    hqs.write(two.work / "log" / "c.hqs", hqs.task(3, 0, "other"), uid="xYz789")
    refused = two.hq("output-log", "log", "summary", code=1).stderr.splitlines()
    assert refused[0] == "Error: Found streams from multiple server instances:"
    assert sorted(refused[1:3]) == ["AbC123", "xYz789"]
    assert refused[3] == "Use --server-uid=... to specify server uid"
    assert two.hq("output-log", "--server-uid", "xYz789", "log", "cat", "3",
                  "stdout").stdout == "other"
    assert summary(two, "log", "--server-uid=AbC123")["n_files"] == 2
    assert summary(two, "--server-uid=nobody", "log") == EMPTY


@pytest.mark.parametrize("words, text", [
    ((), "error: 'hq output-log' requires a subcommand but one was not provided"),
    (("nonsense",), "error: unexpected argument 'nonsense' found"),
    (("cat", "last", "stdout"),
     "error: invalid value 'last' for '<JOB>': invalid digit found in string"),
    (("cat", "1", "both"), "error: invalid value 'both' for '<CHANNEL>'"),
    (("cat", "1"), "error: the following required arguments were not provided:"),
    (("cat", "1", "stdout", "--task", "x"), "error: invalid value 'x' for '--task <TASK>': "),
    (("cat", "1", "stdout", "--task", "5-1"),
     "error: invalid value '5-1' for '--task <TASK>': "),
    (("cat", "1", "stdout", "--task", "1-4:9"),
     "error: invalid value '1-4:9' for '--task <TASK>': "),
    (("cat", "1", "stdout", "--task", "1-4,2"),
     "error: invalid value '1-4,2' for '--task <TASK>': "),
    (("show", "--job", "x"),
     "error: invalid value 'x' for '--job <JOB>': invalid digit found in string"),
    (("show", "--channel", "x"), "error: invalid value 'x' for '--channel <CHANNEL>'"),
    (("summary", "--server-uid", "x"), "error: unexpected argument '--server-uid' found"),
])
def test_usage_errors(two, words, text):
    refused = two.hq("output-log", "log", *words, code=2)
    assert refused.stderr.startswith(text) and refused.stdout == ""


# -- summary and jobs ------------------------------------------------------------------

@pytest.mark.parametrize("reader", READERS)
def test_summary_table(two, reader):
    assert two.hq(reader, "log", "summary").stdout == """\
+-------------------------------+-------------+
| Path                          | log         |
| Files                         | 2           |
| Jobs                          | 2           |
| Tasks                         | 4           |
| Opened streams                | 0           |
| Stdout/stderr size            | 23 B / 12 B |
| Superseded streams            | 1           |
| Superseded stdout/stderr size | 6 B / 0 B   |
+-------------------------------+-------------+
"""
    assert two.hq("--output-mode", "quiet", reader, "log", "summary").stdout == ""


def test_summary_json(two):
    text = two.hq("--output-mode", "json", "output-log", "./log", "summary").stdout
    value = json.loads(text)
    assert list(value) == ["filename", "summary"] and value["filename"] == "./log"
    assert value["summary"] == {
        "n_files": 2, "n_jobs": 2, "n_opened": 0, "n_streams": 5, "n_superseded": 1,
        "n_tasks": 4, "stderr_size": 12, "stdout_size": 23, "superseded_stderr_size": 0,
        "superseded_stdout_size": 6}
    assert list(value["summary"]) == sorted(value["summary"])
    assert text == json.dumps(value, indent=2) + "\n"


@pytest.mark.parametrize("size, text", [
    (2047, "2047 B"), (2048, "2.00 KiB"), (2 * 1024 ** 2 - 1, "2048.00 KiB"),
    (2 * 1024 ** 2, "2.00 MiB")])
def test_sizes(bare, size, text):
    chunks = [hqs.record(1, 0, 0, b"x" * min(16384, size - at))
              for at in range(0, size, 16384)]
    hqs.write(bare.work / "log" / "a.hqs", *chunks)
    assert bare.hq("output-log", "log", "summary").fields()["Stdout/stderr size"] == \
        f"{text} / 0 B"


@pytest.mark.parametrize("mode", ["cli", "json", "quiet"])
def test_jobs_in_each_mode(two, mode):
    assert two.hq("--output-mode", mode, "output-log", "log", "jobs").stdout == "3\n12\n"
    (two.work / "log2").mkdir()
    (two.work / "log2" / "x.hqs").touch()
    assert two.hq("--output-mode", mode, "output-log", "log2", "jobs").stdout == ""


# -- show ------------------------------------------------------------------------------

ALL = ["03.00:0> hello", "03.01:0> second", "03.07:0> no newline", "03.07:1> e",
       "12.10:1> warning: x"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("filters, lines", [
    ([], ALL), (["--job", "12"], ALL[4:]), (["--channel", "stderr"], ALL[3:]),
    (["--channel=stdout"], ALL[:3]), (["--job=3", "--channel=stderr"], ALL[3:4]),
    (["--job=4"], [])])
def test_show(two, reader, filters, lines):
    for mode in "cli", "json", "quiet":
        shown = two.hq("--output-mode", mode, reader, "log", "show", *filters)
        assert shown.stdout.splitlines() == lines


def test_show_is_by_time_and_by_chunk(bare):
    hqs.write(bare.work / "log" / "a.hqs", hqs.record(1, 0, 0, "a\nb\n", ms=10),
              hqs.record(1, 0, 1, "late", ms=30), hqs.record(1, 1, 0, "mid", ms=20),
              hqs.record(1, 0, 0, b"\xff\xc3(", ms=40))
    assert bare.hq("output-log", "log", "show").stdout == \
        "1.0:0> a\nb\n1.1:0> mid\n1.0:1> late\n1.0:0> \ufffd\ufffd(\n"


def test_show_colours_prefixes_by_task(bare):
    hqs.write(bare.work / "log" / "a.hqs",
              *[hqs.task(1, t, f"{t}\n", ms=t) for t in range(7)])
    shown = bare.hq("--colors", "always", "output-log", "log", "show").stdout
    colours = ["41", "42", "43", "44", "45", "46", "41"]
    assert shown == "".join(f"\x1b[{c}m1.{t}:0>\x1b[0m {t}\n"
                            for t, c in enumerate(colours))


# -- cat and export --------------------------------------------------------------------

def test_cat_adds_nothing(two):
    assert two.hq("output-log", "log", "cat", "3", "stdout").stdout == \
        "hello\nsecond\nno newline"
    assert two.hq("output-log", "log", "cat", "12", "stderr").stdout == "warning: x\n"
    for mode in "json", "quiet":
        assert two.hq("--output-mode", mode, "output-log", "log", "cat", "12",
                      "stdout").stdout == ""


@pytest.mark.parametrize("tasks, out", [
    ("7", "no newline"), ("7,0", "no newlinehello\n"), ("0-1", "hello\nsecond\n"),
    ("1-7:6", "second\nno newline"), (" 7 , 0-1 ", "no newlinehello\nsecond\n"),
    ("0_7", "no newline")])
def test_cat_of_tasks_in_the_order_given(two, tasks, out):
    assert two.hq("output-log", "log", "cat", "3", "stdout", "--task", tasks).stdout == out


@pytest.mark.parametrize("verb", [["cat"], ["export"]])
def test_unknown_jobs_and_tasks(two, verb):
    channel = ["stdout"] if verb == ["cat"] else []
    for words, text in [(["9"], "Job 9 not found"), (["3", "--task", "0,5"],
                                                     "Task 5 not found")]:
        job, *task = words
        refused = two.hq("output-log", "log", *verb, job, *channel, *task, code=1)
        assert refused.stderr == text + "\n" and refused.stdout == ""


def test_unfinished_streams(bare):
    hqs.write(bare.work / "log" / "a.hqs", hqs.task(1, 0, "done\n"),
              hqs.record(1, 1, 0, "half"), hqs.record(1, 1, 1, "e"), hqs.record(1, 1, 1))
    assert summary(bare, "log")["n_opened"] == 1
    refused = bare.hq("output-log", "log", "cat", "1", "stdout", code=1)
    assert refused.stderr == "Stream for task 1 is not finished\n" and not refused.stdout
    assert bare.hq("output-log", "log", "cat", "1", "stdout", "--task", "0").stdout == \
        "done\n"
    assert bare.hq("output-log", "log", "cat", "1", "stdout",
                   "--allow-unfinished").stdout == "done\nhalf"
    exported = json.loads(bare.hq("output-log", "log", "export", "1").stdout)
    assert [(t["finished"], t["stdout"], t["stderr"]) for t in exported] == \
        [(True, "done\n", ""), (False, "half", "e")]


def test_export_is_a_json_array(two):
    text = two.hq("output-log", "log", "export", "3", "--task", "7,1").stdout
    value = json.loads(text)
    assert value == [
        {"finished": True, "id": 7, "stderr": "e", "stdout": "no newline"},
        {"finished": True, "id": 1, "stderr": "", "stdout": "second\n"}]
    assert text == json.dumps(value, indent=2) + "\n"


def test_export_replaces_invalid_text(bare):
    hqs.write(bare.work / "log" / "a.hqs", hqs.task(1, 0, b"a\xff\x00b"))
    assert json.loads(bare.hq("output-log", "log", "export", "1").stdout)[0]["stdout"] == \
        "a\ufffd\x00b"


def test_a_task_without_output_is_there(bare):
    hqs.write(bare.work / "log" / "a.hqs", hqs.task(1, 4), hqs.task(1, 5))
    assert summary(bare, "log")["n_tasks"] == 2
    assert bare.hq("output-log", "log", "cat", "1", "stdout").stdout == ""
    assert bare.hq("output-log", "log", "show").stdout == ""


def test_the_largest_instance_counts(bare):
    """Wherever it lies: in a later file, an earlier one, or in the middle of another."""
    hqs.write(bare.work / "log" / "a.hqs", hqs.task(1, 0, "new", instance=5))
    hqs.write(bare.work / "log" / "b.hqs", hqs.record(1, 0, 0, "ol"), hqs.task(1, 1, "x"),
              hqs.record(1, 0, 0, "d"), worker=2)
    assert bare.hq("output-log", "log", "cat", "1", "stdout").stdout == "newx"
    assert bare.hq("log", "log", "show", "--all-instances", "--task", "0").stdout == \
        "1.0:0> ol\n1.0:0> d\n1.0:0> new\n"
    found = summary(bare, "log")
    assert found["n_streams"] == 3 and found["superseded_stdout_size"] == 3


# -- HyperQueue's files ----------------------------------------------------------------

def test_vector_of_the_file_format(bare):
    (bare.work / "v.hqs").write_bytes(bytes.fromhex(
        "68 71 73 66 30 30 30 30 06 41 62 43 31 32 33 01"
        "fd f6 d0 ca 9f 17 03 00 00 05 00 00 00 03 61 62 0a"
        "fd 90 d3 ca 9f 17 03 00 00 05 00 00 00 00"))
    assert bare.hq("log", "v.hqs", "cat", "5", "stdout").stdout == "ab\n"
    row, = bare.json("log", "v.hqs", "list")
    assert row["finished"] and row["state"] == "ended" and row["worker"] == 1


def test_a_cut_file_is_read_up_to_the_cut(bare):
    whole = hqs.header() + hqs.task(1, 0, "kept\n") + hqs.record(1, 1, 0, "abcdefgh")
    for cut in range(1, 23):
        (bare.work / "log").mkdir(exist_ok=True)
        (bare.work / "log" / "a.hqs").write_bytes(whole[:-cut])
        shown = bare.hq("output-log", "log", "cat", "1", "stdout", "--allow-unfinished")
        assert shown.stdout == "kept\n" + "abcdefgh"[:max(0, 8 - cut)]
        assert "unfinished write" in shown.stderr or cut == 22


def test_nonsense_ends_a_file_but_not_the_log(two):
    with open(two.work / "log" / "a.hqs", "ab") as f:
        f.write(b"\xfe\xfe\xfe\xfe" * 10)
    shown = two.hq("output-log", "log", "show")
    assert shown.stdout.splitlines() == ALL
    assert "unreadable record" in shown.stderr
    assert two.hq("log", "log", "check", code=1).fields()["Result"] == "damaged"


def test_files_of_hyperqueue_are_only_read(two):
    before = (two.work / "log" / "a.hqs").read_bytes()
    for verb in (["seal"], ["repair", "new"]):
        assert "stream file of HyperQueue" in two.log("log", *verb, code=1).stderr
    assert (two.work / "log" / "a.hqs").read_bytes() == before
    assert not (two.work / "new").exists()


def test_retired_reader_words_keep_working(two):
    """`verify` and `--with-superseded`."""
    assert two.log("log", "verify").fields()["Result"] == "good"
    assert "first" in two.log("log", "show", "--with-superseded").stdout
