"""Job definition files (TOML): keys, automatic ids, dependencies, errors with their place."""
import base64
import os
import re

import pytest

TASK = '[[task]]\ncommand = ["true"]\n'
ARRAY = '[array]\ncommand = ["true"]\nids = "1"\n'
PLACE = r"Deserialization error: TOML parse error at line {}, column {}\n"


def submit(env, text, *words):
    env.write("job.toml", text)
    return env.json("job", "submit-file", *words, "job.toml")["id"]


def graph(env, text):
    return env.job(submit(env, text))["submits"][0]["graph"]


def array(env, text):
    return env.job(submit(env, text))["submits"][0]["array"]


def refused(env, text):
    env.write("job.toml", text)
    result = env.hq("job", "submit-file", "job.toml", code=1)
    assert result.stdout == "" and env.json("job", "list", "--all") == []
    return result.stderr


# --- result and top level ----------------------------------------------------------


@pytest.mark.parametrize("mode, text", [("cli", "Job submitted successfully, job ID: 1\n"),
                                        ("quiet", "1\n"), ("json", '{\n  "id": 1\n}\n')])
def test_result(env, mode, text):
    env.write("job.toml", TASK)
    result = env.hq("--output-mode", mode, "job", "submit-file", "job.toml")
    assert (result.stdout, result.stderr) == (text, "")


def test_smallest_file(pair):
    job = submit(pair, '[[task]]\ncommand = ["echo", "hi"]\n')
    pair.wait_job(job)
    assert pair.job(job)["info"]["name"] == ""
    assert pair.tasks(job)[1]["state"] == "finished"
    assert pair.read(f"job-{job}/1.stdout") == "hi\n"


@pytest.mark.parametrize("text, name", [("", ""), ('name = "my job"\n', "my job"),
                                        ('name = ""\n', ""), ('name = "日本"\n', "日本")])
def test_name(env, text, name):
    assert env.job(submit(env, text + TASK))["info"]["name"] == name


@pytest.mark.parametrize("text, limit", [("", None), ("max_fails = 3\n", 3), ("max_fails = 0\n", 0)])
def test_max_fails(env, text, limit):
    assert env.job(submit(env, text + TASK))["max_fails"] == limit


def test_max_fails_works(pair):
    job = submit(pair, 'max_fails = 0\n[array]\nids = "0-9"\ncommand = ["false"]\n'
                       '[[array.request]]\nresources = { cpus = 2 }\n')
    pair.wait_job(job)
    assert pair.stats(job) == {"failed": 1, "aborted": 9}


def test_stream_applies_to_all_tasks(pair):
    job = submit(pair, 'stream = "s-%{JOB_ID}"\n[[task]]\ncommand = ["echo", "a"]\n'
                       '[[task]]\ncommand = ["echo", "b"]\nstdout = "b.out"\n')
    pair.wait_job(job)
    shown = [t["program"]["stdout"] for t in pair.job(job)["submits"][0]["graph"]]
    assert shown == ["<pipe>", "b.out"]
    assert pair.read("b.out") == "b\n"
    assert pair.hq("output-log", f"s-{job}", "cat", job, "stdout").stdout == "a\n"


def test_data_layer_is_accepted(env):
    submit(env, "data_layer = true\n" + TASK)


# --- keys of tasks and arrays --------------------------------------------------------

KEYS = [
    ("command", 'command = ["a", "b c", ""]', lambda d: d["program"]["args"], ["a", "b c", ""]),
    ("env", 'env = { "A" = "1", "B b" = "x=y", "E" = "" }', lambda d: d["program"]["env"],
     {"A": "1", "B b": "x=y", "E": ""}),
    ("stdout", 'stdout = "o"', lambda d: os.path.basename(d["program"]["stdout"]), "o"),
    ("stdout none", 'stdout = "none"', lambda d: d["program"]["stdout"], None),
    ("stderr none", 'stderr = "none"', lambda d: d["program"]["stderr"], None),
    ("stdio suffix", 'stderr = "e:rm-if-finished"',
     lambda d: os.path.basename(d["program"]["stderr"]), "e:rm-if-finished"),
    ("stdio table", 'stdout = { path = "t", on_close = "none" }',
     lambda d: os.path.basename(d["program"]["stdout"]), "t"),
    ("cwd", 'cwd = "/x/y"', lambda d: d["program"]["cwd"], "/x/y"),
    ("task_dir", "task_dir = true", lambda d: d["task_dir"], True),
    ("time_limit", 'time_limit = "1m 30s"', lambda d: d["time_limit"], 90.0),
    ("priority", "priority = -7", lambda d: d["priority"], -7),
    ("crash_limit", "crash_limit = 9", lambda d: d["crash_limit"], 9),
    ("crash_limit text", 'crash_limit = "9"', lambda d: d["crash_limit"], 9),
    ("never", 'crash_limit = "never-restart"', lambda d: d["crash_limit"], "never-restart"),
    ("unlimited", 'crash_limit = "unlimited"', lambda d: d["crash_limit"], "unlimited"),
    ("pin none", 'pin = "none"', lambda d: d["pin_mode"], None),
    ("pin taskset", 'pin = "taskset"', lambda d: d["pin_mode"], "taskset"),
    ("pin omp", 'pin = "omp"', lambda d: d["pin_mode"], "openmp"),
    ("no request", "", lambda d: d["resources"],
     [{"n_nodes": 0, "min_time": 0.0, "weight": 10000,
       "resources": [{"resource": "cpus", "request": {"Compact": 10000}}]}]),
    ("defaults", "", lambda d: (d["priority"], d["crash_limit"], d["time_limit"], d["task_dir"],
                                d["pin_mode"], d["program"]["env"]), (0, 5, None, False, None, {})),
]


