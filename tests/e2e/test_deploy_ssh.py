"""hq worker deploy-ssh with a stand-in for ssh on PATH."""
import signal

import pytest

from harness import HQ, wait_until

# Writes down its words; the rest runs as the remote side would.
SSH = """echo "$*" >>calls
while [ "$1" != -- ]; do shift; done
shift
"""


@pytest.fixture
def ssh(bare):
    """Installs a stand-in whose remote side runs the given shell text."""
    def install(remote):
        bare.script("bin/ssh", SSH + remote + "\n")
        bare.vars["PATH"] = f"{bare.work}/bin:{bare.vars['PATH']}"
        return bare
    return install


def calls(env):
    return sorted(env.read("calls").splitlines())


@pytest.mark.core
def test_workers_are_started_and_end(ssh):
    env = ssh("exec $*")
    env.start_server()
    env.write("hosts", "alpha\n  beta:2222  \n\n")
    running = env.spawn("deploy", HQ, "--server-dir", env.server_dir, "worker",
                        "deploy-ssh", "hosts", "--cpus", "2", "--detect-resources=none")
    env.wait_workers(2)
    rest = f"-- {HQ} worker start --server-dir {env.server_dir} --cpus 2 " \
           "--detect-resources=none"
    assert calls(env) == [f"alpha -t -t {rest}", f"beta -t -t -p 2222 {rest}"]
    assert running.running
    env.hq("worker", "stop", "all")
    assert running.wait() == 0
    text = running.text()
    for host in ("alpha", "beta:2222"):
        assert f"Started worker process at `{host}`" in text
        assert f"Worker at `{host}` has ended successfully" in text
    assert text.rstrip().endswith("All workers have finished")


def test_one_failure_fails_the_command(ssh):
    env = ssh("exit 3")
    env.write("hosts", "a\nb\n")
    result = env.hq("worker", "deploy-ssh", "hosts", code=1)
    for host in "ab":
        assert (f"Worker at `{host}` has ended with an error: Worker exited with code 3"
                in result.stderr)
    assert "All workers have finished" in result.stderr
    assert result.stderr.endswith("Some workers have ended with an error\n")


def test_output_is_shown_on_request(ssh):
    env = ssh("echo to-out; echo to-err >&2; cat")
    env.write("hosts", "a\n")
    for words in (["hosts"], ["hosts", "--cpus", "1"]):
        result = env.hq("worker", "deploy-ssh", *words)
        assert "to-out" not in result.stdout and "to-err" not in result.stderr
    for words in (["--show-output", "hosts"], ["hosts", "--show-output"],
                  ["hosts", "--show-output", "--cpus", "1"]):
        result = env.hq("worker", "deploy-ssh", *words, stdin="not for the remote side")
        assert result.stdout == "to-out\n" and "to-err" in result.stderr
    assert not any("--show-output" in call for call in calls(env))


def test_options_are_checked_before_anything_starts(ssh):
    env = ssh("exit 0")
    env.write("hosts", "a\n")
    for words, text in [(["--cpus", "x"], "invalid value 'x'"),
                        (["--nonsense"], "unexpected argument '--nonsense'"),
                        (["--cpus", "1", "--show-output"], "'--show-output'"),
                        (["--heartbeat", "100ms"], "heartbeat")]:
        assert text in env.hq("worker", "deploy-ssh", "hosts", *words, code=2).stderr
    assert not (env.work / "calls").exists()


def test_options_are_passed_on_as_they_are(ssh):
    env = ssh("exit 0")
    env.write("hosts", "a\n")
    env.hq("worker", "deploy-ssh", "hosts", "--", "--resource", "mem=sum(1)",
           "--cpus", "[[1, 2], [3]]", "--group=g")
    assert calls(env) == [f"a -t -t -- {HQ} worker start --resource mem=sum(1) "
                          "--cpus [[1, 2], [3]] --group=g"]


def test_help_of_the_passed_options(bare):
    result = bare.hq("worker", "deploy-ssh", "hosts", "--", "--help")
    assert "Usage: hq worker deploy-ssh -- [OPTIONS]" in result.stdout
    assert "--on-server-lost" in result.stdout


@pytest.mark.parametrize("words, passed", [
    (["--server-dir", "/a b", "worker", "deploy-ssh", "hosts"], "--server-dir '/a b'"),
    (["worker", "deploy-ssh", "hosts", "--cpus", "1", "--server-dir=/x"],
     "--cpus 1 --server-dir=/x"),
    (["--server-dir", "/a", "worker", "deploy-ssh", "hosts", "--cpus", "1",
      "--server-dir=/x"], "--cpus 1 --server-dir=/x"),
    (["--server-dir", "rel", "worker", "deploy-ssh", "hosts"], "--server-dir {cwd}/rel"),
    (["worker", "deploy-ssh", "hosts"], ""),
])
def test_chosen_server_directory_is_passed_on(ssh, words, passed):
    """One of the command line, quoted for the shell at the other end, and once."""
    env = ssh("exit 0")
    env.write("hosts", "a\n")
    env.hq(*words)
    want = f"a -t -t -- {HQ} worker start {passed.format(cwd=env.work)}".rstrip()
    assert calls(env) == [want]


@pytest.mark.core
def test_interrupt_ends_the_ssh_processes(ssh):
    env = ssh("echo $$ >>pids; exec sleep 1000")
    env.write("hosts", "a\nb\n")
    running = env.spawn("deploy", HQ, "worker", "deploy-ssh", "hosts")
    wait_until(lambda: (env.work / "pids").exists() and
               len(env.read("pids").splitlines()) == 2, "the ssh processes")
    running.send(signal.SIGINT)
    assert running.wait() == 0, running.text()
    assert not {int(pid) for pid in env.read("pids").split()} & set(env.tagged())


@pytest.mark.parametrize("text", ["", "\n", "  \n\t\n"])
def test_no_host(bare, text):
    bare.write("hosts", text)
    result = bare.hq("worker", "deploy-ssh", "hosts", code=1)
    assert "The provided hostname is empty" in result.stderr


def test_no_host_file(bare):
    result = bare.hq("worker", "deploy-ssh", "nowhere", code=1)
    assert "Cannot load hostfile from nowhere" in result.stderr
    assert "No such file or directory (os error 2)" in result.stderr
    (bare.work / "dir").mkdir()
    result = bare.hq("worker", "deploy-ssh", "dir", code=1)
    assert "Cannot load hostfile from dir" in result.stderr
    assert "Is a directory (os error 21)" in result.stderr


def test_no_ssh(bare):
    bare.write("hosts", "a\n")
    result = bare.hq("worker", "deploy-ssh", "hosts", env={"PATH": "/nowhere"}, code=1)
    assert "Cannot find `ssh` binary" in result.stderr
