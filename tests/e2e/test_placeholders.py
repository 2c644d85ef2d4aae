"""Placeholders in paths and how paths become absolute."""
import pytest


def program(env, job):
    return env.job(job)["submits"][0]["array"]["program"]


def uid(env):
    return env.json("server", "info")["server_uid"]


# What is given for cwd and stdout of job 1, and the paths shown at once; {w} is the
# directory of the submit, {u} the server's identity.
SHOWN = [
    ([], "{w}", "{w}/job-1/%{{TASK_ID}}.stdout"),
    (["--cwd=c"], "{w}/c", "{w}/c/job-1/%{{TASK_ID}}.stdout"),
    (["--cwd=/a/b"], "/a/b", "/a/b/job-1/%{{TASK_ID}}.stdout"),
    (["--cwd=c", "--stdout=o"], "{w}/c", "{w}/c/o"),
    (["--cwd=c", "--stdout=/x/o"], "{w}/c", "/x/o"),
    (["--cwd=c", "--stdout=%{SUBMIT_DIR}/o"], "{w}/c", "{w}/o"),
    (["--cwd=c", "--stdout=%{CWD}/x"], "{w}/c", "{w}/c/x"),
    (["--stdout=%{JOB_ID}-%{JOB_ID}"], "{w}", "{w}/1-1"),
    (["--stdout=%{SERVER_UID}"], "{w}", "{w}/{u}"),
    (["--cwd=%{SERVER_UID}/%{JOB_ID}"], "{w}/{u}/1", "{w}/{u}/1/job-1/%{{TASK_ID}}.stdout"),
    (["--stdout=/x/%{TASK_ID}.%{INSTANCE_ID}"], "{w}", "/x/%{{TASK_ID}}.%{{INSTANCE_ID}}"),
    (["--cwd=c%{TASK_ID}"], "c%{{TASK_ID}}", "c%{{TASK_ID}}/job-1/%{{TASK_ID}}.stdout"),
    (["--stdout=100%"], "{w}", "{w}/100%"), (["--stdout=%%{JOB_ID}"], "{w}", "{w}/%1"),
    (["--stdout=100%/%{JOB_ID}"], "{w}", "{w}/100%/1"),
    (["--stdout=%{job_id}"], "{w}", "{w}/%{{job_id}}"), (["--stdout=a%{}b"], "{w}", "{w}/a%{{}}b"),
    (["--stdout=%{JOB_ID"], "{w}", "{w}/%{{JOB_ID"),
    (["--stdout=%{ JOB_ID }"], "{w}", "{w}/%{{ JOB_ID }}"),
    (["--stdout=a/%{WHAT}"], "{w}", "{w}/a/%{{WHAT}}"),
    (["--cwd=%{WHAT}"], "{w}/%{{WHAT}}", "{w}/%{{WHAT}}/job-1/%{{TASK_ID}}.stdout"),
]


@pytest.mark.parametrize("words, cwd, stdout", SHOWN, ids=[" ".join(w) for w, _, _ in SHOWN])
def test_paths_of_an_array_are_shown_partly_resolved(env, words, cwd, stdout):
    shown = program(env, env.submit(*words, "true"))
    known = {"w": env.work, "u": uid(env)}
    assert (shown["cwd"], shown["stdout"]) == (cwd.format(**known), stdout.format(**known))


def test_stderr_has_the_same_placeholders(env):
    job = env.submit("--cwd=c", "--stderr=%{CWD}/%{JOB_ID}/%{SUBMIT_DIR}", "true")
    assert program(env, job)["stderr"] == f"{env.work}/c/1/{env.work}"


