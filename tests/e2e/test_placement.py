"""Where tasks run: CPU mask, memory policy, environment, and what is recorded of it."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from harness import wait_until

ALLOWED = sorted(os.sched_getaffinity(0))
NODES = re.findall(r"\d+", Path("/sys/devices/system/node/online").read_text()) \
    if Path("/sys/devices/system/node/online").exists() else ["0"]
HAS_NUMA_MAPS = Path("/proc/self/numa_maps").exists()
# Prints its mask and its maps after touching each page of a mapping of its own.
PROBE = ("import os, mmap, json\n"
         "m = mmap.mmap(-1, 1 << 20)\n"
         "m[:] = b'x' * len(m)\n"
         "maps = open('/proc/self/numa_maps').read().splitlines() "
         "if os.path.exists('/proc/self/numa_maps') else []\n"
         "print(json.dumps({'cpus': sorted(os.sched_getaffinity(0)), 'maps': maps}))\n")


def probe(env, *options):
    job = env.submit_and_wait(*options, "--", "python3", "-c", PROBE)
    assert env.states(job) == ["finished"], env.hq("job", "info", job)
    return job, json.loads(env.hq("job", "cat", job, "stdout").stdout)


def placement(env, job, task=0):
    return env.json("task", "info", job, task)[0]["placement"]


def cpus_of(text):
    """The numbers of a list like 0-3,8."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.fixture
def real(env):
    """A worker with all CPUs this process may use, by their numbers."""
    env.worker = env.start_worker(cpus="[" + ",".join(map(str, ALLOWED)) + "]")
    return env


def test_exactly_its_cpus(real):
    job, seen = probe(real, "--cpus", "1", "--pin", "taskset")
    where = placement(real, job)
    assert where["resources"] == [{"amount": 10000, "resource": "cpus",
                                   "values": str(seen["cpus"][0])}]
    assert len(seen["cpus"]) == 1 and where["binding"] == "exact"
    assert cpus_of(where["cpus"]) == seen["cpus"]
    assert real.json("task", "info", job, 0)[0]["id"] == 0


def test_domains_of_its_cpus_by_default(real):
    """On a machine of one domain that is the whole mask of the worker."""
    job, seen = probe(real, "--cpus", "1")
    where = placement(real, job)
    assert where["binding"] == "domains" and cpus_of(where["cpus"]) == seen["cpus"]
    chosen = int(where["resources"][0]["values"])
    assert chosen in seen["cpus"] and len(where["nodes"]) == 1
    if len(NODES) == 1:
        assert seen["cpus"] == ALLOWED and where["memory"] == "default"
    else:
        assert where["memory"] == "preferred"


def test_pin_none_is_the_whole_mask(real):
    job, seen = probe(real, "--cpus", "1", "--pin", "none")
    assert seen["cpus"] == ALLOWED and placement(real, job)["binding"] == "worker"
    assert "Pin" in real.hq("job", "info", job).fields()
    assert real.hq("task", "info", job, 0).fields()["Pin"] == "none"
    assert real.job(job)["submits"][0]["array"]["pin_mode"] is None


@pytest.mark.skipif(len(ALLOWED) < 2, reason="needs two CPUs")
def test_within_the_mask_of_the_worker(env):
    """taskset around the worker is the limit of its tasks, whatever they ask for."""
    env.spawn("worker", "taskset", "-c", ALLOWED[-1], "hq", "worker", "start",
              "--detect-resources=cpus")
    env.wait_workers(1)
    resources = env.workers()[0]["configuration"]["resources"]["resources"]
    assert resources == [{"kind": "list", "name": "cpus", "values": [str(ALLOWED[-1])]}]
    for options in ((), ("--pin", "none"), ("--pin", "taskset")):
        assert probe(env, *options)[1]["cpus"] == [ALLOWED[-1]]


@pytest.mark.skipif(not HAS_NUMA_MAPS, reason="no numa_maps here")
def test_strict_memory_is_bound_before_the_program_runs(real):
    """Every page of the program, also those that exec itself touched."""
    job, seen = probe(real, "--cpus", "1", "--membind", "strict")
    where = placement(real, job)
    assert where["memory"] == "strict" and len(where["nodes"]) == 1
    policies = {line.split()[1] for line in seen["maps"]}
    assert policies == {f"bind:{where['nodes'][0]}"}