@pytest.mark.parametrize("kind", ["task", "array"])
@pytest.mark.parametrize("key, line, get, value", KEYS, ids=[k for k, *_ in KEYS])
def test_keys(env, kind, key, line, get, value):
    command = "" if line.startswith("command") else 'command = ["true"]\n'
    if kind == "task":
        assert get(graph(env, f"[[task]]\n{command}{line}\n")[0]) == value
    else:
        assert get(array(env, f'[array]\nids = "1"\n{command}{line}\n')) == value


def test_keys_work(pair):
    job = submit(pair, """
[[task]]
id = 5
command = ["sh", "-c", "cat; echo $A $HQ_TASK_ID; pwd; test -d $HQ_TASK_DIR && echo dir >&2"]
stdin = "from the file\\n"
cwd = "w%{TASK_ID}"
env = { A = "value" }
task_dir = true
stdout = "%{CWD}/o-%{JOB_ID}"
stderr = { path = "e", on_close = "rm-if-finished" }
""")
    pair.wait_job(job)
    assert pair.states(job) == ["finished"]
    assert pair.read("w5/o-1") == f"from the file\nvalue 5\n{pair.work}/w5\n"
    assert not (pair.work / "w5/e").exists()


def test_directory_of_the_client_is_the_default(env):
    env.write("sub/job.toml", TASK)
    job = env.json("job", "submit-file", "sub/job.toml")["id"]
    assert env.job(job)["submits"][0]["graph"][0]["program"]["cwd"] == str(env.work)


# --- requests --------------------------------------------------------------------------


def cpus(amount, policy="Compact"):
    return [{"resource": "cpus", "request": {policy: amount}}]


REQUESTS = [
    ("resources = { cpus = 2 }", {"resources": cpus(20000)}),
    ("resources = { cpus = 0.5 }", {"resources": cpus(5000)}),
    ("resources = { cpus = 1.00001 }", {"resources": cpus(10001)}),
    ('resources = { cpus = "4 compact!" }', {"resources": cpus(40000, "ForceCompact")}),
    ('resources = { cpus = "1.5 scatter" }', {"resources": cpus(15000, "Scatter")}),
    ('resources = { cpus = "all" }', {"resources": [{"resource": "cpus", "request": "All"}]}),
    ("n_nodes = 2", {"n_nodes": 2, "resources": []}), ("", {"resources": [], "n_nodes": 0}),
    ('time_request = "1m 40s"', {"min_time": 100.0}), ("weight = 0.5", {"weight": 5000}),
    ('resources = { "gpus/nvidia" = 1 }',
     {"resources": [{"resource": "gpus/nvidia", "request": {"Compact": 10000}}]}),
]


@pytest.mark.parametrize("kind", ["task", "array"])
@pytest.mark.parametrize("line, want", REQUESTS, ids=[r for r, _ in REQUESTS])
def test_requests(env, kind, line, want):
    if kind == "task":
        got = graph(env, f"{TASK}[[task.request]]\n{line}\n")[0]["resources"]
    else:
        got = array(env, f"{ARRAY}[[array.request]]\n{line}\n")["resources"]
    assert len(got) == 1 and {k: got[0][k] for k in want} == want


def test_variants(env):
    got = graph(env, TASK + "[[task.request]]\nresources = { cpus = 8 }\n"
                            "[[task.request]]\nresources = { cpus = 1, gpus = 1 }\n")
    assert [len(v["resources"]) for v in got[0]["resources"]] == [1, 2]


