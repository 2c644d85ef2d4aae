"""Workflow files: what is submitted from them, and the errors they are refused with."""
import pytest

from harness import ROOT


def names(env, job):
    """Task names in id order, as the dry-run-free JSON of the job shows them."""
    graph = env.job(job)["submits"][0]["graph"]
    return [task["name"] for task in graph]


@pytest.mark.core
def test_needs_order_the_tasks(pair):
    job = pair.workflow("""
name: order
tasks:
  last:  {needs: [left, right], run: "echo last >>order"}
  left:  {needs: first, run: "echo middle >>order"}
  right: {needs: first, run: "echo middle >>order"}
  first: {run: "echo first >>order"}
""")
    pair.wait_job(job)
    assert pair.read("order").split() == ["first", "middle", "middle", "last"]
    assert pair.job(job)["info"]["name"] == "order"


@pytest.mark.core
def test_list_is_argv_and_string_is_shell(pair):
    job = pair.workflow("""
tasks:
  argv:  {run: [printf, "%s|", "a b", $HOME, "*"]}
  shell: {run: "printf '%s|' a b \\"$HQ_TASK_ID\\""}
""")
    pair.wait_job(job)
    assert pair.read(f"job-{job}/0.stdout") == "a b|$HOME|*|"
    assert pair.read(f"job-{job}/1.stdout") == "a|b|1|"


@pytest.mark.core
def test_matrix_last_axis_fastest(pair):
    job = pair.workflow("""
tasks:
  sweep:
    matrix: {T: {range: [1.5, 1.7, 0.1]}, seed: {range: 1-2}, word: [x, "y z"]}
    run: echo %{T} %{seed} %{word} "$HQ_AXIS_T/$HQ_AXIS_seed/$HQ_AXIS_word"
""")
    pair.wait_job(job)
    got = [pair.read(f"job-{job}/{i}.stdout").strip() for i in range(12)]
    want = [f"{t} {s} {w} {t}/{s}/{w}" for t in ("1.5", "1.6", "1.7") for s in (1, 2)
            for w in ("x", "y z")]
    assert got == want


@pytest.mark.core
def test_needs_each_goes_element_by_element(pair):
    pair.script("wait-for.sh", "echo $2 $1 >>order; sleep 0.0$1\n")
    job = pair.workflow("""
tasks:
  a: {array: 1-3, run: "echo a$HQ_TASK_ID >a.$HQ_TASK_ID"}
  b: {needs: {a: each}, matrix: {i: {range: 0-2}}, run: "cat a.%{i} >b.%{i}"}
""")
    pair.wait_job(job)
    assert pair.stats(job) == {"finished": 6}
    assert [pair.read(f"b.{i}") for i in range(3)] == ["a0\n", "a1\n", "a2\n"]


def test_needs_each_of_other_length_is_refused(env):
    result = refuse(env, """
tasks:
  a: {array: 1-3, run: "true"}
  b: {needs: {a: each}, array: 1-4, run: "true"}
""")
    assert "3" in result and "4" in result


@pytest.mark.core
def test_entries_from_files(pair):
    pair.write("lines", "one\ntwo words\n")
    pair.write("in.json", '[{"k": 1}, 2]')
    job = pair.workflow("""
tasks:
  lines: {each-line: lines, run: 'echo "$HQ_ENTRY"'}
  items: {each-json: in.json, run: 'echo "$HQ_ENTRY"'}
""")
    pair.wait_job(job)
    got = [pair.read(f"job-{job}/{i}.stdout").strip() for i in range(4)]
    assert got == ["one", "two words", '{"k":1}', "2"]


@pytest.mark.core
def test_defaults_and_overrides(pair):
    job = pair.workflow("""
defaults: {cpus: 2, time-limit: 10m, env: {A: "1", B: "1"}, stderr: none}
tasks:
  one: {run: 'echo $A$B'}
  two: {run: 'echo $A$B', cpus: 1, env: {B: "2"}}
""")
    pair.wait_job(job)
    assert pair.read(f"job-{job}/0.stdout") == "11\n"
    assert pair.read(f"job-{job}/1.stdout") == "12\n"
    graph = pair.job(job)["submits"][0]["graph"]
    assert [g["resources"][0]["resources"][0]["request"]["Compact"] for g in graph] == \
        [20000, 10000]
    assert [g["time_limit"] for g in graph] == [600.0, 600.0]
    assert not (pair.work / f"job-{job}" / "0.stderr").exists()


@pytest.mark.core
def test_failed_dependency_aborts(pair):
    job = pair.workflow("""
tasks:
  bad:    {run: exit 3}
  after:  {needs: bad, run: "true"}
  later:  {needs: after, run: "true"}
  aside:  {run: "true"}
""")
    pair.wait_job(job)
    assert pair.states(job) == ["failed", "aborted", "aborted", "finished"]