@pytest.mark.skipif(not HAS_NUMA_MAPS, reason="no numa_maps here")
def test_first_touch_lands_on_the_preferred_node(real):
    """With several domains by the pages of the map that the probe touched;
    with one by the policy that was recorded and set."""
    job, seen = probe(real, "--cpus", "1")
    where = placement(real, job)
    policies = {line.split()[1] for line in seen["maps"]}
    if len(NODES) == 1:
        assert where["memory"] == "default" and policies == {"default"}
        return
    node = where["nodes"][0]
    assert policies == {f"prefer:{node}"}
    touched = [line for line in seen["maps"] if "dirty=256" in line]
    assert touched and all(re.findall(r"N(\d+)=", line) == [str(node)]
                           for line in touched)


def test_memory_is_left_alone_when_told_so(real):
    job, seen = probe(real, "--cpus", "1", "--membind", "off")
    assert placement(real, job)["memory"] == "default"
    assert {line.split()[1] for line in seen["maps"]} <= {"default"}


@pytest.mark.skipif(not HAS_NUMA_MAPS, reason="no numa_maps here")
def test_membind_in_a_workflow(real):
    job = real.workflow("defaults: {membind: strict}\n"
                        "tasks:\n"
                        "  a: {run: [cat, /proc/self/numa_maps], stdout: a.out}\n"
                        "  b: {run: [cat, /proc/self/numa_maps], stdout: b.out, "
                        "membind: off, pin: none}\n")
    real.wait_job(job)
    assert {line.split()[1] for line in real.read("a.out").splitlines()} == \
        {f"bind:{placement(real, job, 0)['nodes'][0]}"}
    assert {line.split()[1] for line in real.read("b.out").splitlines()} == {"default"}


def test_cpus_that_do_not_exist(env):
    """By default they mean no binding, asked-for pinning fails by name."""
    env.start_worker(cpus="[7000,7001]")
    job, seen = probe(env)
    assert seen["cpus"] == ALLOWED
    assert placement(env, job)["binding"] == "worker"
    assert placement(env, job)["nodes"] == []
    for how in ("taskset", "omp"):
        job = env.submit("--pin", how, "--", "true")
        env.wait_job(job)
        error = env.json("task", "info", job, 0)[0]["error"]
        assert error == "Pinning failed, '7001' is no CPU that this worker may use"
        assert "placement" not in env.json("task", "info", job, 0)[0]


def test_without_cpus(env):
    env.start_worker("--resource", "foo=sum(10)")
    env.write("job.toml", "[[task]]\ncommand = ['true']\npin = 'taskset'\n"
                          "[[task.request]]\nresources = { foo = 2.5 }\n"
                          "[[task]]\ncommand = ['true']\n"
                          "[[task.request]]\nresources = { foo = 2.5 }\n")
    job = env.json("job", "submit-file", "job.toml")["id"]
    env.wait_job(job)
    pinned, free = (env.json("task", "info", job, i)[0] for i in sorted(env.tasks(job)))
    assert pinned["error"] == "Pinning failed, no CPU ids allocated for task"
    assert free["placement"]["resources"] == [
        {"amount": 25000, "resource": "foo", "values": None}]


def test_task_info_shows_it(real):
    job = real.submit_and_wait("--cpus", "1", "--membind", "strict", "--", "true")
    row = real.hq("task", "info", job, 0).fields()["Placement"]
    where = placement(real, job)
    assert f"cpus: {where['resources'][0]['values']}" in row
    assert "memory: strict" in row and f"NUMA nodes: {where['nodes'][0]}" in row
    # The table of the contract where nothing was to be chosen; -v shows it all the same.
    plain = real.submit_and_wait("--cpus", "1", "--", "true")
    if len(NODES) == 1:
        assert "Placement" not in real.hq("task", "info", plain, 0).fields()
    verbose = real.hq("task", "info", plain, 0, "-v").fields()["Placement"]
    assert "(NUMA domains of these CPUs)" in verbose


def test_waiting_and_running_tasks(real):
    job = real.submit("--array", f"1-{len(ALLOWED) + 1}", "--", "sleep", "1000")
    real.wait_stats(job, running=len(ALLOWED), waiting=1)
    tasks = real.json("task", "info", job, f"1-{len(ALLOWED) + 1}")
    chosen = [t["placement"]["resources"][0]["values"] for t in tasks
              if t["state"] == "running"]
    assert sorted(map(int, chosen)) == ALLOWED
    assert ["placement" in t for t in tasks] == [t["state"] == "running" for t in tasks]
    real.hq("job", "cancel", job)