# --- arrays ------------------------------------------------------------------------------


@pytest.mark.parametrize("lines, ids", [
    ('ids = "1-3,9"', [1, 2, 3, 9]), ('ids = "0-6:2"', [0, 2, 4, 6]),
    ('entries = ["a", "b"]', [0, 1]), ('ids = "5,7"\nentries = ["a", "b"]', [5, 7]),
    ('ids = "0-10:2"\nentries = ["a", "b", "c", "d", "e", "f"]', [0, 2, 4, 6, 8, 10]),
])
def test_array_ids(env, lines, ids):
    job = submit(env, f'[array]\ncommand = ["true"]\n{lines}\n')
    assert sorted(env.tasks(job)) == ids


def test_nth_entry_goes_to_the_nth_id(pair):
    job = submit(pair, '[array]\nids = "7,2,4"\nentries = ["seven", "two", "four"]\n'
                       'command = ["sh", "-c", "echo $HQ_ENTRY"]\n')
    pair.wait_job(job)
    got = {i: pair.read(f"job-{job}/{i}.stdout").strip() for i in (2, 4, 7)}
    assert got == {2: "two", 4: "four", 7: "seven"}


def test_array_is_shown_like_a_submit(env):
    job = submit(env, ARRAY)
    fields = env.hq("job", "info", job).fields()
    assert fields["Command"] == "true" and fields["Tasks"] == "1; Ids: 1"
    assert fields["Stdout"] == f"{env.work}/job-1/%{{TASK_ID}}.stdout"


# --- automatic ids and order --------------------------------------------------------------


@pytest.mark.parametrize("given, ids", [
    ([None, None], [1, 2]), ([None], [1]), ([0], [0]), ([5], [5]), ([5, None, None], [5, 6, 7]),
    ([None, 5, None], [5, 6, 7]), ([3, None, 10, None], [3, 10, 11, 12]), ([0, None], [0, 1]),
    ([4294967294], [4294967294]),
])
def test_automatic_ids(env, given, ids):
    job = submit(env, "".join(f"{TASK}" + (f"id = {i}\n" if i is not None else "") for i in given))
    assert sorted(env.tasks(job)) == ids


def test_automatic_ids_in_file_order(pair):
    job = submit(pair, "".join(f'[[task]]\ncommand = ["echo", "{n}"]\n{extra}'
                               for n, extra in (("a", ""), ("b", "id = 4\n"), ("c", ""))))
    pair.wait_job(job)
    assert pair.hq("job", "cat", job, "stdout").stdout == "b\na\nc\n"  # ids 4, 5, 6


def test_dependencies_may_point_forwards(pair):
    job = submit(pair, '[[task]]\nid = 1\ndeps = [3, 3]\ncommand = ["sh", "-c", "echo 1 >>order"]\n'
                       '[[task]]\nid = 2\ndeps = [1]\ncommand = ["sh", "-c", "echo 2 >>order"]\n'
                       '[[task]]\nid = 3\ncommand = ["sh", "-c", "echo 3 >>order"]\n')
    pair.wait_job(job)
    assert pair.read("order").split() == ["3", "1", "2"]
    assert pair.hq("task", "info", job, "1").fields()["Dependencies"] == "3,3"


def test_tasks_are_listed_in_dependency_order(env):
    shown = graph(env, '[[task]]\nid = 1\ndeps = [2]\ncommand = ["late"]\n'
                       '[[task]]\nid = 2\ncommand = ["early"]\n')
    assert [t["program"]["args"] for t in shown] == [["early"], ["late"]]


def test_automatic_ids_do_not_look_at_the_open_job(env):
    env.hq("job", "open")
    submit(env, TASK + TASK, "--job=1")
    assert sorted(env.tasks(1)) == [1, 2]
    assert refused_in_open(env, TASK) == "Task 1 already exists in job 1.\n"
    submit(env, TASK + "id = 3\n" + TASK, "--job=1")
    assert sorted(env.tasks(1)) == [1, 2, 3, 4]


def test_array_into_an_open_job(env):
    env.hq("job", "open")
    submit(env, ARRAY, "--job=1")
    assert refused_in_open(env, ARRAY) == "Task 1 already exists in job 1.\n"


def refused_in_open(env, text):
    env.write("job.toml", text)
    return env.hq("job", "submit-file", "--job=1", "job.toml", code=1).stderr