@pytest.mark.parametrize("words, files", [
    (["--stdout=o/%{JOB_ID}-%{TASK_ID}-%{INSTANCE_ID}"], ["o/1-3-0", "o/1-5-0"]),
    (["--cwd=c%{TASK_ID}"], ["c3/job-1/3.stdout", "c5/job-1/5.stdout"]),
    (["--cwd=c%{TASK_ID}", "--stdout=o"], ["c3/o", "c5/o"]),
    (["--cwd=c%{TASK_ID}", "--stdout=%{SUBMIT_DIR}/o-%{TASK_ID}"], ["o-3", "o-5"]),
    (["--cwd=i%{INSTANCE_ID}/%{TASK_ID}", "--stdout=%{CWD}/o"], ["i0/3/o", "i0/5/o"]),
    (["--stdout=%{TASK_ID}%{TASK_ID}"], ["33", "55"]),
    (["--stdout=%{NO}/%{TASK_ID}"], ["%{NO}/3", "%{NO}/5"]),
], ids=lambda v: " ".join(v))
def test_paths_of_tasks(pair, words, files):
    job = pair.submit_and_wait("--array", "3,5", "--stderr=none", *words, "--", "pwd")
    assert pair.stats(job) == {"finished": 2}
    found = sorted(str(p.relative_to(pair.work)) for p in pair.work.rglob("*") if p.is_file())
    assert found == files
    tasks = pair.tasks(job)
    for task, name in zip((3, 5), files):
        assert tasks[task]["stdout"] == str(pair.work / name)
        assert pair.read(name).strip() == tasks[task]["cwd"]


@pytest.mark.parametrize("cwd", ["%{CWD}", "a/%{CWD}/b"])
def test_cwd_cannot_contain_itself(env, cwd):
    result = env.hq("submit", "--cwd", cwd, "true", code=1)
    assert result.stderr.endswith("Working directory path cannot contain the working directory "
                                  "placeholder `%{CWD}`.\n")
    assert env.json("job", "list", "--all") == []


def test_not_in_command_environment_or_stdin(pair):
    job = pair.submit_and_wait("--stdin", "--env", "A=%{JOB_ID}", "--", "sh", "-c",
                               'echo "$1 $A"; cat', "x", "%{TASK_ID}", stdin="%{JOB_ID}\n")
    assert pair.read(f"job-{job}/0.stdout") == "%{TASK_ID} %{JOB_ID}\n%{JOB_ID}\n"


@pytest.mark.parametrize("stream, where", [
    ("log", "log"), ("%{SUBMIT_DIR}/a", "a"), ("s-%{JOB_ID}", "s-1"),
    ("%{TASK_ID}", "%{TASK_ID}"), ("%{INSTANCE_ID}", "%{INSTANCE_ID}"),
    ("s/%{WHAT}", "s/%{WHAT}"),
])
def test_stream_path(pair, stream, where):
    pair.submit_and_wait("--cwd=elsewhere", f"--stream={stream}", "--", "echo", "x")
    assert (pair.work / where).is_dir()
    assert pair.hq("output-log", where, "cat", "1", "stdout").stdout == "x\n"


def test_stream_path_with_the_server(pair):
    pair.submit_and_wait("--stream=s-%{SERVER_UID}", "--", "echo", "x")
    assert (pair.work / f"s-{uid(pair)}").is_dir()


def test_instance_counts_restarts(env):
    first = env.start_worker()
    job = env.submit("--stdout=%{INSTANCE_ID}.out", "--", "sh", "-c",
                     "echo run; test $HQ_INSTANCE_ID != 0 || sleep 60")
    env.wait_stats(job, running=1)
    first.kill()
    env.start_worker()
    env.wait_job(job)
    shown = env.tasks(job)[0]["stdout"]
    assert shown.startswith(str(env.work)) and not shown.endswith("/0.out")
    assert sorted(p.name for p in env.work.glob("*.out"))[0] == "0.out"
    assert len(list(env.work.glob("*.out"))) == 2


def test_nothing_is_created_at_submit(env):
    env.submit("--cwd=c", "--stdout=d/o", "--stream=s", "true")
    assert list(env.work.iterdir()) == []


def test_graph_shows_paths_as_written(pair):
    pair.write("g.toml", """
[[task]]
command = ["pwd"]
cwd = "g%{TASK_ID}"
stdout = "%{CWD}/o-%{JOB_ID}"
stderr = "none"
""")
    job = pair.json("job", "submit-file", "g.toml")["id"]
    pair.wait_job(job)
    shown = pair.job(job)["submits"][0]["graph"][0]["program"]
    assert (shown["cwd"], shown["stdout"]) == ("g%{TASK_ID}", "%{CWD}/o-%{JOB_ID}")
    assert pair.tasks(job)[1]["stdout"] == f"{pair.work}/g1/o-1"
    assert pair.read("g1/o-1") == f"{pair.work}/g1\n"
