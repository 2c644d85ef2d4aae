"""hq server start, stop, info, wait, and the server directory."""
import json
import os
import signal
import stat

import pytest

from harness import HQ, wait_until


@pytest.mark.core
def test_start_prints_its_table(bare):
    server = bare.start_server()
    text = server.text()
    for label in ("Server directory", "Server UID", "Client host", "Client port",
                  "Worker host", "Worker port", "Version", "Pid", "Start date",
                  "Journal path"):
        assert f"| {label} " in text
    assert str(server.pid) in text


def test_info_json(env):
    info = env.json("server", "info")
    assert set(info) >= {"client_host", "client_port", "journal_path", "pid", "server_dir",
                         "server_uid", "start_date", "version", "worker_host",
                         "worker_port"}
    assert info["pid"] == env.server.pid
    assert info["journal_path"] is None and info["server_dir"] is None
    assert info["client_port"] != info["worker_port"]
    assert len(info["server_uid"]) == 6 and info["server_uid"].isalnum()


def test_info_modes(env):
    assert env.hq("--output-mode", "quiet", "server", "info").stdout == ""
    fields = env.hq("server", "info").fields()
    assert fields["Pid"] == str(env.server.pid)
    assert "Server directory" not in fields


@pytest.mark.parametrize("mode", ["json", "quiet"])
def test_start_modes(bare, mode):
    server = bare.start_server("--output-mode", mode)
    first = [line for line in server.text().splitlines() if " INFO " not in line]
    if mode == "quiet":
        assert first == [str(bare.server_dir)]
    else:
        assert json.loads("\n".join(first))["server_dir"] == str(bare.server_dir)


@pytest.mark.core
def test_stop_removes_the_link(env):
    link = env.server_dir / "hq-current"
    assert link.is_symlink()
    result = env.hq("server", "stop")
    assert result.stdout == ""
    assert env.server.wait() == 0
    assert not link.is_symlink()
    assert (env.server_dir / "001" / "access.json").exists()


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_in_order(env, signo):
    env.server.send(signo)
    assert env.server.wait() == 0, env.server.text()
    assert not (env.server_dir / "hq-current").is_symlink()


def test_no_server(bare):
    result = bare.hq("server", "info", code=1)
    assert result.stdout == "" and result.stderr
    error = bare.hq("--output-mode", "json", "job", "list", code=1).json()
    assert set(error) == {"error"}


def test_directory_layout_and_modes(env):
    access = env.server_dir / "001" / "access.json"
    assert os.readlink(env.server_dir / "hq-current") == str(env.server_dir / "001")
    assert stat.S_IMODE(access.stat().st_mode) == 0o400
    assert stat.S_IMODE((env.server_dir / "001").stat().st_mode) == 0o700
    content = json.loads(access.read_text())
    assert list(content) == ["version", "server_uid", "client", "worker"]
    for role in ("client", "worker"):
        assert set(content[role]) == {"host", "port", "secret_key"}
        assert len(bytes.fromhex(content[role]["secret_key"])) == 32
    assert content["client"]["secret_key"] != content["worker"]["secret_key"]


def test_second_start_is_refused(env):
    result = env.hq("server", "start", code=1)
    assert "is already online, please stop it first" in result.stderr
    assert env.json("server", "info")["pid"] == env.server.pid


def test_start_after_kill_takes_the_next_number(env):
    env.server.kill()
    env.start_server()
    assert os.readlink(env.server_dir / "hq-current") == str(env.server_dir / "002")


@pytest.mark.parametrize("path", ["sd", "sd/001", "sd/hq-current"])
def test_server_dir_forms(env, path):
    info = env.json("--server-dir", env.root / path, "server", "info")
    assert info["pid"] == env.server.pid


def test_environment_names_the_directory(env):
    env.hq("server", "info", env={"HQ_SERVER_DIR": env.root / "nowhere"}, code=1)
    env.hq("server", "info", "--server-dir", env.server_dir,
           env={"HQ_SERVER_DIR": env.root / "nowhere"})