def test_existing_task_of_an_open_job(env):
    env.hq("job", "open")
    submit(env, TASK + "id = 7\n", "--job=1")
    assert refused_in_open(env, TASK + "id = 7\n") == "Task 7 already exists in job 1.\n"


def test_dependencies_stay_inside_the_file(env):
    env.hq("job", "open")
    submit(env, TASK + "id = 1\n", "--job=1")
    told = refused_in_open(env, TASK + "id = 2\ndeps = [1]\n")
    assert told == "Error: Task 2 is part of dependency cycle or has an invalid dependencies\n"


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text, error", [
    ("", "Deserialization error: No tasks defined"),
    ('name = "x"\n', "Deserialization error: No tasks defined"),
    ("task = []\n", "Deserialization error: No tasks defined"),
    (ARRAY + TASK,
     "Deserialization error: Definition of array job and individual task cannot be mixed"),
    ('[array]\ncommand = ["true"]\n',
     "Deserialization error: One of attributes of array must be defined: 'ids', 'entries'"),
    ('[array]\ncommand = ["true"]\nentries = []\n',
     "Deserialization error: One of attributes of array must be defined: 'ids', 'entries'"),
    ('[array]\ncommand = ["true"]\nids = "1-3"\nentries = ["a"]\n',
     "Deserialization error: Items 'ids' and 'entries' does not match"),
    ((TASK + "id = 3\n") * 2, "Error: Task 3 is defined multiple times"),
    (TASK + "id = 3\ndeps = [3]\n",
     "Error: Task 3 is part of dependency cycle or has an invalid dependencies"),
    (TASK + "id = 3\ndeps = [9]\n",
     "Error: Task 3 is part of dependency cycle or has an invalid dependencies"),
])
def test_errors_of_the_whole(env, text, error):
    assert refused(env, text) == error + "\n"


def test_cycle(env):
    told = refused(env, "".join(TASK + f"id = {i}\ndeps = [{i % 3 + 1}]\n" for i in (1, 2, 3)))
    assert re.fullmatch(r"Error: Task [123] is part of dependency cycle or has an invalid "
                        r"dependencies\n", told)


BAD = [
    ("name = \n", 1), ("nme = 1\n" + TASK, 1), ("name = 1\n" + TASK, 1),
    ('max_fails = "x"\n' + TASK, 1), ("max_fails = -1\n" + TASK, 1), ("stream = 1\n" + TASK, 1),
    (TASK + "cmd = 1\n", 3), ("[[task]]\nid = 1\n", 1), ('[[task]]\ncommand = "true"\n', 2),
    ("[[task]]\ncommand = [1]\n", 2), (TASK + 'ids = "1"\n', 3), (TASK + "id = -1\n", 3),
    (TASK + "id = 4294967296\n", 3), (TASK + "id = 1.5\n", 3), (TASK + 'id = "1"\n', 3),
    (TASK + 'deps = "1"\n', 3), (TASK + "deps = [-1]\n", 3), (TASK + "crash_limit = 0\n", 3),
    (TASK + 'crash_limit = "0"\n', 3), (TASK + 'crash_limit = "often"\n', 3),
    (TASK + "crash_limit = 70000\n", 3), (TASK + 'time_limit = "00:10"\n', 3),
    (TASK + "time_limit = 10\n", 3), (TASK + 'pin = "x"\n', 3), (TASK + "env = { A = 1 }\n", 3),
    (TASK + "priority = 4000000000\n", 3), (TASK + "task_dir = 1\n", 3), (TASK + "cwd = 1\n", 3),
    (TASK + 'stdout = { path = "x" }\n', 3), (TASK + 'stdout = { on_close = "none" }\n', 3),
    (TASK + 'stdout = { path = "x", on_close = "x" }\n', 3), (TASK + "stdout = 1\n", 3),
    (TASK + "stdin = 1\n", 3), (TASK + "request = 1\n", 3),
    (TASK + '[[task.request]]\nresources = { cpus = "x" }\n', 4),
    (TASK + '[[task.request]]\nresources = { cpus = "0" }\n', 4),
    (TASK + "[[task.request]]\nresources = { cpus = 0 }\n", 4),
    (TASK + "[[task.request]]\nresources = { cpus = -1 }\n", 4),
    (TASK + "[[task.request]]\nresources = { cpus = 0.0 }\n", 4),
    (TASK + "[[task.request]]\nresources = { cpus = nan }\n", 4),
    (TASK + "[[task.request]]\nresources = { cpus = inf }\n", 4),
    (TASK + "[[task.request]]\nresources = { cpus = 1e30 }\n", 4),
    (TASK + "[[task.request]]\nweight = 0.0\n", 4), (TASK + "[[task.request]]\nweight = -1\n", 4),
    (TASK + "[[task.request]]\nn_nodes = -1\n", 4), (TASK + "[[task.request]]\nnodes = 1\n", 4),
    (TASK + '[[task.request]]\ntime_request = "1:00"\n', 4),
    ('[array]\nids = "x"\ncommand = ["true"]\n', 2), ('[array]\nids = [1]\ncommand = ["true"]\n', 2),
    ('[array]\nids = "1,1"\ncommand = ["true"]\n', 2), (ARRAY + "deps = []\n", 4),
    (ARRAY + "id = 1\n", 4), ('[array]\nids = "1"\n', 1), (ARRAY + "entries = [1]\n", 4),
    ("a = 1\na = 2\n", 2), (TASK + "[[task]\n", 3), ('name = "open\n', 1), ("name = 'a\x01b'\n", 1),
    (TASK + "command = [\"again\"]\n", 3), ("x" * 5000 + "\n", 1),
]


