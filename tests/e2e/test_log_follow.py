"""`--follow`: what tasks print, as they print it, exactly once."""
import re
from pathlib import Path

import pytest

from harness import HQ, wait_until

WAIT = "until test -e go.$HQ_TASK_ID; do sleep 0.02; done"
GATED = f"echo begin $HQ_TASK_ID; {WAIT}; echo end $HQ_TASK_ID"


def follow(env, *words):
    return env.spawn("follow", HQ, "log", *map(str, words))


def let_go(env, *tasks):
    for task in tasks:
        env.write(f"go.{task}", "")


def test_follow_a_running_task(pair):
    job = pair.submit("--log", "l", "--", "sh", "-c", GATED)
    wait_until(lambda: (pair.work / "l").exists(), "the log")
    show = follow(pair, "l", "show", "-f")
    cat = follow(pair, "l", "cat", "stdout", "--follow")
    wait_until(lambda: "1.0:0> begin 0\n" == show.text(), "the first line")
    wait_until(lambda: "begin 0\n" == cat.text(), "the first line")
    let_go(pair, 0)
    pair.wait_job(job)
    wait_until(lambda: show.text() == "1.0:0> begin 0\n1.0:0> end 0\n", "the last line")
    wait_until(lambda: cat.text() == "begin 0\nend 0\n", "the last line")
    assert show.running and cat.running


@pytest.mark.parametrize("before", [True, False])
def test_until_a_job_has_ended(pair, before):
    """Follows from before the log exists, or in the middle, to the end of the job."""
    job = pair.submit("--log", "d/l", "--array", "1-4", "--", "sh", "-c", GATED)
    if not before:
        wait_until(lambda: pair.stats(job) == {"running": 2, "waiting": 2}, "two to run")
    show = follow(pair, job, "show", "--lines", "-f", "--until-finished")
    let_go(pair, *range(1, 5))
    pair.wait_job(job)
    assert show.wait() == 0
    assert sorted(show.text().splitlines()) == sorted(
        f"1.{t}:0> {word} {t}" for t in range(1, 5) for word in ("begin", "end"))


def test_follow_begins_before_there_is_a_log(pair):
    show = follow(pair, "nowhere", "show", "-f")
    by_file = follow(pair, "later.hqlog", "tail", "-f")
    pair.submit_and_wait("--stream", "nowhere", "--", "echo", "here")
    pair.submit_and_wait("--log", "later.hqlog", "--", "echo", "late")
    wait_until(lambda: show.text() == "1.0:0> here\n", "the line")
    wait_until(lambda: by_file.text() == "2.0:0> late\n", "the line")


def sleeps(process):
    """How often it has waited for something."""
    assert process.running, process.text()
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"(?m)^voluntary_ctxt_switches:\s+(\d+)", status).group(1))


def test_follow_begins_while_the_log_is_made(pair):
    """It is empty before it has a header."""
    pair.submit_and_wait("--log", "whole", "--", "echo", "here")
    log = pair.write("l", "")
    show = follow(pair, "l", "show", "-f")
    before = sleeps(show)
    wait_until(lambda: sleeps(show) > before + 3, "the second look")
    log.write_bytes((pair.work / "whole").read_bytes())
    wait_until(lambda: show.text() == "1.0:0> here\n", "the line")


def test_much_in_order(pair):
    """Its blocks lie in several extents that grow at once."""
    n = 3_000_000
    job = pair.submit("--log", "l", "--", "sh", "-c", f"{WAIT}; seq {n}; echo end")
    wait_until(lambda: (pair.work / "l").exists(), "the log")
    cat = follow(pair, "l", "cat", "stdout", "-f")
    let_go(pair, 0)
    pair.wait_job(job)
    wait_until(lambda: cat.text().endswith("end\n"), "the last line")
    assert cat.text() == "".join(f"{i}\n" for i in range(1, n + 1)) + "end\n"