def test_recorded_in_the_journal(bare):
    """A restarted server knows where tasks ran, and new workers name what is known."""
    bare.start_server("--journal", "journal")
    bare.start_worker(cpus="[7,8]")
    first = bare.submit_and_wait("--cpus", "2", "--", "true")
    before = placement(bare, first)
    assert before["resources"][0]["values"] == "8,7"
    bare.stop_server()
    bare.start_server("--journal", "journal")
    bare.start_worker(cpus="[7,8]")
    assert placement(bare, first) == before
    second = bare.submit_and_wait("--cpus", "2", "--", "true")
    third = bare.submit_and_wait("--cpus", "1", "--", "true")
    assert placement(bare, second) == before
    assert placement(bare, third)["resources"][0]["values"] == "8"


def test_restarted_task_forgets_its_old_place(env):
    worker = env.start_worker(cpus="[7,8]")
    job = env.submit("--", "sleep", "1000")
    env.wait_stats(job, running=1)
    assert placement(env, job)["resources"][0]["values"] == "8"
    worker.kill()
    env.wait_stats(job, waiting=1)
    assert "placement" not in env.json("task", "info", job, 0)[0]
    env.start_worker(cpus="[9]")
    env.wait_stats(job, running=1)
    assert placement(env, job)["resources"][0]["values"] == "9"
    env.hq("job", "cancel", job)


def test_survives_a_reconnect(bare):
    """A worker that outlives its server names its placements again."""
    bare.start_server("--journal", "journal")
    bare.start_worker("--on-server-lost", "reconnect", cpus="[7,8]")
    job = bare.submit("--", "sleep", "1000")
    bare.wait_stats(job, running=1)
    before = placement(bare, job)
    bare.server.kill()
    bare.start_server("--journal", "journal")
    bare.wait_workers(1)
    wait_until(lambda: bare.stats(job) == {"running": 1}, "the task to be adopted")
    assert placement(bare, job) == before
    bare.hq("job", "cancel", job)


def test_worker_tells_where_indices_lie(real):
    """`locality` is there on machines of several NUMA nodes and absent elsewhere."""
    resources = real.workers()[0]["configuration"]["resources"]
    if len(NODES) == 1:
        assert "locality" not in resources
    else:
        cpus = [r["values"] for entry in resources["locality"]
                for r in entry["resources"] if r["name"] == "cpus"]
        assert sorted(int(c) for values in cpus for c in values) == ALLOWED


# -- as on a machine of several domains ------------------------------------------------