@pytest.mark.parametrize("text, line", BAD, ids=[t[:60].replace(TASK, "") for t, _ in BAD])
def test_errors_name_their_place(env, text, line):
    told = refused(env, text)
    match = re.match(r"Deserialization error: TOML parse error at line (\d+), column (\d+)\n", told)
    assert match, told
    assert int(match[1]) == line, told
    assert len(told.splitlines()) >= 3 and len(told) < 2000


@pytest.mark.parametrize("line", ['env = { A = "x\\u0000y" }', 'cwd = "x\\u0000"',
                                  'stdout = "x\\u0000"'])
def test_nul_in_texts(env, line):
    assert "a NUL character is not possible here" in refused(env, TASK + line + "\n")


def test_nul_in_stdin(pair):
    job = submit(pair, '[[task]]\ncommand = ["cat"]\nstdin = "x\\u0000y"\n')
    pair.wait_job(job)
    assert pair.read(f"job-{job}/1.stdout") == "x\0y"


def test_bytes_as_stdin(pair):
    data = bytes(range(256)) * 5
    text = base64.b64encode(data).decode()
    job = submit(pair, f'[[task]]\ncommand = ["cat"]\nstdin = {{ base64 = "{text}" }}\n')
    pair.wait_job(job)
    assert (pair.work / f"job-{job}/1.stdout").read_bytes() == data


def test_stdin_that_is_no_base64(env):
    assert "this is no base64" in refused(env, TASK + 'stdin = { base64 = "x" }\n')


def test_unknown_keys_of_stdio_tables_are_ignored(env):
    submit(env, TASK + 'stdout = { path = "x", on_close = "none", more = 1 }\n')


@pytest.mark.parametrize("how, error", [
    ("missing", "No such file or directory (os error 2)"),
    ("directory", "Is a directory (os error 21)"),
])
def test_files_that_cannot_be_read(env, how, error):
    if how == "directory":
        (env.work / "job.toml").mkdir()
    result = env.hq("job", "submit-file", "job.toml", code=1)
    assert result.stderr == f"Cannot read job.toml: {error}\n"
    assert env.hq("--output-mode=json", "job", "submit-file", "job.toml", code=1).json() == \
        {"error": f"Cannot read job.toml: {error}"}


def test_no_file(bare):
    assert "the following required arguments were not provided:\n  <PATH>" in \
        bare.hq("job", "submit-file", code=2).stderr


@pytest.mark.parametrize("data", [b"\xff\xfe\n", b"name = \"\xff\"\n" + TASK.encode(),
                                  b"\0", b"name = \"a\0b\"\n", os.urandom(4096)],
                         ids=["bom", "not utf-8", "nul", "nul in text", "random"])
def test_binary_files(env, data):
    (env.work / "job.toml").write_bytes(data)
    result = env.hq("job", "submit-file", "job.toml", code=1)
    assert result.stderr.startswith(("Deserialization error: ", "Cannot read job.toml: "))
    assert len(result.stderr) < 2000 and env.json("job", "list", "--all") == []


def test_large_graph(env):
    text = "".join(f'[[task]]\nid = {i}\ncommand = ["true"]\ndeps = {[i - 1] if i else []}\n'
                   for i in range(20_000))
    job = submit(env, text)
    assert env.job(job)["info"]["task_count"] == 20_000


def test_standard_input_as_file(env):
    result = env.hq("--output-mode=quiet", "job", "submit-file", "/dev/stdin", stdin=TASK)
    assert result.stdout == "1\n"
