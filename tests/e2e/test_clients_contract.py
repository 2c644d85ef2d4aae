"""The contract that the programs which drive hq imply, point by point."""
import json
import re

import pytest

from harness import wait_until

COMMANDS = [("job", "list", "--all"), ("job", "summary"), ("worker", "list"),
            ("server", "info"), ("job", "info", "1"), ("task", "list", "1")]


@pytest.mark.parametrize("words", COMMANDS)
def test_global_options_in_any_place(env, words):
    """1: in front of, between and behind the words of a command; as two words or one."""
    env.submit("--", "true")
    del env.vars["HQ_SERVER_DIR"]
    d, want = str(env.server_dir), None
    for before, behind in [(("--server-dir", d, "--output-mode=json"), ()),
                           ((), (f"--server-dir={d}", "--output-mode", "json")),
                           (("--colors=never", "--debug"), ("--output-mode=json",
                                                            "--server-dir", d))]:
        got = env.hq(*before, *words, *behind).json()
        assert want is None or got == want
        want = got
    middle = env.hq(words[0], "--server-dir", d, "--output-mode=json", *words[1:]).json()
    assert middle == want
    variables = {"HQ_SERVER_DIR": d, "HQ_OUTPUT_MODE": "json", "HQ_DEBUG": "1"}
    assert env.hq(*words, env=variables).json() == want
    # The command line wins over the variable.
    quiet = env.hq(*words, "--output-mode=cli", env=variables).stdout
    assert not quiet.startswith(("{", "["))


def test_stderr_is_empty_on_success(pair):
    """2: in quiet and JSON mode; cancel tells on standard error, and exits with 0."""
    for mode in ("quiet", "json"):
        job = pair.hq("--output-mode", mode, "job", "open").stdout
        job = json.loads(job)["id"] if mode == "json" else job.strip()
        for words in [("submit", "--job", str(job), "--array", "1-3", "true"),
                      ("job", "close", str(job)), ("job", "wait", str(job)),
                      ("job", "list"), ("job", "info", str(job)), ("job", "summary"),
                      ("task", "list", str(job)), ("task", "info", str(job), "1"),
                      ("worker", "list"), ("server", "info"),
                      ("submit", "--array", "1-2000", "true")]:
            done = pair.hq("--output-mode", mode, *words)
            assert done.stderr == "" or words[:2] == ("job", "close"), repr(done)
    waiting = pair.submit("--cpus", "100", "true")
    done = pair.hq("job", "cancel", str(waiting))
    assert f"Job {waiting} canceled" in done.stderr and " ERROR " not in done.stderr
    assert " ERROR " in pair.hq("job", "cancel", "999").stderr


def test_forms_of_the_submit_answer(env):
    """3."""
    assert env.hq("submit", "true").raw == b"Job submitted successfully, job ID: 1\n"
    assert env.hq("submit", "true", "--output-mode", "json").raw.startswith(b"Job sub")
    assert env.hq("--output-mode=quiet", "submit", "true").raw == b"3\n"
    assert env.hq("--output-mode=json", "submit", "true").raw == b'{\n  "id": 4\n}\n'
    assert b"\x1b" in env.hq("--colors", "always", "submit", "true").raw


def test_form_of_json(env):
    """4: pretty, two blanks; [] and {} alone; errors on standard output."""
    assert env.hq("--output-mode=json", "job", "list").raw == b"[]\n"
    env.submit("true")
    text = env.hq("--output-mode=json", "job", "list").stdout
    assert re.search(r'^    "id": 1,$', text, re.M)
    assert re.search(r'^      "finished": 0,$', text, re.M)
    assert env.hq("--output-mode=json", "job", "close", "1").raw == b"{}\n"
    bad = env.hq("--output-mode=json", "submit", "--job", "99", "true", code=1)
    assert list(json.loads(bad.stdout)) == ["error"]