def bits(i):
    """A set of one number as hwloc writes it."""
    return ",".join([f"0x{1 << i % 32:08x}"] + ["0x00000000"] * (i // 32))


def socket_xml(i, cpu):
    """A socket with one CPU and memory of its own."""
    sets = (f'cpuset="{bits(cpu)}" complete_cpuset="{bits(cpu)}" '
            f'nodeset="{bits(i)}" complete_nodeset="{bits(i)}"')
    return (f'<object type="Package" os_index="{i}" {sets} gp_index="{10 * i + 11}">'
            f'<object type="NUMANode" os_index="{i}" {sets} gp_index="{10 * i + 12}" '
            'local_memory="1073741824"/>'
            f'<object type="Core" os_index="{i}" {sets} gp_index="{10 * i + 13}">'
            f'<object type="PU" os_index="{cpu}" {sets} gp_index="{10 * i + 14}"/></object>'
            "</object>")


@pytest.fixture
def sockets(env):
    """Starts workers that believe in two sockets with one of this machine's CPUs each:
    HWLOC_XMLFILE is the library's own variable. The kernel is the real one."""
    if len(ALLOWED) < 2:
        pytest.skip("needs two CPUs")
    both = ",".join(f"0x{word:08x}" for word in split_words(
        1 << ALLOWED[0] | 1 << ALLOWED[1]))
    sets = (f'cpuset="{both}" complete_cpuset="{both}" allowed_cpuset="{both}" '
            'nodeset="0x3" complete_nodeset="0x3" allowed_nodeset="0x3"')
    file = env.write("machine.xml",
                     '<?xml version="1.0" encoding="UTF-8"?>\n'
                     '<topology version="2.0">'
                     f'<object type="Machine" os_index="0" {sets} gp_index="1">'
                     f"{socket_xml(0, ALLOWED[0])}{socket_xml(1, ALLOWED[1])}"
                     "</object></topology>\n")
    seen = env.json("worker", "hwdetect", env={"HWLOC_XMLFILE": str(file)})
    if "locality" not in seen:
        pytest.skip("hwloc is not there")
    env.start = lambda *args: env.start_worker(
        "--detect-resources=cpus", *args, cpus=None, env={"HWLOC_XMLFILE": str(file)})
    return env


def split_words(value):
    """32 bits each, the highest first."""
    words = []
    while value:
        words.insert(0, value & 0xffffffff)
        value >>= 32
    return words


def policies_of(seen):
    return {line.split()[1] for line in seen["maps"]}


def test_default_is_the_domain_and_its_memory(sockets):
    """CPUs of the first domain only, and pages from there: also first touch."""
    sockets.start()
    resources = sockets.workers()[0]["configuration"]["resources"]
    assert resources["resources"] == [{"kind": "groups", "name": "cpus", "groups": [
        [str(ALLOWED[0])], [str(ALLOWED[1])]]}]
    job, seen = probe(sockets)
    where = placement(sockets, job)
    assert seen["cpus"] == [ALLOWED[0]] and where["nodes"] == [0]
    assert where["binding"] == "domains" and where["memory"] == "preferred"
    if HAS_NUMA_MAPS:
        assert policies_of(seen) == {"prefer:0"}
        touched = [line for line in seen["maps"] if "dirty=256" in line]
        assert touched and all(" N0=256" in line for line in touched)
    row = sockets.hq("task", "info", job, 0).fields()["Placement"]
    assert "NUMA nodes: 0" in row and "memory: preferred" in row

    for options, binding, memory, policy in (
            (("--membind", "strict"), "domains", "strict", "bind:0"),
            (("--membind", "off"), "domains", "default", "default"),
            (("--pin", "taskset"), "exact", "preferred", "prefer:0")):
        job, seen = probe(sockets, *options)
        where = placement(sockets, job)
        assert (where["binding"], where["memory"]) == (binding, memory)
        assert seen["cpus"] == [ALLOWED[0]]
        assert not HAS_NUMA_MAPS or policies_of(seen) == {policy}
    for options in (("--pin", "none"), ("--cpus", "2")):
        job, seen = probe(sockets, *options)
        assert seen["cpus"] == ALLOWED[:2] and placement(sockets, job)["memory"] == "default"
        assert policies_of(seen) <= {"default"}


def test_pinned_and_other_tasks_take_turns(sockets):
    """They share a lane of the worker; each gets what it asked for."""
    sockets.start()
    blocker = sockets.submit("--cpus", "2", "--", "sleep", "1000")
    sockets.wait_stats(blocker, running=1)
    ways = (("--pin", "none"), (), ("--pin", "taskset"), ("--membind", "off")) * 3
    jobs = [sockets.submit(*way, "--", "python3", "-c", PROBE) for way in ways]
    sockets.hq("job", "cancel", blocker)
    for way, job in zip(ways, jobs):
        sockets.wait_job(job)
        where = placement(sockets, job)
        seen = json.loads(sockets.hq("job", "cat", job, "stdout").stdout)
        assert seen["cpus"] == cpus_of(where["cpus"])
        assert seen["cpus"] == ALLOWED[:2] if "none" in way else len(seen["cpus"]) == 1
        wish = way in ((), ("--pin", "taskset")) and (where["nodes"] == [0] or len(NODES) > 1)
        assert where["memory"] == ("preferred" if wish else "default")


@pytest.mark.skipif(len(NODES) > 1, reason="the kernel has that domain")
def test_domain_without_memory_for_us(sockets):
    """A wish is dropped and not recorded as kept, an order fails the task by name."""
    sockets.start()
    first = sockets.submit("--", "sleep", "1000")
    sockets.wait_stats(first, running=1)
    job, seen = probe(sockets)
    where = placement(sockets, job)
    assert seen["cpus"] == [ALLOWED[1]] and where["nodes"] == [1]
    assert where["memory"] == "default" and policies_of(seen) <= {"default"}
    job = sockets.submit("--membind", "strict", "--", "true")
    sockets.wait_job(job)
    assert "memory" in sockets.json("task", "info", job, 0)[0]["error"]


def test_mask_survives_in_children(real):
    """What a task starts inherits both mask and policy."""
    job = real.submit_and_wait("--pin", "taskset", "--", "sh", "-c",
                               "nproc; sh -c 'exec nproc'")
    assert real.hq("job", "cat", job, "stdout").stdout == "1\n1\n"
    assert subprocess.run(["nproc"], capture_output=True).stdout  # not of this process
