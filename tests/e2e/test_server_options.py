"""hq server start with each option, stop, wait and debug-dump; ports and directories that
cannot be used."""
import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest

from harness import HQ, TIMEOUT_S, wait_until


def start(bare, *args, **kwargs):
    """A start that fails."""
    return bare.hq("server", "start", "--host", "127.0.0.1", *args, code=1, **kwargs)


@pytest.fixture
def busy_port():
    """A port that somebody else listens on."""
    with socket.socket() as s:
        s.bind(("0.0.0.0", 0))
        s.listen()
        yield s.getsockname()[1]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connected(process, port):
    """Whether the process has a connection to the port of this machine."""
    ends = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[2].endswith(f":{port:04X}") and fields[3] == "01":
                ends.add(f"socket:[{fields[9]}]")
    try:
        files = [os.readlink(f) for f in Path(f"/proc/{process.pid}/fd").iterdir()]
    except OSError:
        return False
    return bool(ends & set(files))


# -- ports and hosts ----------------------------------------------------------


@pytest.mark.core
def test_ports_can_be_chosen(bare):
    client, worker = free_port(), free_port()
    bare.start_server("--client-port", client, f"--worker-port={worker}")
    info = bare.json("server", "info")
    assert [info["client_port"], info["worker_port"]] == [client, worker]
    bare.start_worker()


def test_port_zero_is_a_free_port(bare):
    bare.start_server("--client-port=0", "--worker-port=0")
    info = bare.json("server", "info")
    assert info["client_port"] and info["worker_port"]


def test_ports_listen_on_all_addresses(env):
    info = env.json("server", "info")
    for port in (info["client_port"], info["worker_port"]):
        with socket.create_connection(("127.0.0.2", port), timeout=TIMEOUT_S):
            pass


@pytest.mark.core
def test_occupied_client_port(bare, busy_port):
    result = start(bare, "--client-port", busy_port)
    assert result.stdout == ""
    assert result.stderr.endswith("Cannot create HQ server socket\n\nCaused by:\n"
                                  "    Address already in use (os error 98)\n")
    assert not (bare.server_dir / "hq-current").is_symlink()


def test_occupied_worker_port(bare, busy_port):
    result = start(bare, "--worker-port", busy_port)
    assert result.stderr.endswith("Address already in use (os error 98)\n")
    assert "Cannot create HQ server socket" not in result.stderr


def test_occupied_port_leaves_no_journal_lock(bare, busy_port):
    start(bare, "--journal", "j", "--client-port", busy_port)
    bare.start_server("--journal", "j")


def test_one_port_for_both(bare):
    port = free_port()
    result = start(bare, "--client-port", port, "--worker-port", port)
    assert "Address already in use" in result.stderr


def test_privileged_port(bare):
    result = bare.run("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", HQ,
                      "server", "start", "--host", "127.0.0.1", "--client-port", "1",
                      code=None)
    if result.code == 127 or "setpriv" in result.stderr:
        pytest.skip("no right to give up rights")
    assert result.code == 1 and "os error" in result.stderr


def test_host_is_written_for_both_roles(bare):
    bare.spawn("server", HQ, "server", "start", "--host", "localhost")
    wait_until(lambda: bare.hq("server", "info", code=None).code == 0, "the server")
    info = bare.json("server", "info")
    assert [info["client_host"], info["worker_host"]] == ["localhost"] * 2


def test_default_host_is_this_machine(bare):
    bare.spawn("server", HQ, "server", "start")
    wait_until((bare.server_dir / "hq-current" / "access.json").exists, "the access file")
    content = json.loads((bare.server_dir / "hq-current" / "access.json").read_text())
    assert content["client"]["host"] == content["worker"]["host"] == socket.gethostname()


@pytest.mark.parametrize("words, text", [
    (["--client-port", "65536"], "65536 is not in 0..=65535"),
    (["--worker-port", "-1"], "-1"),
    (["--client-port", "x"], "invalid value 'x' for '--client-port <CLIENT_PORT>'"),
    (["--host", "a", "--host", "b"], "cannot be used multiple times"),
    (["--idle-timeout", "1.5"], "humantime format"),
    (["--journal-flush-period", "x"], "humantime format"),
    (["--scheduler-time-limit", "-1"], "-1"),
    (["--journal", ""], "a value is required"),
    (["--keep-completed", "many"], "many"),
    (["surplus"], "unexpected argument 'surplus'"),
])
def test_bad_options(bare, words, text):
    result = bare.hq("server", "start", *words, code=2)
    assert text in result.stderr and result.stdout == ""
    assert not bare.server_dir.exists()


