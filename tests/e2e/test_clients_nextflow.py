"""What Nextflow's executor for hq sends, and how it reads the answers.

It runs everything in quiet mode with standard error merged into standard output, so any
remark on standard error of a successful command would break a run.
"""
import json
import re
import subprocess

import pytest

from harness import PATIENCE, TIMEOUT_S, wait_until

# The states it knows; it takes other words for "no longer active".
KNOWN = {"CANCELED", "FAILED", "FINISHED", "RUNNING", "WAITING"}

WRAPPER = """#!/bin/bash
{header}
# The rest is bash.
on_exit() {{ status=$?; printf %s $status > .exitcode; exit $status; }}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
echo wrapper starts
touch .command.begin
{body}
"""


def escaped(path):
    """A path as it writes it: special characters with a backslash, then quoted."""
    plain = str(path)
    special = re.sub(r"([\s'\"()&|;*?\[\]])", r"\\\1", plain)
    return plain if special == plain else f'"{special}"'


class Nextflow:
    def __init__(self, env):
        self.env = env

    def merged(self, *words, cwd=None):
        done = subprocess.run(["hq", *words], cwd=cwd or self.env.work, env=self.env.vars,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT_S * PATIENCE)
        assert done.returncode == 0, done
        return done.stdout.decode()

    def submit(self, directory, body, *more, name="nf-sayHello_(1)"):
        """The task's work directory holds everything; hq runs in it."""
        work = self.env.work / directory
        work.mkdir(parents=True)
        header = [f"#HQ --name {name}", f"#HQ --stream {escaped(work / '.command.log')}",
                  f"#HQ --cwd {escaped(work)}", *(f"#HQ {line}" for line in more)]
        script = work / ".command.run"
        script.write_text(WRAPPER.format(header="\n".join(header), body=body))
        script.chmod(0o644)
        text = self.merged("--output-mode=quiet", "submit", "--directives=file",
                           ".command.run", cwd=work)
        return work, int(text.strip())

    def poll(self):
        """Every line has to be two words; a blank line would be an index error."""
        text = self.merged("--output-mode=quiet", "job", "list", "--all")
        assert text == "" or text.endswith("\n")
        states = {}
        for line in text.removesuffix("\n").split("\n") if text else []:
            number, state = line.split(" ")
            states[int(number)] = state if state in KNOWN else None
        return states

    def wait_exit(self, work, job):
        """Ends when .exitcode is there; the job may leave RUNNING only after that."""
        code = work / ".exitcode"

        def ended():
            active = self.poll()[job] in ("RUNNING", "WAITING")
            assert active or code.exists(), "no .exitcode although the job has ended"
            return code.exists() and code.read_text()

        return int(wait_until(ended, ".exitcode"))


@pytest.fixture
def nextflow(pair):
    return Nextflow(pair)


@pytest.mark.core
def test_task_from_submit_to_exit_code(nextflow):
    assert nextflow.poll() == {}
    work, job = nextflow.submit("ab/01", "pwd -P; test ! -x .command.run",
                                "--resource mem=16", "--cpus 1", "--time-limit 60sec",
                                "--priority 3")
    # The worker has no memory to give, so the task waits until one has it.
    assert nextflow.poll() == {job: "WAITING"}
    info = nextflow.env.job(job)
    assert info["info"]["name"] == "nf-sayHello_(1)"
    nextflow.env.start_worker("--resource=mem=sum(64)", cpus=1)
    assert nextflow.wait_exit(work, job) == 0
    wait_until(lambda: nextflow.poll() == {job: "FINISHED"}, "the job to finish")
    log = nextflow.env.hq("output-log", work / ".command.log", "cat", str(job), "stdout")
    assert log.stdout == f"wrapper starts\n{work}\n"
    assert not (work / f"job-{job}").exists()


def test_failed_task(nextflow):
    work, job = nextflow.submit("ab/02", "exit 7")
    assert nextflow.wait_exit(work, job) == 7
    wait_until(lambda: nextflow.poll() == {job: "FAILED"}, "the job to fail")


def test_missing_program_ends_the_job(nextflow):
    work, job = nextflow.submit("ab/03", "no-such-program-here")
    assert nextflow.wait_exit(work, job) == 127


def test_blanks_in_the_work_directory(nextflow):
    work, job = nextflow.submit("my work (1)/cd/04", "pwd -P")
    assert " --stream \"" in (work / ".command.run").read_text()
    assert nextflow.wait_exit(work, job) == 0
    nextflow.env.wait_job(job)
    log = nextflow.env.hq("output-log", work / ".command.log", "cat", str(job), "stdout")
    assert log.stdout.endswith(f"{work}\n")


@pytest.mark.parametrize("name", ["nf-words_(part_05)", "nf-a:b:c_(x.y)", "nf-q_(1'2)"])
def test_names_come_unquoted(nextflow, name):
    work, job = nextflow.submit("ab/05", "true", name=name)
    assert nextflow.wait_exit(work, job) == 0
    assert nextflow.env.job(job)["info"]["name"] == name