def test_a_word_beside_much(pair):
    """One channel that prints as fast as it can does not keep the other waiting."""
    pair.submit("--log", "l", "--", "sh", "-c", "yes much & "
                "until test -e asked; do sleep 0.02; done; echo word >&2; wait")
    wait_until(lambda: (pair.work / "l").exists() and
               (pair.work / "l").stat().st_size > 20_000_000, "much")
    cat = follow(pair, "l", "cat", "stderr", "-f")
    pair.write("asked", "")
    # It may tell of the write that was under way when it came.
    wait_until(lambda: cat.text().splitlines()[-1:] == ["word"], "the word")
    pair.hq("job", "cancel", "last")


def test_chosen_tasks_until_they_have_ended(pair):
    job = pair.submit("--log", "l", "--array", "1-3", "--", "sh", "-c",
                       f"{WAIT}; echo $HQ_TASK_ID")
    show = follow(pair, "l", "show", "--job", job, "--task", "1-2", "-f", "--until-finished")
    let_go(pair, 1)
    wait_until(lambda: "1.1:0> 1" in show.text(), "the first task's line")
    assert show.running
    let_go(pair, 2)
    assert show.wait() == 0
    let_go(pair, 3)
    pair.wait_job(job)
    assert sorted(show.text().splitlines()) == ["1.1:0> 1", "1.2:0> 2"]


def test_every_line_once_over_workers_and_seals(pair):
    """New tasks, a worker that comes and one that goes, a log that is sealed between."""
    show = follow(pair, "l", "show", "--lines", "-f")
    want = []
    for round_number in range(4):
        worker = pair.start_worker(cpus=2)
        pair.submit_and_wait("--log", "l", "--array", "1-60", "--", "seq", "40",
                             timeout_s=60)
        want += [f"{round_number + 1}.{t}:0> {i}" for t in range(1, 61)
                 for i in range(1, 41)]
        worker.send(15)
        worker.wait()
    wait_until(lambda: len(show.text().splitlines()) >= len(want), "all lines")
    got = [line.replace(".0", ".") for line in show.text().splitlines()]
    assert sorted(got) == sorted(want)
    for key in {line.split(">")[0] for line in got}:
        assert [line.split()[1] for line in got if line.startswith(key + ">")] == \
            [str(i) for i in range(1, 41)]


def test_tail_goes_on_behind_the_last_lines(pair):
    job = pair.submit("--log", "l", "--", "sh", "-c", f"seq 20; {WAIT}; echo more")
    wait_until(lambda: "20\n" in pair.log("l", "cat", job, "stdout", "--allow-unfinished",
                                           code=None).stdout, "the first lines")
    tail = follow(pair, "l", "tail", "-n", "2", "-f")
    wait_until(lambda: tail.text() == "1.0:0> 19\n1.0:0> 20\n", "two lines")
    let_go(pair, 0)
    wait_until(lambda: tail.text().endswith("1.0:0> 20\n1.0:0> more\n"), "a further line")


def test_follow_filters(pair):
    pair.submit("--log", "l", "--array", "1-2", "--", "sh", "-c",
                 f"{WAIT}; echo out $HQ_TASK_ID; echo err $HQ_TASK_ID >&2")
    shows = {"1.2:1> err 2\n": follow(pair, "l", "show", "-f", "--task=2",
                                      "--channel=stderr"),
             "1.1:0> out 1\n": follow(pair, "l", "show", "-f", "--grep", "out 1"),
             "": follow(pair, "l", "show", "-f", "--host", "elsewhere")}
    let_go(pair, 1, 2)
    pair.wait_job(1)
    for text, show in shows.items():
        wait_until(lambda: show.text() == text, repr(text))


def test_a_restarted_task_goes_on_with_its_new_run(pair):
    job = pair.submit("--log", "l", "--crash-limit", "unlimited", "--", "sh", "-c",
                       f"echo run $((HQ_INSTANCE_ID > 0)); {WAIT}; echo end")
    show = follow(pair, "l", "show", "-f")
    wait_until(lambda: show.text() == "1.0:0> run 0\n", "the first run")
    pair.worker.kill()
    pair.start_worker()
    wait_until(lambda: show.text() == "1.0:0> run 0\n1.0:0> run 1\n", "the second run")
    let_go(pair, 0)
    pair.wait_job(job)
    wait_until(lambda: show.text().endswith("run 1\n1.0:0> end\n"), "its end")


