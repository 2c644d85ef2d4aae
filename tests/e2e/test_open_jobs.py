"""Jobs that stay open for further tasks."""
import pytest

from harness import HQ, wait_until


@pytest.mark.parametrize("mode, text", [("cli", "Job 1 is open.\n"), ("quiet", "1\n"),
                                        ("json", '{\n  "id": 1\n}\n')])
def test_open(env, mode, text):
    assert env.hq("--output-mode", mode, "job", "open").stdout == text
    info = env.job(1)["info"]
    assert (info["name"], info["is_open"], info["task_count"]) == ("job", True, 0)


def test_open_with_name_and_max_fails(env):
    env.hq("job", "open", "--name", "many words", "--max-fails", "3")
    detail = env.job(1)
    assert (detail["info"]["name"], detail["max_fails"]) == ("many words", 3)
    assert "name cannot have a newline or a tab" in env.hq("job", "open", "--name", "a\tb",
                                                           code=1).stderr
    env.hq("job", "open", "--max-fails", "x", code=2)


def test_tasks_are_scheduled_before_the_close(pair):
    pair.hq("job", "open")
    pair.submit("--job=1", "--", "true")
    pair.wait_stats(1, finished=1)
    assert pair.job(1)["info"]["is_open"] is True


@pytest.mark.parametrize("option, value", [("--name", "x"), ("--max-fails", "1")])
def test_options_that_belong_to_the_job(env, option, value):
    env.hq("job", "open")
    result = env.hq("submit", "--job=1", option, value, "--", "true", code=1)
    assert result.stderr == (f"Parameter {option} is not allowed when submitting to an open "
                             "job.\n")
    assert env.job(1)["info"]["task_count"] == 0


def test_job_file_keys_are_ignored_when_attached(env):
    env.write("f.toml", 'name = "other"\nmax_fails = 9\n[[task]]\ncommand = ["true"]\n')
    env.hq("job", "open", "--name", "mine")
    result = env.hq("job", "submit-file", "--job=1", "f.toml")
    assert result.stderr == ""
    detail = env.job(1)
    assert (detail["info"]["name"], detail["max_fails"]) == ("mine", None)


def ids(env, job=1):
    return sorted(env.tasks(job))


def test_automatic_ids_follow_the_largest(env):
    env.write("two", "a\nb\n")
    env.write("f.toml", '[[task]]\ncommand = ["true"]\n')
    env.hq("job", "open")
    add = lambda *words: env.submit("--job=1", *words, "true")
    add()
    assert ids(env) == [0]
    add()
    assert ids(env) == [0, 1]
    add("--array", "10,7")
    add()
    assert ids(env) == [0, 1, 7, 10, 11]
    add("--each-line=two")
    assert ids(env) == [0, 1, 7, 10, 11, 12, 13]
    add("--array=3")
    add()
    assert ids(env) == [0, 1, 3, 7, 10, 11, 12, 13, 14]


@pytest.mark.parametrize("source, content", [("--each-line", "a\nb\nc\n"),
                                             ("--from-json", '["a", "b", "c"]')])
def test_entries_make_one_task_each(pair, source, content):
    pair.write("f", content)
    pair.hq("job", "open")
    for _ in range(2):
        pair.submit("--job=1", source, "f", "--", "sh", "-c", "echo $HQ_ENTRY")
    pair.hq("job", "close", "1")
    pair.wait_job(1)
    assert pair.stats(1) == {"finished": 6}
    got = pair.hq("job", "cat", "1", "stdout").stdout.replace('"', "").split()
    assert got == ["a", "b", "c"] * 2


def test_explicit_ids_may_not_repeat(env):
    env.hq("job", "open")
    env.submit("--job=1", "--array=0-4", "true")
    for array, bad in (("4", 4), ("7,9,2", 2), ("3-100", 3), ("0-10:2", 0)):
        result = env.hq("submit", "--job=1", f"--array={array}", "true", code=1)
        assert result.stderr == f"Task {bad} already exists in job 1.\n"
    assert ids(env) == [0, 1, 2, 3, 4]  # nothing is submitted


@pytest.mark.parametrize("job", [77, 0])
@pytest.mark.parametrize("line", ["submit --job={} true", "job submit-file --job={} f.toml",
                                  "submit --job={} -f f.yml"])
def test_missing_job(env, line, job):
    env.write("f.toml", '[[task]]\ncommand = ["true"]\n')
    env.write("f.yml", "tasks: {a: {command: ['true']}}\n")
    words = line.format(job).split()
    assert env.hq(*words, code=1).stderr == f"Job {job} not found.\n"
    answer = env.hq("--output-mode=json", *words, code=1).json()
    assert answer == {"error": f"Job {job} not found."}
    assert env.json("job", "list", "--all") == []


