"""hq job resubmit: a new job with the tasks of an old one."""
import json

import pytest


def test_entries_input_and_settings_come_along(pair):
    pair.write("lines", "a\nb b\nc\n")
    pair.submit("--each-line", "lines", "--stdin", "--env", "K=v", "--stdout",
                "o.%{TASK_ID}", "--stderr", "none", "--priority", "3", "--", "sh", "-c",
                'echo "$K $HQ_ENTRY $(cat)" >> all; test "$HQ_ENTRY" != "b b"', stdin="input")
    pair.wait_job("last")
    job = pair.json("job", "resubmit", "last", "--filter", "failed")["id"]
    pair.wait_job(job)
    assert sorted(pair.read("all").splitlines()) == \
        ["v a input", "v b b input", "v b b input", "v c input"]
    assert sorted(pair.tasks(job)) == [1]
    assert pair.hq("job", "info", str(job)).fields()["Priority"] == "3"


def test_of_an_open_job(pair):
    job = pair.json("job", "open")["id"]
    pair.submit("--job", str(job), "--array", "1-2", "true")
    pair.submit("--job", str(job), "--array", "7", "false")
    pair.hq("job", "close", str(job))
    pair.wait_job(job)
    again = pair.json("job", "resubmit", str(job))["id"]
    pair.wait_job(again)
    assert pair.states(again) == ["finished", "finished", "failed"]
    assert sorted(pair.tasks(again)) == [1, 2, 7]


def test_output_of_the_new_job_goes_to_files_of_its_own(pair):
    job = pair.submit_and_wait("--", "echo", "x")
    again = pair.json("job", "resubmit", str(job))["id"]
    pair.wait_job(again)
    assert pair.read(f"job-{again}/0.stdout") == "x\n"
    assert pair.hq("job", "cat", str(again), "stdout").stdout == "x\n"


def test_into_a_log(pair):
    job = pair.submit_and_wait("--log", "l", "--", "echo", "x")
    again = pair.json("job", "resubmit", str(job))["id"]
    pair.wait_job(again)
    assert pair.log("l", "cat", str(again), "stdout").stdout == "x\n"


def test_survives_a_restart(bare):
    bare.start_server("--journal", "j")
    job = bare.submit("--array", "1-3", "--", "true")
    bare.hq("job", "cancel", str(job))
    again = bare.json("job", "resubmit", str(job), "--filter", "canceled")["id"]
    bare.server.kill()
    bare.start_server("--journal", "j")
    bare.start_worker(cpus=1)
    bare.wait_job(again)
    assert bare.stats(again) == {"finished": 3}


@pytest.mark.parametrize("words, text", [
    (("7",), "Job 7 not found"), (("1", "--filter", "failed"), "job 1 has no tasks"),
    (("2",), "submit the file again")])
def test_refused(env, words, text):
    env.submit("--", "true")
    env.workflow("tasks:\n  a: {run: echo a}\n")
    done = env.hq("job", "resubmit", *words, code=1)
    assert text in done.stderr
    assert "error" in json.loads(env.hq("--output-mode", "json", "job", "resubmit", *words,
                                        code=1).stdout)
    assert len(env.json("job", "list", "--all")) == 2


def test_without_any_job(env):
    assert "There are no jobs" in env.hq("job", "resubmit", "last", code=1).stderr