# -- directories and files that cannot be used --------------------------------


def as_nobody(env, *words, **kwargs):
    """Runs hq as a user without rights, who can reach the programs at least."""
    env.root.chmod(0o755)
    return env.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", HQ,
                   *words, cwd="/", **kwargs)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become nobody")


@needs_root
@pytest.mark.core
def test_directory_that_is_not_writable(bare):
    bare.server_dir.mkdir(mode=0o755)
    result = as_nobody(bare, "server", "start", code=1)
    assert str(bare.server_dir) in result.stderr
    assert "Permission denied (os error 13)" in result.stderr
    assert list(bare.server_dir.iterdir()) == []


@needs_root
def test_directory_that_cannot_be_created(bare):
    result = as_nobody(bare, "server", "start", code=1)
    assert str(bare.server_dir) in result.stderr
    assert "Permission denied (os error 13)" in result.stderr


@needs_root
def test_journal_that_is_not_writable(bare):
    bare.server_dir.mkdir()
    bare.server_dir.chmod(0o777)
    result = as_nobody(bare, "server", "start", "--journal", bare.root / "j", code=1)
    assert str(bare.root / "j") in result.stderr
    assert "Permission denied (os error 13)" in result.stderr


def test_file_below_the_way(bare):
    (bare.root / "file").write_text("")
    result = start(bare, env={"HQ_SERVER_DIR": bare.root / "file" / "sd"})
    assert "Not a directory (os error 20)" in result.stderr


def test_journal_in_a_missing_directory(bare):
    result = start(bare, "--journal", "no/j")
    assert "Cannot create event log file at `no/j`" in result.stderr
    assert "No such file or directory (os error 2)" in result.stderr


def test_link_that_cannot_be_replaced(bare):
    """A directory in the place of the link is nobody's to remove."""
    (bare.server_dir / "hq-current" / "mine").mkdir(parents=True)
    result = start(bare)
    assert "hq-current" in result.stderr and "os error" in result.stderr
    assert (bare.server_dir / "hq-current" / "mine").is_dir()


# -- settings of workers and journal ------------------------------------------


@pytest.mark.core
def test_idle_timeout_of_the_server(bare):
    bare.start_server("--idle-timeout", "1s")
    patient = bare.start_worker("--idle-timeout", "2h")
    worker = bare.start_worker()
    assert bare.hq("worker", "info", worker.id).fields()["Idle timeout"] == "1s"
    assert bare.hq("worker", "info", patient.id).fields()["Idle timeout"] == "2h"
    assert worker.wait() == 0
    assert [w["id"] for w in bare.workers()] == [patient.id]


def test_journal_path_is_shown_as_it_was_given(bare):
    bare.start_server("--journal", "./j.bin", "--journal-flush-period", "100ms",
                      "--scheduler-time-limit", "2s")
    assert bare.json("server", "info")["journal_path"] == "./j.bin"
    assert bare.hq("server", "info").fields()["Journal path"] == "./j.bin"


def test_uid_of_the_journal_beats_the_access_file(bare):
    bare.start_server("--journal", "j")
    uid = bare.json("server", "info")["server_uid"]
    bare.stop_server()
    bare.hq("server", "generate-access", "a.json", "--host", "127.0.0.1",
            "--client-port", free_port(), "--worker-port", free_port())
    bare.start_server("--journal", "j", "--access-file", "a.json")
    assert bare.json("server", "info")["server_uid"] == uid


def test_a_journal_serves_one_server(bare):
    bare.start_server("--journal", "j")
    result = start(bare, "--journal", "j", env={"HQ_SERVER_DIR": bare.root / "other"})
    assert "j" in result.stderr and result.stdout == ""


# -- output -------------------------------------------------------------------


def test_start_date_and_version(env):
    fields = env.hq("server", "info").fields()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", fields["Start date"])
    version = env.hq("--version").stdout
    assert version == f"hyperqueue {fields['Version']}\n"
    info = env.json("server", "info")
    assert info["version"] == fields["Version"]
    assert info["start_date"].endswith("Z") and info["pid"] == env.server.pid


def test_log_lines(env):
    text = env.server.text()
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO "
    assert re.search(line + r"HyperQueue \S+\n", text)
    assert re.search(line + "No online server found, starting a new server\n", text)
    access = env.server_dir / "001" / "access.json"
    assert re.search(line + f"Storing access file as '{access}'\n", text)
    env.stop_server()
    text = env.server.text()
    assert text.index("Received Stop command from client") < text.index("Stopping server")


