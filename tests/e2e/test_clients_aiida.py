"""What AiiDA's plugin for hq sends, and how it reads the answers.

Every command goes through a login shell of the machine. It takes any byte on standard
error of submit and list for a warning, and the word ERROR in that of cancel for a failure.
"""
import json

import pytest

from harness import wait_until

STATES = {"WAITING", "RUNNING", "FAILED", "CANCELED", "FINISHED"}
SCRIPT = """#!/bin/bash
{header}

{body}
"""


class Aiida:
    def __init__(self, env):
        self.env = env
        # A login shell reads its profile, which may reset PATH.
        (env.root / "home" / ".bash_profile").write_text(
            f"export PATH='{env.vars['PATH']}'\n")

    def shell(self, command, cwd=None, code=0):
        return self.env.run("bash", "-l", "-c", command, cwd=cwd, code=code)

    def submit(self, directory, body, *header):
        work = self.env.work / directory
        work.mkdir()
        lines = ['#HQ --name="echo hello"', "#HQ --stdout=_scheduler-stdout.txt",
                 "#HQ --stderr=_scheduler-stderr.txt", *(f"#HQ {h}" for h in header)]
        script = work / "_aiidasubmit.sh"
        script.write_text(SCRIPT.format(header="\n".join(lines), body=body))
        script.chmod(0o644)
        done = self.shell(f"cd '{work}' && hq submit --output-mode=json _aiidasubmit.sh")
        assert done.stderr == ""
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return work, answer["id"]

    def poll(self):
        """Jobs that are not listed count as done."""
        done = self.shell("hq job list --filter waiting,running --output-mode=json")
        assert done.stderr == ""
        states = {}
        for job in json.loads(done.stdout):
            assert job["task_count"] == 1 and job["name"]
            state, = [s for s, n in job["task_stats"].items() if n > 0]
            assert state.upper() in STATES
            states[job["id"]] = state.upper()
        return states

    def kill(self, job):
        done = self.shell(f"hq job cancel {job}")
        return "ERROR" not in done.stderr, done.stderr


@pytest.fixture
def aiida(env):
    return Aiida(env)


@pytest.mark.core
def test_calculation(aiida):
    env = aiida.env
    work, job = aiida.submit("c1", "echo hello\necho oops >&2", "--time-request=1s",
                             "--time-limit=30s", "--priority=7", "--cpus=1",
                             "--resource mem=100")
    assert aiida.poll() == {job: "WAITING"}
    info = env.job(job)
    assert info["info"]["name"] == "echo hello"
    env.start_worker("--resource=mem=sum(2560)", cpus=2)
    wait_until(lambda: aiida.poll() == {}, "the calculation to be gone")
    assert (work / "_scheduler-stdout.txt").read_text() == "hello\n"
    assert (work / "_scheduler-stderr.txt").read_text() == "oops\n"
    assert aiida.shell("hq job list --filter waiting,running --output-mode=json").stdout \
        == "[]\n"


def test_running_calculation_and_kill(aiida):
    aiida.env.start_worker(cpus=1)
    _, job = aiida.submit("c1", "sleep 1000")
    wait_until(lambda: aiida.poll() == {job: "RUNNING"}, "RUNNING")
    good, text = aiida.kill(job)
    assert good and f"Job {job} canceled" in text
    assert aiida.poll() == {}


def test_kill_of_an_unknown_job_is_an_error_in_the_text(aiida):
    good, text = aiida.kill(77)
    assert not good and "77" in text


def test_failed_calculation_leaves_the_list(aiida):
    aiida.env.start_worker(cpus=1)
    _, job = aiida.submit("c1", "exit 3")
    wait_until(lambda: aiida.poll() == {}, "the calculation to be gone")
    assert aiida.env.states(job) == ["failed"]


def test_detail_goes_through_jq(aiida):
    _, job = aiida.submit("c1", "true")
    if not aiida.env.run("sh", "-c", "command -v jq", code=None).stdout:
        pytest.skip("no jq")
    done = aiida.shell(f"hq job info {job} --output-mode json | jq -c .")
    assert json.loads(done.stdout)[0]["info"]["id"] == job


def test_server_probe(bare):
    aiida = Aiida(bare)
    gone = aiida.shell("hq server info", code=None)
    assert gone.code != 0
    assert "Start date" not in gone.stdout
    bare.shell_server = bare.spawn(
        "login", "bash", "-l", "-c", "nohup hq server start --host 127.0.0.1 "
        "1>$HOME/.hq-stdout 2>$HOME/.hq-stderr")
    wait_until(lambda: aiida.shell("hq server info", code=None).code == 0, "the server")
    up = aiida.shell("hq server info")
    assert "Start date" in up.stdout and up.stderr == ""
    aiida.shell("hq server stop")
    assert bare.shell_server.wait() == 0
    assert aiida.shell("hq server info", code=None).code != 0


def test_tables_that_its_tests_read(bare):
    """Commands, rows and columns that the plugin's own test fixture depends on."""
    env = bare
    env.vars.update(HQ_TEST="1", RUST_LOG="trace")
    env.server = env.spawn("server", "hq", "--colors", "never", "--server-dir",
                           env.server_dir, "--debug", "server", "start", "--host",
                           "127.0.0.1")
    wait_until(lambda: env.hq("server", "info", code=None).code == 0, "the server")
    worker = env.spawn("worker", "hq", "--colors", "never", "--server-dir", env.server_dir,
                       "worker", "start", f"--work-dir={env.work}/wd",
                       "--on-server-lost=stop", "--no-detect-resources", "--hostname",
                       "node1", "--cpus", "1")
    env.wait_workers(1)
    rows = env.hq("--colors", "never", "worker", "list", "--all").table()
    assert rows[1][1] == "RUNNING"
    info = env.hq("worker", "info", "1").fields()
    assert info["Hostname"] == "node1" and info["Process pid"] == str(worker.pid)
    job = env.submit("--name", "n1", "--", "sleep", "1000")
    env.wait_stats(job, running=1)
    assert env.hq("job", "list", "--all").table()[1][2] == "RUNNING"
    fields = env.hq("job", "info", str(job)).fields()
    assert fields["State"] == "RUNNING" and fields["Name"] == "n1"
    assert fields["Resources"] == "cpus: 1 compact"
    env.hq("worker", "stop", "1")
    wait_until(lambda: env.hq("worker", "list", "--all").table()[1][1] == "STOPPED",
               "the worker to stop")


def test_container_worker(env):
    env.spawn("worker", "sh", "-c", 'nohup hq worker start --cpus=2 --resource '
              '"mem=sum(2560)" --no-detect-resources')
    env.wait_workers(1)
    names = {r["name"] for r in env.workers()[0]["configuration"]["resources"]["resources"]}
    assert names == {"cpus", "mem"}
