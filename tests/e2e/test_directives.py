"""#HQ directives and the interpreter line of scripts."""
import pytest


def array_of(env, job):
    return env.job(job)["submits"][0]["array"]


def variables(env, job):
    return array_of(env, job)["program"]["env"]


def args_of(env, job):
    return array_of(env, job)["program"]["args"]


TEXT = "#!/bin/sh\n#HQ --name=given\n"


# Name of the file, the mode, and whether its directives count.
@pytest.mark.parametrize("name, words, counts", [
    ("a.sh", [], True), ("a.txt", [], False), ("a.sh", ["--directives=auto"], True),
    ("a.txt", ["--directives=auto"], False), ("a.txt", ["--directives=file"], True),
    ("a.sh", ["--directives=off"], False), ("d/a.sh", [], True), ("a.sh.txt", [], False),
    ("A.SH", [], False), (".sh", [], True), ("sh", [], False),
])
def test_modes(env, name, words, counts):
    env.write(name, TEXT)
    job = env.submit(*words, name)
    assert (env.job(job)["info"]["name"] == "given") == counts
    assert args_of(env, job) == (["/bin/sh", name] if counts else [name])


def test_only_the_first_word_is_looked_at(env):
    env.write("a.sh", TEXT)
    job = env.submit("bash", "a.sh")
    assert env.job(job)["info"]["name"] == "bash"


@pytest.mark.parametrize("words, counts", [(["--directives=stdin"], True), ([], False),
                                           (["--directives=auto"], False)])
def test_standard_input(env, words, counts):
    job = env.submit("--stdin", *words, "cat", stdin=TEXT)
    assert env.job(job)["info"]["name"] == ("given" if counts else "cat")
    assert args_of(env, job) == ["cat"]  # the interpreter is not put in front


def test_stdin_mode_needs_stdin(env):
    result = env.hq("submit", "--directives=stdin", "cat", code=1)
    assert result.stderr == "You have to use `--stdin` when you specify `--directives=stdin`.\n"


@pytest.mark.parametrize("words", [["missing.sh"], ["--directives=file", "missing"]])
def test_missing_file(env, words):
    result = env.hq("submit", *words, code=1)
    assert result.stderr == (f"Could not parse directives from {words[-1]}: "
                             "No such file or directory (os error 2)\n")


def test_file_is_found_from_the_directory_of_the_client(env):
    env.write("d/a.sh", TEXT)
    env.submit("a.sh", cwd=env.work / "d")
    env.hq("submit", "--cwd=d", "a.sh", code=1)


def scan(env, text):
    """Values of A, B … that the directives of a script with this text have set."""
    (env.work / "s.sh").write_bytes(text.encode() if isinstance(text, str) else text)
    return variables(env, env.submit("s.sh"))


@pytest.mark.parametrize("text, found", [
    ("#HQ --env A=1\n", "A"), ("  \t#HQ --env A=1\n", "A"), ("#HQ\n#HQ   \n#HQ --env A=1\n", "A"),
    ("#HQ--env A=1\n", ""), ("# HQ --env A=1\n", ""), ("##HQ --env A=1\n", ""),
    ("#hq --env A=1\n", ""), ("#HQ\t--env A=1\n", ""), ("\n\n#c\n#HQ --env A=1\n", "A"),
    ("#HQ --env A=1\n#HQ --env B=1\n", "AB"), ("#HQ    --env A=1    --env B=1   \n", "AB"),
    ("#HQ --env A=1\ntrue\n#HQ --env B=1\n", "A"), ("true\n#HQ --env A=1\n", ""),
    ("\n   \n#HQ --env A=1", "A"), ("#HQ --env A=1\r\n#HQ --env B=1\r\n", "AB"), ("", ""),
    ("#!/bin/sh\n#HQ --env A=1\n", "A"), (b"#\xff\xfe\n#HQ --env A=1\n", "A"),
    (b"#HQ --env A=1\n\xff\x00\n#HQ --env B=1\n", "A"),
    ("#HQ --env A=1\n" + "#" * 40_000 + "\n#HQ --env B=1\n", "A"),
    ("#" + "x" * 32_000 + "\n#HQ --env A=1\n", "A"),
])
def test_scanning(env, text, found):
    assert "".join(sorted(scan(env, text))) == found