def test_times_and_durations(pair):
    """5."""
    job = pair.submit_and_wait("--time-limit", "1m", "--", "true")
    info = pair.job(job)
    for when in (info["submitted_at"] if "submitted_at" in info else info["started_at"],
                 info["started_at"], info["finished_at"], info["tasks"][0]["started_at"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", when)
    server = pair.json("worker", "list")[0]
    assert isinstance(server["configuration"]["heartbeat_interval"], float)
    assert '"time_limit": 60.0' in pair.hq("--output-mode=json", "job", "info",
                                           str(job)).stdout


def test_words_for_states(pair):
    """6."""
    opened = pair.json("job", "open")["id"]
    failed = pair.submit_and_wait("--array", "1-2", "--", "sh", "-c",
                                  "test $HQ_TASK_ID = 1")
    assert pair.states(failed) == ["finished", "failed"]
    lines = pair.hq("--output-mode=quiet", "job", "list", "--all").stdout.splitlines()
    assert lines == [f"{opened} OPENED", f"{failed} FAILED"]
    assert pair.hq("job", "list", "--all").table()[1][2] == "OPENED"
    summary = pair.json("job", "summary")
    assert summary["Failed"] == 1 and summary["Opened"] == 1


def test_scripts(pair):
    """7: an interpreter runs what cannot be executed; 32 KiB of comments are read."""
    filler = "# " + "x" * 78 + "\n"
    pair.write("near.sh", "#!/bin/bash -e\n" + filler * 300 + "#HQ --name near\necho $0\n")
    pair.write("far.sh", "#!/bin/bash\n" + filler * 500 + "#HQ --name far\necho x\n")
    pair.write("late.sh", "#!/bin/bash\necho x\n#HQ --name late\n")
    pair.write("other", "#!/bin/bash\n#HQ --name other\necho x\n")
    names = {}
    for script, mode in [("near.sh", "auto"), ("far.sh", "auto"), ("late.sh", "auto"),
                         ("other", "auto"), ("other", "file")]:
        job = pair.submit("--directives", mode, script)
        names[script, mode] = pair.job(job)["info"]["name"]
    assert names == {("near.sh", "auto"): "near", ("far.sh", "auto"): "bash",
                     ("late.sh", "auto"): "bash", ("other", "auto"): "other",
                     ("other", "file"): "other"}
    pair.hq("job", "wait", "1")
    assert pair.read("job-1/0.stdout").strip().endswith("near.sh")
    assert pair.job(pair.submit("--name", "mine", "near.sh"))["info"]["name"] == "mine"


def test_probes_without_a_server(bare):
    """8: at once, and not 0."""
    for words in [("server", "info"), ("job", "list"), ("worker", "list"),
                  ("submit", "true"), ("jobs",)]:
        assert bare.hq(*words, code=None).code != 0
    waiting = bare.spawn("wait", "hq", "server", "wait", "--timeout=60")
    bare.start_server()
    assert waiting.wait() == 0
    workers = bare.spawn("wait", "hq", "worker", "wait", "2")
    bare.start_worker(cpus=1)
    assert workers.running
    bare.start_worker(cpus=1)
    assert workers.wait() == 0


@pytest.mark.parametrize("array, count", [("1-1000", 1000), ("1,4,7-9", 5),
                                          ("1-10_000", 10000)])
def test_options_in_each_place(env, array, count):
    """9: the command line, directives and job files take the same."""
    env.write("a.sh", f"#!/bin/bash\n#HQ --array {array} --cpus=2\ntrue\n")
    env.write("a.toml", f'[array]\nids = "{array}"\ncommand = ["true"]\n'
              '[[array.request]]\nresources = { "cpus" = 2 }\n')
    jobs = [env.submit("--array", array, "--cpus", "2", "true"), env.submit("a.sh"),
            env.json("job", "submit-file", "a.toml")["id"]]
    infos = [env.job(j) for j in jobs]
    assert [i["info"]["task_count"] for i in infos] == [count] * 3
    for selector, n in [("all", 3), ("last", 1), ("2", 1), ("1,2-3", 3)]:
        assert len(env.json("job", "info", selector)) == n


def test_environment_of_tasks(env):
    """10."""
    env.start_worker("--resource", "gpus/nvidia=[3]", cpus=2)
    env.submit("--each-line", env.write("lines", "the entry\n"), "--task-dir", "--pin",
               "omp", "--cpus", "2", "--resource", "gpus/nvidia=1", "--", "env", "-0")
    env.wait_job(1)
    raw = (env.work / "job-1" / "0.stdout").read_bytes().decode()
    got = dict(line.split("=", 1) for line in raw.rstrip("\0").split("\0"))
    want = {"HQ_JOB_ID": "1", "HQ_TASK_ID": "0", "HQ_INSTANCE_ID": "0", "HQ_PIN": "omp",
            "HQ_SUBMIT_DIR": str(env.work), "HQ_ENTRY": "the entry",
            "CUDA_VISIBLE_DEVICES": "3", "OMP_NUM_THREADS": "2"}
    assert {k: got.get(k) for k in want} == want
    assert sorted(got["HQ_CPUS"].split(",")) == ["0", "1"]
    assert {"HQ_TASK_DIR", "HQ_ERROR_FILENAME"} <= got.keys()
    job = env.submit("--nodes", "1", "--", "sh", "-c",
                     'echo $HQ_NUM_NODES; test -s "$HQ_NODE_FILE" -a -s "$HQ_HOST_FILE"')
    env.wait_job(job)
    assert env.stats(job) == {"finished": 1}
