"""The server directory and access.json: where they are looked for, who may use what, and
what is said when they are missing, broken, foreign or of somebody else."""
import json
import os
import socket
import stat
import subprocess

import pytest

from harness import HQ, wait_until

KEY = "00" * 32


def record(env, run="001"):
    return json.loads((env.server_dir / run / "access.json").read_text())


def directory(env, name, content):
    """A server directory that holds nothing but this access file."""
    path = env.root / name
    path.mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (path / "access.json").write_text(text)
    return path


def free_ports(count):
    """Ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def start_worker_in(env, path, code=1):
    return env.hq("--server-dir", path, "worker", "start", "--cpus", "1",
                  "--detect-resources=none", code=code)


# -- the directory ------------------------------------------------------------


@pytest.mark.core
def test_run_numbers_continue_after_the_largest(bare):
    bare.server_dir.mkdir()
    for name in ("0003", "007", "12x", "x", "-9"):
        (bare.server_dir / name).mkdir()
    bare.start_server()
    assert os.readlink(bare.server_dir / "hq-current") == str(bare.server_dir / "008")
    bare.stop_server()
    bare.start_server()
    assert os.readlink(bare.server_dir / "hq-current") == str(bare.server_dir / "009")
    assert {"0003", "007", "008", "12x"} <= {p.name for p in bare.server_dir.iterdir()}


def test_root_is_created_for_its_owner_alone(bare):
    bare.server_dir = bare.root / "deep" / "er"
    bare.vars["HQ_SERVER_DIR"] = str(bare.server_dir)
    bare.start_server()
    for path in (bare.server_dir, bare.server_dir / "001"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_existing_empty_root_is_used(bare):
    bare.server_dir.mkdir(mode=0o755)
    bare.start_server()
    assert (bare.server_dir / "001" / "access.json").exists()


def test_root_of_the_home_directory(bare):
    del bare.vars["HQ_SERVER_DIR"]
    bare.start_server()
    assert (bare.root / "home" / ".hq-server" / "001" / "access.json").exists()
    info = bare.json("server", "info", env={"HQ_SERVER_DIR": ""})
    assert info["pid"] == bare.server.pid


def test_relative_directory_belongs_to_the_current_one(bare):
    bare.vars["HQ_SERVER_DIR"] = "rel"
    bare.start_server()
    assert os.readlink(bare.work / "rel" / "hq-current") == str(bare.work / "rel" / "001")
    (bare.work / "other").mkdir()
    bare.hq("server", "info", cwd=bare.work / "other", code=1)


def test_dangling_link_is_replaced(bare):
    bare.server_dir.mkdir()
    (bare.server_dir / "hq-current").symlink_to(bare.root / "gone")
    bare.start_server()
    assert os.readlink(bare.server_dir / "hq-current") == str(bare.server_dir / "001")


@pytest.mark.core
def test_starts_at_the_same_moment_take_different_runs(bare):
    """All of them see that nobody is there; none takes the directory of another."""
    servers = [bare.spawn("server", HQ, "server", "start", "--host", "127.0.0.1")
               for _ in range(4)]

    def settled():
        running = [s for s in servers if s.running]
        ready = [s for s in running if "Journal path" in s.text()]
        return running and len(ready) == len(running)

    wait_until(settled, "the servers")
    for server in servers:
        if not server.running:
            assert "is already online" in server.text()
    running = [s for s in servers if s.running]
    runs = {p.name for p in bare.server_dir.iterdir() if p.name.isdigit()}
    assert len(runs) == len(running)
    assert all((bare.server_dir / run / "access.json").exists() for run in runs)
    assert bare.json("server", "info")["pid"] in {s.pid for s in running}


def test_several_servers_in_one_directory(bare):
    """Killed servers leave their runs; those that are up can be named by their run."""
    first = bare.start_server()
    bare.vars["HQ_SERVER_DIR"] = str(bare.root / "second")
    second = bare.start_server()
    (bare.root / "second" / "001").rename(bare.server_dir / "002")
    one = bare.json("--server-dir", bare.server_dir / "001", "server", "info")
    two = bare.json("--server-dir", bare.server_dir / "002", "server", "info")
    assert [one["pid"], two["pid"]] == [first.pid, second.pid]
    bare.hq("--server-dir", bare.server_dir / "002", "server", "stop")
    assert second.wait() == 0
    assert bare.json("--server-dir", bare.server_dir, "server", "info")["pid"] == first.pid


def test_link_of_a_newer_server_survives_the_end_of_an_older_one(env):
    """Whoever ends takes away only the link that points to itself."""
    old = env.server
    os.unlink(env.server_dir / "hq-current")
    new = env.start_server()
    env.hq("--server-dir", env.server_dir / "001", "server", "stop")
    assert old.wait() == 0
    assert os.readlink(env.server_dir / "hq-current") == str(env.server_dir / "002")
    assert env.json("server", "info")["pid"] == new.pid


# -- what the file says -------------------------------------------------------


def test_file_is_pretty_printed(env):
    text = (env.server_dir / "001" / "access.json").read_text()
    content = json.loads(text)
    assert text == json.dumps(content, indent=2)
    assert list(content["client"]) == ["host", "port", "secret_key"]
    for role in ("client", "worker"):
        key = content[role]["secret_key"]
        assert key == key.lower() and len(key) == 64


def test_unknown_keys_and_a_missing_uid_are_no_error(env):
    content = record(env)
    del content["server_uid"]
    content["extra"] = [1, {"a": None}]
    content["client"]["more"] = True
    path = directory(env, "copy", content)
    env.hq("--server-dir", path, "job", "list")


def test_key_may_be_written_in_capitals(env):
    content = record(env)
    content["client"]["secret_key"] = content["client"]["secret_key"].upper()
    env.hq("--server-dir", directory(env, "copy", content), "job", "list")


@pytest.mark.core
def test_split_files(bare):
    """A client needs the clients' part alone, a worker the workers'."""
    ports = free_ports(2)
    bare.hq("server", "generate-access", "full.json", "--client-file", "c.json",
            "--worker-file", "w.json", "--host", "127.0.0.1",
            "--client-port", ports[0], "--worker-port", ports[1])
    assert list(json.loads(bare.read("c.json"))) == ["version", "client"]
    assert list(json.loads(bare.read("w.json"))) == ["version", "worker"]
    assert "server_uid" in json.loads(bare.read("full.json"))
    for name in ("full.json", "c.json", "w.json"):
        assert stat.S_IMODE((bare.work / name).stat().st_mode) == 0o400
    bare.start_server("--access-file", "full.json")
    client = directory(bare, "client", bare.read("c.json"))
    worker = directory(bare, "worker", bare.read("w.json"))
    bare.hq("--server-dir", client, "job", "list")
    bare.start_worker("--server-dir", worker)
    result = bare.hq("--server-dir", worker, "job", "list", code=1)
    assert "Serialization error: missing field `client`" in result.stderr
    result = start_worker_in(bare, client)
    assert "Serialization error: missing field `worker`" in result.stderr


def test_split_file_is_not_enough_for_a_server(bare):
    ports = free_ports(2)
    bare.hq("server", "generate-access", "full.json", "--client-file", "c.json",
            "--client-port", ports[0], "--worker-port", ports[1])
    result = bare.hq("server", "start", "--access-file", "c.json", code=1)
    assert "Serialization error: missing field `worker`" in result.stderr
    assert not bare.server_dir.exists()


def test_generate_access_never_overwrites(bare):
    words = ("--client-port", 1, "--worker-port", 2)
    result = bare.hq("server", "generate-access", "a.json", *words)
    assert result.stdout == "" and "Storing access file as 'a.json'" in result.stderr
    before = bare.read("a.json")
    result = bare.hq("server", "generate-access", "a.json", *words, code=1)
    assert "File exists (os error 17)" in result.stderr
    assert bare.read("a.json") == before
    # What was written before the failure stays.
    result = bare.hq("server", "generate-access", "b.json", *words,
                     "--client-file", "a.json", code=1)
    assert "Storing access file as 'b.json'" in result.stderr
    assert (bare.work / "b.json").exists()


def test_generated_keys_are_new_each_time(bare):
    seen = set()
    for name in ("a.json", "b.json"):
        bare.hq("server", "generate-access", name, "--client-port", 1, "--worker-port", 2)
        content = json.loads(bare.read(name))
        seen |= {content["client"]["secret_key"], content["worker"]["secret_key"],
                 content["server_uid"]}
    assert len(seen) == 6


@pytest.mark.parametrize("words, hosts", [
    ([], None), (["--host", "a"], ["a", "a"]),
    (["--host", "a", "--client-host", "b"], ["b", "a"]),
    (["--worker-host=c"], [None, "c"]),
])
def test_hosts_of_generated_files(bare, words, hosts):
    bare.hq("server", "generate-access", "a.json", "--client-port", 1, "--worker-port", 2,
            *words)
    content = json.loads(bare.read("a.json"))
    own = socket.gethostname()
    want = [host or own for host in (hosts or [None, None])]
    assert [content["client"]["host"], content["worker"]["host"]] == want
    assert [content["client"]["port"], content["worker"]["port"]] == [1, 2]


# -- errors of clients --------------------------------------------------------


def test_no_directory(bare):
    result = bare.hq("server", "info", code=1)
    assert result.stdout == ""
    assert result.stderr == (f"Invalid server directory\n\nCaused by:\n"
                             f"    Error: \"{bare.server_dir}\" is not a directory\n")


def test_no_directory_in_json_mode(bare):
    result = bare.hq("--output-mode", "json", "job", "list", code=1)
    assert "Invalid server directory" in result.json()["error"]
    assert result.stderr == ""


def test_file_instead_of_a_directory(bare):
    bare.server_dir.write_text("")
    assert "is not a directory" in bare.hq("job", "list", code=1).stderr
    assert "is not a directory" in start_worker_in(bare, bare.server_dir).stderr
    result = bare.hq("server", "start", code=1)
    assert str(bare.server_dir) in result.stderr and "os error" in result.stderr


def test_no_access_file(bare):
    bare.server_dir.mkdir()
    text = bare.hq("job", "list", code=1).stderr
    assert text.startswith(f"No running instance of HQ found at \"{bare.server_dir}\".\n")
    assert f"`hq server start --server-dir {bare.server_dir}`" in text
    assert "No such file or directory (os error 2)" in text


def test_hint_leaves_the_default_directory_out(bare):
    del bare.vars["HQ_SERVER_DIR"]
    (bare.root / "home" / ".hq-server").mkdir()
    assert "Try to start the server: `hq server start` " in bare.hq("job", "list",
                                                                   code=1).stderr


FULL = {"version": "", "server_uid": "abcdef",
        "client": {"host": "127.0.0.1", "port": 1, "secret_key": KEY},
        "worker": {"host": "127.0.0.1", "port": 1, "secret_key": KEY}}


@pytest.mark.core
@pytest.mark.parametrize("text", [
    "", " ", "{", "[]", "null", "7", "\"x\"", "{}", "\0\0\0\0", "{\"version\": 3}",
    "{\"version\"", "{\"version\": \"\xff\"", "{\"a\": 1}}", "\ufeff{}",
])
def test_broken_file(bare, text):
    """Half of a file, another file, nothing: a message, and nothing else."""
    bare.server_dir.mkdir()
    (bare.server_dir / "access.json").write_text(text)
    result = bare.hq("job", "list", code=1)
    assert "No running instance of HQ found" in result.stderr
    assert "Serialization error: " in result.stderr
    result = start_worker_in(bare, bare.server_dir)
    assert "Cannot load access record from" in result.stderr
    assert "Serialization error: " in result.stderr
    result = bare.hq("server", "start", "--access-file",
                     bare.server_dir / "access.json", code=1)
    assert "Serialization error: " in result.stderr


def test_every_prefix_of_a_file_is_an_error(env):
    """A file that is read while it is written, or on a full disk, is no valid one."""
    text = (env.server_dir / "001" / "access.json").read_text()
    path = directory(env, "half", "")
    for end in range(0, len(text), 37):
        (path / "access.json").write_text(text[:end])
        result = env.hq("--server-dir", path, "server", "info", code=1)
        assert "Serialization error: " in result.stderr, end


def test_half_written_file_of_another_server_does_not_block_a_start(bare):
    bare.server_dir.mkdir()
    (bare.server_dir / "001").mkdir()
    (bare.server_dir / "001" / "access.json").write_text("{\"version\": ")
    (bare.server_dir / "hq-current").symlink_to(bare.server_dir / "001")
    bare.start_server()
    assert os.readlink(bare.server_dir / "hq-current") == str(bare.server_dir / "002")


def change(content, path, value):
    at = content
    for key in path[:-1]:
        at = at[key]
    if value is None and path[-1] != "secret_key":
        del at[path[-1]]
    else:
        at[path[-1]] = value


@pytest.mark.parametrize("path, value, text", [
    (["client"], None, "missing field `client`"),
    (["client", "host"], None, "missing field `host`"),
    (["client", "port"], None, "missing field `port`"),
    (["client", "port"], 70000, "expected u16"),
    (["client", "port"], "9", "expected u16"),
    (["client", "port"], -1, "expected u16"),
    (["client", "host"], 3, "expected a string"),
    (["client", "host"], "h" * 5000, "too long"),
    (["client", "secret_key"], 5, "expected a string"),
    (["client", "secret_key"], "xyz", "Could not load secret key"),
    (["client", "secret_key"], "", "Could not load secret key"),
    (["client", "secret_key"], "abc", "Could not load secret key"),
    (["client"], 3, "expected"),
    (["server_uid"], 3, "expected a string"),
])
def test_wrong_fields(env, path, value, text):
    content = record(env)
    change(content, path, value)
    result = env.hq("--server-dir", directory(env, "bad", content), "job", "list", code=1)
    assert "No running instance of HQ found" in result.stderr
    assert "Serialization error: " in result.stderr and text in result.stderr


def test_key_of_another_length_is_known_when_it_is_used(env):
    content = record(env)
    content["client"]["secret_key"] = "ab"
    path = directory(env, "bad", content)
    result = env.hq("--server-dir", path, "job", "list", code=1)
    assert "is unreachable" in result.stderr and "Creating sealer failed" in result.stderr
    content["worker"]["secret_key"] = "ab"
    (path / "access.json").write_text(json.dumps(content))
    assert "Creating sealer failed" in start_worker_in(env, path).stderr


def test_unreadable_file(bare):
    """Root may read anything, so a directory stands for what cannot be read."""
    bare.server_dir.mkdir()
    (bare.server_dir / "access.json").mkdir()
    result = bare.hq("job", "list", code=1)
    assert "No running instance of HQ found" in result.stderr
    assert "Is a directory (os error 21)" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_file_of_another_user(env):
    """Who may not read access.json is told so."""
    env.root.chmod(0o755)
    for path in (env.server_dir, env.server_dir / "001"):
        path.chmod(0o755)
    result = env.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", HQ,
                     "--server-dir", env.server_dir, "job", "list", code=1, cwd="/")
    assert "No running instance of HQ found" in result.stderr
    assert "Permission denied (os error 13)" in result.stderr


def test_foreign_version(env):
    content = {"version": "v9.9.9", "client": "nonsense"}
    path = directory(env, "other", content)
    for words in (("job", "list"), ("server", "info")):
        lines = env.hq("--server-dir", path, *words, code=1).stderr.splitlines()
        assert lines[0] == "Hyperqueue version mismatch detected."
        assert lines[1].startswith("Access record contains version v9.9.9, but the "
                                   "current version is ")
    assert "Version error: " in start_worker_in(env, path).stderr
    result = env.hq("server", "start", "--access-file", path / "access.json", code=1)
    assert "Version error: Hyperqueue version mismatch detected." in result.stderr


def test_start_over_a_foreign_version_warns(bare):
    path = bare.server_dir
    path.mkdir()
    (path / "001").mkdir()
    (path / "001" / "access.json").write_text("{\"version\": \"v0.26.2\"}")
    (path / "hq-current").symlink_to(path / "001")
    server = bare.start_server()
    assert "A server of another version may be running" in server.text()
    assert "No online server found, starting a new server" in server.text()


@pytest.mark.core
def test_server_that_is_gone(env):
    port = env.json("server", "info")["client_port"]
    env.server.kill()
    text = env.hq("job", "list", code=1).stderr
    assert text.startswith(f"Access token found but HQ server 127.0.0.1:{port} is "
                           "unreachable.\nTry to (re)start the server using `hq server "
                           f"start --server-dir {env.server_dir}`\n")
    assert "Connection refused (os error 111)" in text


def test_unknown_host(env):
    content = record(env)
    content["client"]["host"] = content["worker"]["host"] = "no-such-host.invalid"
    path = directory(env, "copy", content)
    result = env.hq("--server-dir", path, "job", "list", code=1)
    assert "no-such-host.invalid" in result.stderr and "unreachable" in result.stderr
    assert "Cannot resolve server address" in start_worker_in(env, path).stderr


@pytest.mark.skipif(subprocess.call(["unshare", "--uts", "true"],
                                    stderr=subprocess.DEVNULL) != 0,
                    reason="needs to rename the machine")
def test_own_host_name_that_leads_nowhere_is_tried_as_localhost(env):
    """The name of this machine may not resolve, or to an address that is not its own."""
    content = record(env)
    content["client"]["host"] = "no-such-host.invalid"
    path = directory(env, "copy", content)
    result = env.run("unshare", "--uts", "sh", "-c",
                     f"hostname no-such-host.invalid && {HQ} --server-dir {path} job list")
    assert result.stderr == ""


# -- keys and roles -----------------------------------------------------------


@pytest.mark.core
def test_wrong_keys(env):
    content = record(env)
    content["client"]["secret_key"] = content["worker"]["secret_key"] = KEY
    path = directory(env, "copy", content)
    text = env.hq("--server-dir", path, "job", "list", code=1).stderr
    assert "is unreachable" in text
    assert "    0: Tako error: Cannot verify challenge\n    1: Cannot verify challenge" in text
    assert "Cannot verify challenge" in start_worker_in(env, path).stderr
    assert env.workers("--all") == []


def test_swapped_roles(env):
    content = record(env)
    content["client"]["port"], content["worker"]["port"] = (
        content["worker"]["port"], content["client"]["port"])
    path = directory(env, "copy", content)
    assert "Expected peer role hq-server, got server" in env.hq(
        "--server-dir", path, "job", "list", code=1).stderr
    assert "Expected peer role server, got hq-server" in start_worker_in(env, path).stderr


def test_one_side_without_a_key(env):
    content = record(env)
    content["client"]["secret_key"] = content["worker"]["secret_key"] = None
    path = directory(env, "copy", content)
    text = env.hq("--server-dir", path, "job", "list", code=1).stderr
    assert "No client key: Unauthenticated and unencrypted connection to server" in text
    assert "Peer requests authentication" in text
    text = start_worker_in(env, path).stderr
    assert "No worker key: Unauthenticated and unencrypted connection to server" in text
    assert "Peer requests authentication" in text


def test_server_without_keys_refuses_peers_with_one(bare):
    bare.start_server("--disable-client-authentication-and-encryption",
                      "--disable-worker-authentication-and-encryption")
    content = record(bare)
    assert content["client"]["secret_key"] is None
    assert content["worker"]["secret_key"] is None
    content["client"]["secret_key"] = content["worker"]["secret_key"] = KEY
    path = directory(bare, "copy", content)
    assert "Peer does not support authentication" in bare.hq(
        "--server-dir", path, "job", "list", code=1).stderr
    assert "Peer does not support authentication" in start_worker_in(bare, path).stderr


@pytest.mark.parametrize("role, other", [("client", "worker"), ("worker", "client")])
def test_one_role_without_a_key(bare, role, other):
    server = bare.start_server(f"--disable-{role}-authentication-and-encryption")
    assert f"unprotected {role} connections" in server.text()
    assert f"unprotected {other} connections" not in server.text()
    content = record(bare)
    assert content[role]["secret_key"] is None and content[other]["secret_key"]
    bare.start_worker()
    assert bare.states(bare.submit_and_wait("--", "true")) == ["finished"]


def test_access_file_decides_over_the_switches(bare):
    """With a file its keys are used; the switches that disable them do nothing."""
    ports = free_ports(2)
    bare.hq("server", "generate-access", "a.json", "--host", "127.0.0.1",
            "--client-port", ports[0], "--worker-port", ports[1])
    server = bare.start_server("--access-file", "a.json",
                               "--disable-client-authentication-and-encryption")
    assert "unprotected" not in server.text()
    given, used = json.loads(bare.read("a.json")), record(bare)
    for role in ("client", "worker"):
        assert used[role] == given[role]
    assert used["server_uid"] == given["server_uid"]


def test_access_file_without_keys(bare):
    content = {"version": bare.hq("--version").stdout.split()[1], "server_uid": "abc123",
               "client": {"host": "127.0.0.1", "port": 0, "secret_key": None},
               "worker": {"host": "127.0.0.1", "port": 0, "secret_key": None}}
    bare.write("a.json", json.dumps(content))
    server = bare.start_server("--access-file", "a.json")
    assert "unprotected client connections" in server.text()
    assert "unprotected worker connections" in server.text()
    assert bare.json("server", "info")["server_uid"] == "abc123"


def test_host_and_ports_beat_the_access_file(bare):
    ports = free_ports(4)
    bare.hq("server", "generate-access", "a.json", "--host", "nowhere.invalid",
            "--client-port", ports[0], "--worker-port", ports[1])
    bare.start_server("--access-file", "a.json", "--client-port", ports[2],
                      "--worker-port", ports[3])
    info = bare.json("server", "info")
    assert [info["client_host"], info["worker_host"]] == ["127.0.0.1", "127.0.0.1"]
    assert [info["client_port"], info["worker_port"]] == ports[2:]