def test_params_and_set(pair):
    text = """
params: {count: 2, word: hello}
tasks:
  t: {array: "1-${{ count }}", run: "echo ${{ word }} ${HOME:+home}"}
"""
    job = pair.workflow(text)
    pair.wait_job(job)
    assert pair.job(job)["info"]["task_count"] == 2
    assert pair.read(f"job-{job}/0.stdout") == "hello home\n"
    job = pair.workflow(text, "--set", "count=3", "--set", "word=bye")
    pair.wait_job(job)
    assert pair.job(job)["info"]["task_count"] == 3
    assert pair.read(f"job-{job}/2.stdout") == "bye home\n"
    assert "coutn" in pair.hq("submit", "-f", "flow.yml", "--set", "coutn=3", code=1).stderr


def test_dry_run_submits_nothing(env):
    env.write("flow.yml", "tasks: {a: {array: 1-7, run: 'true'}, b: {needs: a, run: 'true'}}")
    text = env.hq("submit", "-f", "flow.yml", "--dry-run").stdout
    assert "a" in text and "7" in text and "0-6" in text
    assert env.json("job", "list", "--all") == []


def test_from_stdin(pair):
    job = pair.submit("-f", "-", stdin="tasks: {a: {run: echo piped}}")
    pair.wait_job(job)
    assert pair.read(f"job-{job}/0.stdout") == "piped\n"


def test_anchors_and_merge_keys(pair):
    job = pair.workflow("""
defaults: &d {env: {A: x}}
tasks:
  a: {<<: *d, run: "echo $A"}
  b: {env: &e {A: y}, run: "echo $A"}
  c: {env: {<<: *e}, run: "echo $A"}
""")
    pair.wait_job(job)
    assert [pair.read(f"job-{job}/{i}.stdout") for i in range(3)] == ["x\n", "y\n", "y\n"]


def refuse(env, text):
    env.write("bad.yml", text.lstrip("\n"))
    result = env.hq("submit", "-f", "bad.yml", code=1)
    assert env.json("job", "list", "--all") == []
    assert "bad.yml:" in result.stderr, result
    return result.stderr


@pytest.mark.parametrize("text, line, words", [
    ("tasks: {a: {rnu: 'true'}}", 1, ["rnu", "run"]),
    ("tasks:\n  a:\n    run: 'true'\n    need: b\n", 4, ["need", "needs"]),
    ("tasks:\n  a: {run: 'true'}\n  a: {run: 'true'}\n", 3, ["a"]),
    ("tasks:\n  a: {run: 'true', needs: bb}\n  b: {run: 'true'}\n", 2, ["bb"]),
    ("tasks:\n  a: {run: 'true', needs: b}\n  b: {run: 'true', needs: a}\n", 2, ["cycle"]),
    ("tasks:\n  a: {run: 'true', cpus: many}\n", 2, ["cpus"]),
    ("tasks:\n  a: {run: 'true', matrix: {x: []}}\n", 2, ["x"]),
    ("tasks:\n  a: {run: 'true', priority: high}\n", 2, ["priority"]),
    ("tasks:\n  a: {run: 'true', env: [1]}\n", 2, ["env"]),
    ("tasks:\n  a: {run: 'true', retries: 3}\n", 2, ["retries"]),
    ("tasks:\n  a: {run: 'echo ${{ nope }}'}\n", 2, ["nope"]),
    ("tasks:\n  a: {run: 'true', matrix: {TASK_ID: [1]}}\n", 2, ["TASK_ID"]),
    ("tasks:\n  a: {}\n", 2, ["run"]),
    ("tasks:\n  a: [\n", 2, []),
    ("tasks: {}\n", 1, ["task"]),
])
def test_errors_name_the_place(env, text, line, words):
    stderr = refuse(env, text)
    assert f"bad.yml:{line}:" in stderr
    for word in words:
        assert word in stderr


@pytest.mark.core
def test_alias_bomb_is_refused(env):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    refuse(env, "\n".join(lines) + "\ntasks: {a: {run: *a11}}\n")


def test_missing_file(env):
    assert "nowhere.yml" in env.hq("submit", "-f", "nowhere.yml", code=1).stderr


def test_toml_job_file(pair):
    pair.write("job.toml", """
name = "old"
[[task]]
command = ["sh", "-c", "echo one >>order"]
[[task]]
id = 5
command = ["sh", "-c", "echo two >>order"]
deps = [6]
""")
    job = pair.json("job", "submit-file", "job.toml")["id"]
    pair.wait_job(job)
    assert sorted(pair.tasks(job)) == [5, 6]
    assert pair.read("order").split() == ["one", "two"]


@pytest.mark.core
def test_chain_of_two_hundred(pair):
    tasks = ["  t0: {run: [sh, -c, 'echo 0 >>order']}"]
    tasks += [f"  t{i}: {{needs: t{i - 1}, run: [sh, -c, 'echo {i} >>order']}}"
              for i in range(1, 200)]
    job = pair.workflow("tasks:\n" + "\n".join(tasks) + "\n")
    pair.wait_job(job, 60)
    assert pair.read("order").split() == [str(i) for i in range(200)]


def test_the_examples_pass_the_dry_run(env):
    flow = ROOT / "examples" / "ising" / "flow.yml"
    assert "176" in env.hq("submit", "-f", flow, "--dry-run").stdout
