"""The forms of hq submit and what tasks come from them."""
import json

import pytest


def test_result_in_three_modes(env):
    assert env.hq("submit", "--", "true").stdout == \
        "Job submitted successfully, job ID: 1\n"
    assert env.json("submit", "--", "true") == {"id": 2}
    quiet = env.hq("--output-mode", "quiet", "submit", "--", "true")
    assert quiet.stdout == "3\n" and quiet.stderr == ""


@pytest.mark.core
def test_simple_job_runs(pair):
    job = pair.submit_and_wait("--", "echo", "hello")
    assert pair.states(job) == ["finished"]
    assert pair.read("job-1/0.stdout") == "hello\n"
    assert pair.read("job-1/0.stderr") == ""


def test_job_submit_is_the_same(pair):
    assert pair.json("job", "submit", "true")["id"] == 1
    pair.wait_job(1)


def test_words_after_the_program_belong_to_it(pair):
    job = pair.submit_and_wait("echo", "--array", "1-4", "--", "-n")
    assert pair.read(f"job-{job}/0.stdout") == "--array 1-4 -- -n\n"
    assert len(pair.tasks(job)) == 1


@pytest.mark.parametrize("array, ids", [
    ("0-3", [0, 1, 2, 3]), ("5,1,9", [1, 5, 9]), ("0-10:5", [0, 5, 10]),
    ("1_0-1_1", [10, 11]), ("3", [3]),
])
def test_arrays(env, array, ids):
    job = env.submit("--array", array, "--", "true")
    assert sorted(env.tasks(job)) == ids


@pytest.mark.parametrize("array", ["", "a", "5-1", "5:2", "1-3:0", "5-5:1", "1,1", "1-3,2"])
def test_bad_arrays(env, array):
    env.hq("submit", f"--array={array}", "--", "true", code=2)
    assert env.json("job", "list", "--all") == []


@pytest.mark.core
def test_array_tasks_run_with_their_ids(pair):
    job = pair.submit_and_wait("--array", "1-20", "--", "sh", "-c", "echo $HQ_TASK_ID")
    assert pair.stats(job) == {"finished": 20}
    for task in range(1, 21):
        assert pair.read(f"job-{job}/{task}.stdout") == f"{task}\n"


@pytest.mark.core
def test_each_line(pair):
    pair.write("lines", "one\n\n  two words \nthree")
    job = pair.submit_and_wait("--each-line", "lines", "--", "sh", "-c",
                               'printf %s "[$HQ_ENTRY]"')
    got = [pair.read(f"job-{job}/{i}.stdout") for i in range(4)]
    assert got == ["[one]", "[]", "[  two words ]", "[three]"]


def test_each_line_with_array_selects(pair):
    pair.write("lines", "a\nb\nc\nd\n")
    job = pair.submit_and_wait("--each-line", "lines", "--array", "1,3,77", "--", "sh",
                               "-c", "echo $HQ_ENTRY")
    assert sorted(pair.tasks(job)) == [1, 3]
    assert pair.read(f"job-{job}/3.stdout") == "d\n"


@pytest.mark.core
def test_from_json(pair):
    pair.write("in.json", '[1, {"b": [1, 2], "a": "x y"}, "text", null]')
    job = pair.submit_and_wait("--from-json", "in.json", "--", "sh", "-c",
                               'printf %s "$HQ_ENTRY"')
    got = [pair.read(f"job-{job}/{i}.stdout") for i in range(4)]
    assert got == ["1", '{"a":"x y","b":[1,2]}', '"text"', "null"]


def test_from_json_that_is_no_array(env):
    env.write("in.json", '{"a": 1}')
    result = env.hq("submit", "--from-json", "in.json", "--", "true", code=1)
    assert "The top element of the provided JSON file has to be an array" in result.stderr


def test_missing_entry_file(env):
    env.hq("submit", "--each-line", "nowhere", "--", "true", code=1)
    assert env.json("job", "list", "--all") == []


@pytest.mark.core
def test_wait_returns_after_the_end(pair):
    result = pair.hq("submit", "--wait", "--array", "0-5", "--", "true")
    assert result.stdout == "Job submitted successfully, job ID: 1\n"
    assert pair.stats(1) == {"finished": 6}


def test_wait_does_not_tell_about_failures(pair):
    pair.hq("submit", "--wait", "--", "false")
    assert pair.states(1) == ["failed"]


def test_progress(pair):
    result = pair.hq("submit", "--progress", "--array", "0-9", "--", "true")
    assert "job ID: 1" in result.stdout
    assert "10/10 tasks" in result.stdout and "1/1 jobs" in result.stdout
    assert result.stdout.endswith("\n")


def test_names(env):
    assert env.job(env.submit("--", "/bin/echo"))["info"]["name"] == "echo"
    assert env.job(env.submit("--name", "my job", "--", "true"))["info"]["name"] == "my job"
    result = env.hq("submit", "--name", "a\nb", "--", "true", code=1)
    assert "name cannot have a newline or a tab" in result.stderr


def test_each_task_gets_the_stdin(pair):
    job = pair.submit_and_wait("--stdin", "--array", "1-2", "--", "cat", stdin="some text")
    assert pair.read(f"job-{job}/1.stdout") == "some text"
    assert pair.read(f"job-{job}/2.stdout") == "some text"