@pytest.mark.core
def test_wait_for_a_server_that_comes_later(bare):
    waiting = bare.spawn("wait", HQ, "server", "wait", "--timeout", "30s")
    bare.start_server()
    assert waiting.wait() == 0, waiting.text()


def test_wait_times_out(bare):
    result = bare.hq("server", "wait", "--timeout", "0", code=1)
    assert "Timeout after" in result.stderr and "Could not connect to server" in result.stderr


def test_wrong_key_is_refused(env):
    access = json.loads((env.server_dir / "001" / "access.json").read_text())
    access["client"]["secret_key"] = "00" * 32
    fake = env.root / "fake"
    fake.mkdir()
    (fake / "access.json").write_text(json.dumps(access))
    env.hq("--server-dir", fake, "job", "list", code=1)
    env.hq("job", "list")


def test_wrong_role_is_refused(env):
    """A client that knows only the worker's key cannot act as a client."""
    access = json.loads((env.server_dir / "001" / "access.json").read_text())
    access["client"] = access["worker"]
    fake = env.root / "fake"
    fake.mkdir()
    (fake / "access.json").write_text(json.dumps(access))
    env.hq("--server-dir", fake, "job", "list", code=1)


def test_foreign_version_is_named(env):
    access = json.loads((env.server_dir / "001" / "access.json").read_text())
    access["version"] = "v9.9.9"
    fake = env.root / "fake"
    fake.mkdir()
    (fake / "access.json").write_text(json.dumps(access))
    assert "9.9.9" in env.hq("--server-dir", fake, "job", "list", code=1).stderr


def test_garbage_on_the_ports_does_no_harm(env):
    import socket
    info = env.json("server", "info")
    for port in (info["client_port"], info["worker_port"]):
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 4096, b""):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.sendall(data)
    assert env.json("server", "info")["pid"] == env.server.pid
    assert env.server.running


def test_generate_access_and_start_with_it(bare):
    import socket
    ports = []
    for _ in range(2):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
    bare.hq("server", "generate-access", "a.json", "--client-port", ports[0],
            "--worker-port", ports[1], "--host", "127.0.0.1")
    bare.start_server("--access-file", "a.json")
    info = bare.json("server", "info")
    assert [info["client_port"], info["worker_port"]] == ports
    assert info["server_uid"] == json.loads(bare.read("a.json"))["server_uid"]


def test_unencrypted_server_works(bare):
    server = bare.start_server("--disable-client-authentication-and-encryption",
                               "--disable-worker-authentication-and-encryption")
    assert "unprotected worker connections" in server.text()
    assert "unprotected client connections" in server.text()
    bare.start_worker()
    job = bare.submit_and_wait("--", "true")
    assert bare.states(job) == ["finished"]


def test_version_and_help(bare):
    assert bare.hq("--version").stdout.startswith("hyperqueue ")
    text = bare.hq("--help").stdout
    for word in ("server", "worker", "submit", "job", "task", "log"):
        assert word in text
    assert bare.hq("submit", "--help").stdout != bare.hq("submit", "-h").stdout


@pytest.mark.parametrize("words, expect", [
    ([], ""), (["nonsense"], "unrecognized subcommand"),
    (["server"], "requires a subcommand"),
    (["server", "start", "--client-port", "70000"], "70000"),
    (["job", "list", "--frobnicate"], "--frobnicate"),
    (["job", "list", "--output-mode", "xml"], "possible values"),
])
def test_usage_errors(bare, words, expect):
    result = bare.hq(*words, code=2)
    assert result.stdout == ""
    assert expect in result.stderr


def test_server_that_stops_fails_the_waiting_client(env):
    job = env.submit("--", "true")
    waiting = env.spawn("wait", HQ, "job", "wait", job)
    wait_until(lambda: waiting.running, "the client")
    env.stop_server()
    assert waiting.wait() == 1, waiting.text()