def test_bad_ways_to_follow(pair):
    pair.submit_and_wait("--log", "l", "--", "echo", "x")
    assert "needs to know what is to come" in \
        pair.log("l", "show", "-f", "--until-finished", code=1).stderr
    pair.log("l", "show", "-f", "--state", "failed", code=2)
    pair.log("l", "show", "--until-finished", code=2)
    assert "Job 77 not found" in pair.log("77", "show", "-f", code=1).stderr


def test_follow_an_open_job_before_it_has_tasks(pair):
    pair.hq("job", "open")
    show = follow(pair, "last", "show", "-f", "--until-finished")
    pair.submit("--job", "1", "--log", "l", "--", "echo", "first")
    wait_until(lambda: show.text() == "1.0:0> first\n", "the first task")
    pair.submit("--job", "1", "--log", "l", "--", "echo", "second")
    wait_until(lambda: show.text().endswith("1.1:0> second\n"), "the second task")
    pair.hq("job", "close", "1")
    assert show.wait() == 0


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_follow_a_file_that_goes_away(pair, how):
    """What was written until then comes out; nothing waits for ever."""
    pair.submit("--log", "l", "--", "sh", "-c", GATED)
    wait_until(lambda: (pair.work / "l").exists(), "the log")
    show = follow(pair, "l", "show", "-f")
    wait_until(lambda: show.text() == "1.0:0> begin 0\n", "the first line")
    if how == "removed":
        (pair.work / "l").unlink()
    else:
        pair.write("other", "")
        (pair.work / "other").rename(pair.work / "l")
    assert show.wait() == 1
    assert show.text() == "1.0:0> begin 0\n" \
        "'l' was removed or replaced while it was followed\n"


AWAY = "the server does not answer"


def begin_with_journal(env, tasks, policy):
    """A job that is followed, with all of its tasks running."""
    env.start_server("--journal", env.root / "journal")
    env.start_worker(f"--on-server-lost={policy}", cpus=2)
    job = env.submit("--log", "l", "--array", f"1-{tasks}", "--", "sh", "-c", GATED)
    show = follow(env, job, "show", "--lines", "-f", "--until-finished")
    wait_until(lambda: show.text().count("begin") == 2, "two tasks to begin")
    return job, show


def told(show):
    return sorted(line for line in show.text().splitlines() if AWAY not in line)


def test_until_finished_over_a_restart_of_the_server(bare):
    """What tasks print meanwhile comes out, and what they print afterwards."""
    job, show = begin_with_journal(bare, 3, "reconnect")
    bare.server.kill()
    wait_until(lambda: AWAY in show.text(), "the loss")
    let_go(bare, 1)
    wait_until(lambda: "1.1:0> end 1" in show.text(), "a line without a server")
    bare.start_server("--journal", bare.root / "journal")
    let_go(bare, 2, 3)
    bare.wait_job(job)
    assert show.wait() == 0
    assert told(show) == [f"1.{t}:0> {word} {t}" for t in range(1, 4)
                          for word in ("begin", "end")]
    assert show.text().count(AWAY) == 1


def test_the_log_tells_the_end_without_a_server(bare):
    _, show = begin_with_journal(bare, 2, "finish-running")
    bare.server.kill()
    wait_until(lambda: AWAY in show.text(), "the loss")
    let_go(bare, 1)
    wait_until(lambda: "1.1:0> end 1" in show.text(), "the first end")
    assert show.running
    let_go(bare, 2)
    assert show.wait() == 0
    assert told(show) == [f"1.{t}:0> {word} {t}" for t in (1, 2) for word in ("begin", "end")]


def test_another_server_knows_nothing_of_the_job(bare):
    _, show = begin_with_journal(bare, 2, "stop")
    bare.server.kill()
    bare.start_server()
    assert show.wait() == 1
    assert "another server has taken the place" in show.text()


def test_a_reader_that_goes_away_ends_it(pair):
    pair.submit_and_wait("--log", "l", "--", "echo", "x")
    both = pair.run("sh", "-c", f"{HQ} log l show -f | head -n 1")
    assert both.stdout == "1.0:0> x\n"