def test_large_stdin(pair):
    data = "0123456789abcdef" * 40_000
    job = pair.submit_and_wait("--stdin", "--", "cat", stdin=data)
    assert pair.read(f"job-{job}/0.stdout") == data


def test_cwd(pair):
    job = pair.submit_and_wait("--cwd", "some/dir", "--", "pwd")
    where = pair.work / "some" / "dir"
    assert (where / f"job-{job}" / "0.stdout").read_text() == f"{where}\n"


@pytest.mark.core
def test_directives(pair):
    pair.script("job.sh", "#HQ --name fromfile --array 1-3\n#HQ --cpus=2\necho $1\n")
    job = pair.submit_and_wait("job.sh", "word")
    info = pair.job(job)["info"]
    assert info["name"] == "fromfile" and info["task_count"] == 3
    assert pair.read(f"job-{job}/2.stdout") == "word\n"


def test_command_line_beats_directives(env):
    env.script("job.sh", "#HQ --name fromfile --priority 7\ntrue\n")
    job = env.submit("--name", "mine", "job.sh")
    detail = env.job(job)
    assert detail["info"]["name"] == "mine"
    assert detail["submits"][0]["array"]["priority"] == 7


def test_bad_directive(env):
    env.script("job.sh", "#HQ --wait\ntrue\n")
    result = env.hq("submit", "job.sh", code=1)
    assert "Could not parse directives from job.sh" in result.stderr


@pytest.mark.parametrize("option, value, key, expect", [
    ("--priority", "5", "priority", 5), ("--priority", "-3", "priority", -3),
    ("--time-limit", "1m 30s", "time_limit", 90.0), ("--time-limit", "2:00", "time_limit", 120.0),
    ("--crash-limit", "7", "crash_limit", 7),
    ("--crash-limit", "never-restart", "crash_limit", "never-restart"),
    ("--pin", "taskset", "pin_mode", "taskset"), ("--pin", "omp", "pin_mode", "openmp"),
])
def test_options_are_shown(env, option, value, key, expect):
    job = env.submit(f"{option}={value}", "--", "true")
    assert env.job(job)["submits"][0]["array"][key] == expect


@pytest.mark.parametrize("request_text, expect", [
    ("2", {"Compact": 20000}), ("1.5", {"Compact": 15000}), ("all", "All"),
    ("2 compact!", {"ForceCompact": 20000}), ("2 scatter", {"Scatter": 20000}),
])
def test_cpu_requests(env, request_text, expect):
    job = env.submit("--cpus", request_text, "--", "true")
    resources = env.job(job)["submits"][0]["array"]["resources"][0]["resources"]
    assert resources == [{"resource": "cpus", "request": expect}]


@pytest.mark.parametrize("words", [
    ["--cpus", "0"], ["--cpus", "x"], ["--crash-limit", "0"], ["--priority", "x"],
    ["--time-limit", "abc"], ["--pin", "hard"], ["--env", ""], ["--wait", "--progress"],
    ["--each-line", "a", "--from-json", "b"], ["--max-fails", "-1"],
    ["--name", "a", "--name", "b"],
])
def test_usage_errors(env, words):
    result = env.hq("submit", *words, "--", "true", code=2)
    assert result.stderr.startswith("error: ")
    assert env.json("job", "list", "--all") == []


def test_no_command(env):
    result = env.hq("submit", code=2)
    assert "required arguments were not provided" in result.stderr


@pytest.mark.core
def test_large_array_is_accepted_at_once(env):
    job = env.submit("--array", "1-1000000", "--stdout", "none", "--stderr", "none", "--",
                     "true")
    assert env.json("job", "list", "--all")[0]["task_count"] == 1_000_000
    env.hq("job", "cancel", job)
    assert env.json("job", "list", "--all")[0]["task_stats"]["canceled"] == 1_000_000


def test_warning_about_many_files(env):
    result = env.hq("submit", "--array", "1-600", "--", "true")
    assert "The job will create 1200 files" in result.stderr


def test_arguments_keep_their_bytes(pair):
    words = ["", " ", "a b", "$HOME", "'", '"', "\\", "ä€", "new\nline", "%{JOB_ID}"]
    job = pair.submit_and_wait("--", "printf", "%s|", *words)
    assert pair.read(f"job-{job}/0.stdout") == "|".join(words) + "|"


def test_open_job_takes_more_tasks(pair):
    assert pair.json("job", "open", "--name", "many") == {"id": 1}
    for _ in range(2):
        assert pair.json("submit", "--job", "1", "--array", "0-1" if _ == 0 else "5-6",
                         "--", "true") == {"id": 1}
    pair.hq("job", "wait", "1", "--without-close")
    assert sorted(pair.tasks(1)) == [0, 1, 5, 6]
    assert pair.job(1)["info"]["is_open"] is True
    pair.hq("job", "close", "1")
    pair.wait_job(1)
    assert pair.job(1)["info"]["is_open"] is False


def test_job_list_shows_submitted(env):
    for name in ("a", "b"):
        env.submit("--name", name, "--", "true")
    listed = env.json("job", "list")
    assert [j["name"] for j in listed] == ["a", "b"]
    assert json.dumps(listed)