@pytest.mark.parametrize("variables, words", [
    ({}, ["--debug"]), ({"HQ_DEBUG": "true"}, []), ({"RUST_LOG": "debug"}, []),
])
def test_long_log_form(env, variables, words):
    result = env.hq(*words, "server", "stop", env=variables)
    stamp = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO \S+\] Stopping server\n"
    assert re.search(stamp, result.stderr)


# -- the end ------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_in_order(env, signo):
    env.server.send(signo)
    assert env.server.wait() == 0
    text = env.server.text()
    assert f"Received {signo.name}, attempting to stop" in text
    assert "Stopping server" in text
    assert not (env.server_dir / "hq-current").is_symlink()


def test_hang_up_that_is_ignored_stays_ignored(bare):
    """What nohup asks for."""
    server = bare.spawn("server", "nohup", HQ, "server", "start", "--host", "127.0.0.1")
    wait_until(lambda: bare.hq("server", "info", code=None).code == 0, "the server")
    server.send(signal.SIGHUP)
    assert bare.json("server", "info")["pid"] == server.pid
    bare.hq("server", "stop")
    assert server.wait() == 0


def test_stop_says_so_and_returns(env):
    result = env.hq("server", "stop")
    assert result.stdout == "" and "Stopping server" in result.stderr
    assert env.server.wait() == 0
    result = env.hq("server", "stop", code=1)
    assert "No running instance of HQ found" in result.stderr


def test_stop_in_json_mode(env):
    assert env.hq("--output-mode=json", "server", "stop").stdout == "{}\n"


def test_stop_of_a_server_that_holds_still(env):
    """A client waits for an answer; it does not think that all is done."""
    port = env.json("server", "info")["client_port"]
    env.server.send(signal.SIGSTOP)
    try:
        stopping = env.spawn("stop", HQ, "server", "stop")
        wait_until(lambda: connected(stopping, port), "the client's connection")
        assert stopping.running
    finally:
        env.server.send(signal.SIGCONT)
    assert stopping.wait() == 0
    assert env.server.wait() == 0


# -- wait ---------------------------------------------------------------------


def test_wait_tries_once_with_zero(bare):
    result = bare.hq("server", "wait", "--timeout=0", code=1)
    assert "Waiting for server to become available (timeout: 0s)..." in result.stderr
    assert (f"Timeout after 0s: Could not connect to server at `{bare.server_dir}`"
            in result.stderr)
    assert result.stdout == ""


def test_wait_for_a_running_server(env):
    result = env.hq("server", "wait")
    assert "(timeout: 5m)" in result.stderr
    assert "Successfully connected to server" in result.stderr
    assert env.hq("--output-mode=json", "server", "wait").stdout == "{}\n"


def test_wait_takes_a_foreign_version_for_not_yet(bare):
    bare.server_dir.mkdir()
    (bare.server_dir / "access.json").write_text("{\"version\": \"v9\"}")
    result = bare.hq("server", "wait", "--timeout", "0", code=1)
    assert "Timeout after 0s" in result.stderr


def test_wait_survives_a_half_written_file(bare):
    waiting = bare.spawn("wait", HQ, "server", "wait", "--timeout", "60")
    bare.server_dir.mkdir()
    (bare.server_dir / "access.json").write_text("{\"version")
    bare.start_server()
    assert waiting.wait() == 0, waiting.text()


# -- the server goes away in the middle ---------------------------------------


@pytest.mark.core
@pytest.mark.parametrize("words", [
    ["job", "wait", "1"], ["worker", "wait", "5"], ["submit", "--wait", "--", "true"],
    ["job", "progress", "1"], ["submit", "--progress", "--", "true"],
])
def test_killed_server_fails_a_waiting_client(env, words):
    env.submit("--", "true")
    waiting = env.spawn("client", HQ, *words)
    port = env.json("server", "info")["client_port"]
    wait_until(lambda: connected(waiting, port), "the client's connection")
    env.server.kill()
    assert waiting.wait() == 1, waiting.text()
    assert "onnection" in waiting.text()