def test_only_32_kib_are_read(env):
    line = "#HQ --env A=1\n"
    assert scan(env, "#" * (32 * 1024 - len(line) - 1) + "\n" + line) == {"A": "1"}
    assert scan(env, "#" * (32 * 1024) + "\n" + line) == {}


@pytest.mark.parametrize("text, value", [
    ('--env A="a b"', "a b"), ('--env "A=a b"', "a b"), ('--env="A=a b"', "a b"),
    ("--env A='q'", "'q'"), (r'--env "A=x\"y"', 'x"y'), (r'--env A=x\"y', 'x"y'),
    (r"--env A=x\ y", "x y"), ("--env A=$HOME", "$HOME"), ("--env A=`x`", "`x`"),
    ("--env A=#x", "#x"), ('--env A=""', ""), ("--env\tA=t", "t"), (r"--env A=a\b", r"a\b"),
])
def test_words(env, text, value):
    assert scan(env, f"#HQ {text}\n") == {"A": value}


def test_option_value_in_quotes(env):
    env.write("s.sh", '#HQ --cpus="2 compact!" --name "two words"\n')
    job = env.submit("s.sh")
    assert env.job(job)["info"]["name"] == "two words"
    assert array_of(env, job)["resources"][0]["resources"] == [
        {"resource": "cpus", "request": {"ForceCompact": 20000}}]


@pytest.mark.parametrize("text", ['--name "open', '--name a"b"c', '"', '--env A="x'])
def test_quotes_that_are_not_closed(env, text):
    env.write("s.sh", f"#HQ {text}\n")
    result = env.hq("submit", "s.sh", code=1)
    assert result.stderr.startswith("Could not parse directives from s.sh: Parse error")
    assert env.json("job", "list", "--all") == []


@pytest.mark.parametrize("line, args", [
    ("#!/bin/bash", ["/bin/bash"]), ("#!/bin/bash -l -e", ["/bin/bash", "-l", "-e"]),
    ("#! /usr/bin/env  python3", ["/usr/bin/env", "python3"]), ('#!/a "b c"', ["/a", "b c"]),
    ("#!", []), ("#", []), (" #!/bin/bash", []), ("\n#!/bin/bash", []),
])
def test_interpreter(env, line, args):
    env.write("s.sh", line + "\n")
    assert args_of(env, env.submit("s.sh", "x", "-y")) == args + ["s.sh", "x", "-y"]


def test_script_needs_no_execute_bit_with_an_interpreter(pair):
    pair.write("s.sh", "#!/bin/sh\necho $1\n", 0o644)
    job = pair.submit_and_wait("s.sh", "word")
    assert pair.read(f"job-{job}/0.stdout") == "word\n"


def test_interpreter_runs_with_its_options(pair):
    pair.write("s.sh", "#!/bin/sh -e\nfalse\necho reached\n")
    job = pair.submit_and_wait("./s.sh")
    assert pair.states(job) == ["failed"] and pair.read(f"job-{job}/0.stdout") == ""


NOT_ALLOWED = ["--job 1", "--wait", "--progress", "--on-notify x", "--stdin", "--directives off",
               "--output-mode json", "--server-dir x", "--debug", "--nonsense"]


@pytest.mark.parametrize("text", NOT_ALLOWED)
def test_options_that_are_not_allowed(env, text):
    env.write("s.sh", f"#HQ {text}\n")
    result = env.hq("submit", "s.sh", code=1)
    assert result.stderr.startswith(
        "Could not parse directives from s.sh: You have used invalid parameter(s) after a #HQ "
        f"directive.\nerror: unexpected argument '{text.split()[0]}' found")