def test_cluster_options_are_lines_of_their_own(nextflow):
    work, job = nextflow.submit("ab/06", 'echo "$A"', "--env A=\"x y\" --env B=1",
                                "--crash-limit 2")
    assert nextflow.wait_exit(work, job) == 0
    nextflow.env.wait_job(job)
    log = nextflow.env.hq("output-log", work / ".command.log", "cat", str(job), "stdout")
    assert log.stdout == "wrapper starts\nx y\n"


@pytest.mark.core
def test_cancel_lets_the_wrapper_write_its_exit_code(nextflow):
    """SIGINT comes first, and what it leaves in the background is killed after it."""
    body = "sleep 1000 &\necho $! > background\nwait"
    work, job = nextflow.submit("ab/07", body)
    wait_until(lambda: (work / "background").exists() and
               (work / "background").read_text().strip(), "the background job")
    _, other = nextflow.submit("ab/08", "sleep 1000")
    nextflow.merged("job", "cancel", f"{job},{other}")
    assert int(wait_until(lambda: (work / ".exitcode").exists() and
                          (work / ".exitcode").read_text(), ".exitcode")) == 130
    assert nextflow.poll() == {job: "CANCELED", other: "CANCELED"}
    pid = int((work / "background").read_text())
    wait_until(lambda: pid not in nextflow.env.tagged(), "the background job to be killed")


def test_cancel_of_one_and_of_ended_jobs(nextflow):
    work, job = nextflow.submit("ab/09", "true")
    nextflow.wait_exit(work, job)
    nextflow.env.wait_job(job)
    nextflow.merged("job", "cancel", str(job))
    nextflow.merged("job", "cancel", f"{job},999")
    assert nextflow.poll() == {job: "FINISHED"}


def test_time_limit_is_gentle_too(nextflow):
    work, job = nextflow.submit("ab/10", "sleep 1000 &\nwait", "--time-limit 1sec")
    assert nextflow.wait_exit(work, job) == 130
    wait_until(lambda: nextflow.poll() == {job: "FAILED"}, "the job to fail")


@pytest.mark.core
def test_error_report_reads_text(nextflow):
    """With one cluster option more, `--log`, the text is where it looks for it, and all
    tasks share one log."""
    shared = f"--log {nextflow.env.work}/run.hqlog"
    for i in range(3):
        work, job = nextflow.submit(f"ab/2{i}", f"echo reason {i} >&2; exit {i}", shared)
        assert nextflow.wait_exit(work, job) == i
        nextflow.env.wait_job(job)
        assert (work / ".command.log").read_text() == f"wrapper starts\nreason {i}\n"
    fields = nextflow.env.log("run.hqlog", "summary").fields()
    assert fields["Jobs"] == "3"


def test_many_jobs_at_once(nextflow):
    tasks = [nextflow.submit(f"m/{i}", f"echo {i} > out") for i in range(24)]
    for i, (work, job) in enumerate(tasks):
        assert nextflow.wait_exit(work, job) == 0
        assert (work / "out").read_text() == f"{i}\n"
    nextflow.env.hq("job", "wait", "all")
    assert nextflow.poll() == {job: "FINISHED" for _, job in tasks}


def test_old_release_with_log_and_json(nextflow):
    """Releases to 24.10 write --log; 22.x asked for JSON."""
    env = nextflow.env
    work = env.work / "old"
    work.mkdir()
    script = work / ".command.run"
    script.write_text(WRAPPER.format(
        header=f"#HQ --name nf-old\n#HQ --log {work}/.command.log\n#HQ --cwd {work}",
        body="echo text"))
    done = subprocess.run(["hq", "--output-mode=json", "submit", "--directives=file",
                           ".command.run"], cwd=work, env=env.vars, capture_output=True,
                          timeout=TIMEOUT_S * PATIENCE)
    assert done.returncode == 0 and done.stderr == b""
    job = json.loads(done.stdout)["id"]
    assert nextflow.wait_exit(work, job) == 0
    env.wait_job(job)
    assert env.hq("log", work / ".command.log", "cat", str(job), "stdout").stdout == \
        "wrapper starts\ntext\n"
    listed = env.json("job", "list", "--all")
    assert [j["id"] for j in listed] == [job]


@pytest.mark.parametrize("log, asked, mebibytes", [
    (".command.log", 10 * 1024 * 1024 + 1, 11),  # 24.04: bytes
    (".command.log", 4_194_304, 4_194_304),      # 24.10: MiB
    ("all.log", 50_000_000, 50_000_000),         # not Nextflow
])
def test_memory_of_old_releases(nextflow, log, asked, mebibytes):
    env = nextflow.env
    env.write(".command.run", f"#!/bin/bash\n#HQ --log {env.work}/{log}\n"
                              f"#HQ --resource mem={asked}\ntrue\n")
    job = int(nextflow.merged("--output-mode=quiet", "submit", "--directives=file",
                              ".command.run"))
    request = env.job(job)["submits"][0]["array"]["resources"][0]["resources"]
    assert {"resource": "mem", "request": {"Compact": mebibytes * 10000}} in request


def test_first_prototype_reads_the_sentence(nextflow):
    env = nextflow.env
    env.write("run.sh", "#!/bin/bash\ntrue\n")
    text = nextflow.merged("submit", "run.sh")
    assert re.search(r"Job submitted successfully, job ID: (\d+)", text).group(1) == "1"