def test_peer_that_hangs_up_in_the_handshake(bare):
    """Somebody else got the port of a server that is gone."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        part = {"host": "127.0.0.1", "port": s.getsockname()[1], "secret_key": "00" * 32}
        content = {"version": bare.hq("--version").stdout.split()[1], "client": part,
                   "worker": part}
        bare.server_dir.mkdir()
        (bare.server_dir / "access.json").write_text(json.dumps(content))
        client = bare.spawn("client", HQ, "job", "list")
        peer, _ = s.accept()
        peer.close()
        assert client.wait() == 1, client.text()
        assert "is unreachable" in client.text()
        client = bare.spawn("client", HQ, "job", "list")
        peer, _ = s.accept()
        peer.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" * 10)
        assert client.wait() == 1, client.text()
        assert "is unreachable" in client.text()
        peer.close()


# -- debug-dump ---------------------------------------------------------------


def dump(env, *args):
    env.hq("server", "debug-dump", "dump.json", *args)
    return json.loads(env.read("dump.json"))["tako"]


@pytest.mark.core
def test_debug_dump(env):
    env.write("two.toml", "[[task]]\nid = 1\ncommand = ['true']\n"
                          "[[task]]\nid = 2\ndeps = [1]\ncommand = ['true']\n")
    env.start_worker("--time-limit", "1h", "--group", "g")
    env.start_worker("--group", "h")
    job = env.submit("--array", "5-9", "--priority", "3", "--time-limit", "1m", "--",
                     "sleep", "1000")
    env.wait_stats(job, running=2, waiting=3)
    env.hq("job", "submit-file", "two.toml")
    tako = dump(env)
    assert tako["worker_groups"] == [{"name": "g", "workers": [1]},
                                     {"name": "h", "workers": [2]}]
    first, second = tako["workers"]
    assert [first["id"], second["id"]] == [1, 2]
    assert first["termination_time"] and second["termination_time"] is None
    assert first["idle_timestamp"] is None and first["last_heartbeat"]
    assert first["configuration"]["group"] == "g"
    tasks = {t["id"]: t for t in tako["tasks"]}
    assert set(tasks) == {f"{job}@{i}" for i in range(5, 10)} | {"2@1", "2@2"}
    running = [t for t in tasks.values() if t["state"]["state"] == "Running"]
    assert {t["state"]["worker_id"] for t in running} == {1, 2}
    for task in running:
        assert any(task["id"] in w["assignment"]["assigned_tasks"]
                   for w in tako["workers"])
        assert task["configuration"] == {"body_len": 9, "crash_limit": 5,
                                         "time_limit": 60.0, "user_priority": 3}
    assert tasks["2@1"]["consumers"] == ["2@2"] and tasks["2@2"]["task_deps"] == ["2@1"]
    assert tasks["2@2"]["state"] == {"state": "Waiting", "unfinished_deps": 1}


def test_debug_dump_of_a_gang(env):
    for _ in range(2):
        env.start_worker()
    job = env.submit("--nodes", "2", "--", "sleep", "1000")
    env.wait_stats(job, running=1)
    tako = dump(env)
    assert [w["assignment"] for w in tako["workers"]] == [
        {"is_root": True, "task_id": "1@0"}, {"is_root": False, "task_id": "1@0"}]
    assert tako["tasks"][0]["state"] == {"state": "RunningMultiNode",
                                         "worker_ids": [1, 2]}


def test_debug_dump_overwrites_and_is_relative_to_the_client(env):
    (env.work / "here").mkdir()
    env.write("here/dump.json", "x" * 100_000)
    result = env.hq("server", "debug-dump", "dump.json", cwd=env.work / "here")
    assert result.stdout == ""
    assert "Dumping server state ..." in result.stderr and "Dump finished" in result.stderr
    assert json.loads(env.read("here/dump.json"))["tako"]["tasks"] == []


def test_debug_dump_of_many_tasks(env):
    env.submit("--array", "1-100000", "--", "true")
    assert len(dump(env)["tasks"]) == 100_000
    assert env.json("server", "info")["pid"] == env.server.pid


@pytest.mark.parametrize("path, text", [
    ("no/such/dir/dump.json", "No such file or directory (os error 2)"),
    ("/dev/full", "No space left on device (os error 28)"), (".", "Is a directory"),
    ("fifo", "No such device or address"),
])
def test_debug_dump_that_cannot_be_written(env, path, text):
    os.mkfifo(env.work / "fifo")
    result = env.hq("server", "debug-dump", path, code=1)
    assert f"Error: Could not write debug dump: {text}" in result.stderr
    assert env.json("server", "info")["pid"] == env.server.pid
    assert env.work.is_dir()