@pytest.mark.parametrize("text, message", [
    ("word", "error: unexpected argument 'word' found"),
    ("-- word", "error: unexpected argument 'word' found"),
    ("--name", "error: a value is required for '--name <NAME>' but none was supplied"),
    ("--array x", "error: invalid value 'x' for '--array <ARRAY>': "),
    ("--name a --name b", "error: the argument '--name <NAME>' cannot be used multiple times"),
    ("--cpus 2 --nodes 2",
     "error: the argument '--cpus <CPUS>' cannot be used with '--nodes <NODES>'"),
    ("--array 1 --array 2", "error: the argument '--array <ARRAY>' cannot be used multiple times"),
])
def test_usage_errors_in_directives(env, text, message):
    env.write("s.sh", f"#HQ {text}\n")
    result = env.hq("submit", "s.sh", code=1)
    head, told = result.stderr.split("\n", 1)
    assert head.startswith("Could not parse directives from s.sh: You have used invalid")
    assert told.startswith(message)


def test_errors_in_json_mode(env):
    env.write("s.sh", "#HQ --nonsense\n")
    error = env.hq("--output-mode=json", "submit", "s.sh", code=1).json()["error"]
    assert error.startswith("Could not parse directives from s.sh: You have used invalid")


@pytest.mark.parametrize("option", ["--name", "--max-fails"])
def test_job_with_an_option_of_a_directive(env, option):
    env.hq("job", "open")
    env.write("s.sh", f"#HQ {option} 5\n")
    result = env.hq("submit", "--job", "1", "s.sh", code=1)
    assert result.stderr == (f"Parameter {option} is not allowed when submitting to an open "
                             "job.\n")


# Every single-valued option: in the directive, on the command line, and what is shown.
PROGRAM = lambda key: lambda d: d["submits"][0]["array"]["program"][key]
ARRAY = lambda key: lambda d: d["submits"][0]["array"][key]
REQUEST = lambda key: lambda d: d["submits"][0]["array"]["resources"][0][key]
SINGLE = [
    ("--name=a", "--name=b", lambda d: d["info"]["name"], "a", "b"),
    ("--max-fails=3", "--max-fails=0", lambda d: d["max_fails"], 3, 0),
    ("--priority=3", "--priority=0", ARRAY("priority"), 3, 0),
    ("--crash-limit=7", "--crash-limit=5", ARRAY("crash_limit"), 7, 5),
    ("--time-limit=1h", "--time-limit=90", ARRAY("time_limit"), 3600.0, 90.0),
    ("--time-request=1h", "--time-request=0", REQUEST("min_time"), 3600.0, 0.0),
    ("--weight=3", "--weight=1", REQUEST("weight"), 30000, 10000),
    ("--pin=omp", "--pin=taskset", ARRAY("pin_mode"), "openmp", "taskset"),
    ("--cwd=/a", "--cwd=/b", PROGRAM("cwd"), "/a", "/b"),
    ("--stdout=/a", "--stdout=none", PROGRAM("stdout"), "/a", None),
    ("--stderr=/a", "--stderr=/b", PROGRAM("stderr"), "/a", "/b"),
    ("--nodes=2", "--nodes=3", REQUEST("n_nodes"), 2, 3),
    ("--cpus=2", "--cpus=3", lambda d: REQUEST("resources")(d)[0]["request"],
     {"Compact": 20000}, {"Compact": 30000}),
]


@pytest.mark.parametrize("script, line, get, from_script, from_line", SINGLE,
                         ids=[s[0].split("=")[0] for s in SINGLE])
def test_command_line_beats_directive(env, script, line, get, from_script, from_line):
    env.write("s.sh", f"#HQ {script}\n")
    assert get(env.job(env.submit("s.sh"))) == from_script
    assert get(env.job(env.submit(line, "s.sh"))) == from_line