@pytest.mark.parametrize("words", [["submit", "--job=1", "--array=5", "true"],
                                   ["job", "submit-file", "--job=1", "f.toml"]])
def test_closed_job(env, words):
    env.write("f.toml", '[[task]]\nid = 5\ncommand = ["true"]\n')
    env.hq("job", "open")
    env.submit("--job=1", "true")
    env.hq("job", "close", "1")
    assert env.hq(*words, code=1).stderr == "Job 1 is not opened.\n"


def test_existing_id_is_told_before_a_closed_job(env):
    env.submit("true")
    assert env.hq("submit", "--job=1", "--array=0", "true", code=1).stderr == \
        "Task 0 already exists in job 1.\n"
    assert env.hq("submit", "--job=1", "--array=1", "true", code=1).stderr == \
        "Job 1 is not opened.\n"


def test_forgotten_job_is_not_found(env):
    env.hq("job", "open")
    env.hq("job", "close", "1")
    env.hq("job", "forget", "1")
    assert env.hq("submit", "--job=1", "true", code=1).stderr == "Job 1 not found.\n"


def test_submits_of_different_kinds_in_one_job(pair):
    pair.hq("job", "open")
    pair.submit("--job=1", "--", "echo", "a")
    pair.submit("--job=1", "--cpus=2", "--env", "X=1", "--", "sh", "-c", "echo $X")
    pair.write("f.toml", '[[task]]\nid = 8\ncommand = ["echo", "c"]\n')
    pair.hq("job", "submit-file", "--job=1", "f.toml")
    pair.hq("job", "close", "1")
    pair.wait_job(1)
    assert pair.hq("job", "cat", "1", "stdout").stdout == "a\n1\nc\n"
    detail = pair.job(1)
    assert [list(s)[0] for s in detail["submits"]] == ["array", "array", "graph"]
    fields = pair.hq("job", "info", "1").fields()
    assert not {"Command", "Resources", "Stdout", "Environment", "Submission directory"} & \
        set(fields)
    assert fields["Tasks"] == "3; Ids: 0-1,8"


def test_idle_is_not_completed(pair):
    pair.hq("job", "open")
    pair.submit("--job=1", "true")
    pair.hq("job", "wait", "--without-close", "1")
    waiting = pair.spawn("wait", HQ, "job", "wait", "1")
    pair.submit("--job=1", "true")
    pair.hq("job", "wait", "--without-close", "1")
    assert waiting.running
    pair.hq("job", "close", "1")
    assert waiting.wait() == 0 and waiting.text() == ""


def test_wait_without_close_of_running_tasks(pair):
    pair.hq("job", "open")
    pair.submit("--job=1", "--", "sh", "-c", "while ! test -e go; do sleep 0.02; done")
    waiting = pair.spawn("wait", HQ, "job", "wait", "--without-close", "1")
    pair.wait_stats(1, running=1)
    assert waiting.running
    pair.write("go", "")
    assert waiting.wait() == 0


def test_open_jobs_cannot_be_forgotten(pair):
    pair.hq("job", "open")
    pair.submit("--job=1", "true")
    pair.hq("job", "wait", "--without-close", "1")
    assert "0 jobs were forgotten, 1 were ignored" in pair.hq("job", "forget", "all").stderr
    assert pair.job(1)["info"]["is_open"] is True


def test_open_jobs_survive_a_restart(env):
    env.stop_server()
    env.start_server("--journal", env.work / "j")
    env.hq("job", "open", "--name", "kept", "--max-fails", "2")
    env.submit("--job=1", "--array=3-4", "true")
    env.stop_server()
    env.start_server("--journal", env.work / "j")
    detail = env.job(1)
    assert detail["info"]["is_open"] is True and detail["info"]["name"] == "kept"
    assert detail["max_fails"] == 2 and ids(env) == [3, 4]
    env.submit("--job=1", "true")
    assert ids(env) == [3, 4, 5]
    env.start_worker()
    env.hq("job", "close", "1")
    env.wait_job(1)
    assert env.stats(1) == {"finished": 3}


def test_list_marks_open_jobs(env):
    env.hq("job", "open")
    env.submit("true")
    result = env.hq("job", "list")
    assert [row[0] for row in result.table()[1:]] == ["*1", "2"]
    assert result.stdout.endswith("* = Open jobs\n")


def test_many_submits_into_one_job(pair):
    pair.hq("job", "open")
    submits = [pair.spawn(f"s{i}", HQ, "submit", "--job=1", "--array", f"{i * 10}-{i * 10 + 9}",
                          "--stdout=none", "--stderr=none", "true") for i in range(8)]
    assert [s.wait() for s in submits] == [0] * 8
    pair.hq("job", "close", "1")
    pair.wait_job(1)
    assert pair.stats(1) == {"finished": 80}
    wait_until(lambda: ids(pair) == list(range(80)))