def test_stream_in_a_directive(env):
    env.write("s.sh", "#HQ --stream log\n")
    assert array_of(env, env.submit("s.sh"))["program"]["stdout"] == "<pipe>"


@pytest.mark.parametrize("script, line", [("--task-dir", ""), ("", "--task-dir"),
                                          ("--task-dir", "--task-dir")])
def test_task_dir_in_either_place(env, script, line):
    env.write("s.sh", f"#HQ {script}\n")
    assert array_of(env, env.submit(*filter(None, [line]), "s.sh"))["task_dir"] is True


def test_lists_are_joined(env):
    env.write("s.sh", "#HQ --env A=script --env B=script --resource gpus=1\n")
    job = env.submit("--env", "A=line", "--env", "C=line", "--resource", "mem=2", "s.sh")
    assert variables(env, job) == {"A": "line", "B": "script", "C": "line"}
    names = [r["resource"] for r in array_of(env, job)["resources"][0]["resources"]]
    assert sorted(names) == ["cpus", "gpus", "mem"]


def test_resource_in_both_places(env):
    env.write("s.sh", "#HQ --resource gpus=1\n")
    result = env.hq("submit", "--resource", "gpus=1", "s.sh", code=1)
    assert "Resource 'gpus' defined more than once" in result.stderr


def test_cpus_in_both_notations(env):
    env.write("s.sh", "#HQ --resource cpus=1\n")
    result = env.hq("submit", "--cpus", "1", "s.sh", code=1)
    assert "--cpus and --resource cpus=... cannot be combined" in result.stderr


def test_command_line_silences_an_option_that_excludes_it(env):
    env.write("n.sh", "#HQ --nodes 2\n")
    assert env.hq("job", "info", env.submit("--cpus", "3", "n.sh")).fields()["Resources"] == \
        "cpus: 3 compact"
    env.write("c.sh", "#HQ --cpus 3\n")
    assert env.hq("job", "info", env.submit("--nodes", "2", "c.sh")).fields()["Resources"] == \
        "nodes: 2"


@pytest.mark.parametrize("script", ["--array 5-6", "--each-line three --array 1-2",
                                    "--from-json one", "--each-line missing"])
@pytest.mark.parametrize("line, ids", [("--array=7", [7]), ("--each-line=three", [0, 1, 2]),
                                       ("--from-json=one", [0])])
def test_sources_of_tasks_are_one_group(env, script, line, ids):
    env.write("three", "a\nb\nc\n")
    env.write("one", "[1]")
    env.write("s.sh", f"#HQ {script}\n")
    assert sorted(env.tasks(env.submit(line, "s.sh"))) == ids


@pytest.mark.parametrize("script, ids", [("--array 5-6", [5, 6]), ("--each-line three", [0, 1, 2]),
                                         ("--from-json one", [0]),
                                         ("--each-line three --array 1-9", [1, 2])])
def test_sources_of_tasks_in_directives(env, script, ids):
    env.write("three", "a\nb\nc\n")
    env.write("one", "[1]")
    env.write("s.sh", f"#HQ {script}\n")
    assert sorted(env.tasks(env.submit("s.sh"))) == ids


def test_warnings_for_values_of_directives(env):
    env.write("s.sh", "#HQ --array 1-2 --stdout same --stderr %{FOO}%{TASK_ID}\n"
                      "#HQ --env A=1 --env A=2\n")
    text = env.hq("submit", "s.sh").stderr
    assert "the `stdout` path does not contain the task ID placeholder" in text
    assert "Found unknown placeholder `FOO` in stderr path" in text
    assert "Some environment variables were ignored" in text


def test_value_in_both_places_is_no_duplicate_of_the_line(env):
    env.write("s.sh", "#HQ --env A=1\n")
    assert "Some environment variables were ignored" in env.hq("submit", "--env", "A=2",
                                                               "s.sh").stderr
