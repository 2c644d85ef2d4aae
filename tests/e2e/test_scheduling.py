"""Which task runs where and when: priorities, packing, variants, time, moves, losses."""
import json
import signal

import pytest

from harness import BIN, wait_until

SIMULATED_RANKS = BIN.parent / "tests" / "sim" / "simulated_ranks"


def held(name):
    return ["sh", "-c", f"while ! test -e {name}; do sleep 0.05; done"]


def hold(env, *args, name="go", count=1):
    """A job that runs until the file exists; returns when `count` tasks run."""
    job = env.submit(*args, "--", *held(name))
    wait_until(lambda: env.stats(job).get("running") == count, "the job to run")
    return job


def settled(env, job, **want):
    """The counts are these, and still are after some more requests."""
    env.wait_stats(job, **want)
    for _ in range(5):
        assert env.stats(job) == want


def appended(env, name="order"):
    return env.read(name).split()


# -- priorities (8.1, 8.2) -----------------------------------------------------------

@pytest.mark.core
def test_higher_priority_first(env):
    for priority in (0, 5, -3, 10, 2**31 - 1, -2**31):
        env.submit("--priority", priority, "--stdout", "none", "--", "sh", "-c",
                   f"echo {priority} >> order")
    env.start_worker(cpus=1)
    env.hq("job", "wait", "all")
    assert [int(p) for p in appended(env)] == [2**31 - 1, 10, 5, 0, -3, -2**31]


def test_equal_requests_run_in_order_of_ids(env):
    for _ in range(3):
        env.submit("--array", "1-3", "--stdout", "none", "--", "sh", "-c",
                   "echo $HQ_JOB_ID.$HQ_TASK_ID >> order")
    env.start_worker(cpus=1)
    env.hq("job", "wait", "all")
    assert appended(env) == [f"{j}.{t}" for j in (1, 2, 3) for t in (1, 2, 3)]


def test_gap_beside_a_large_task_of_higher_priority(env):
    """4 cpus, 5 x (3 cpus, high), 10 x (1 cpu, low): one of each."""
    high = env.submit("--cpus", 3, "--priority", 1, "--array", "1-5", "--", *held("go"))
    low = env.submit("--cpus", 1, "--array", "1-10", "--", *held("go"))
    env.start_worker(cpus=4)
    env.wait_stats(high, running=1, waiting=4)
    env.wait_stats(low, running=1, waiting=9)
    env.write("go", "")
    env.hq("job", "wait", "all")


def test_worker_is_drained_for_a_higher_priority(env):
    """Two low tasks run; two free cpus are kept until three are free."""
    env.start_worker(cpus=4)
    first = hold(env, "--cpus", 1, "--array", "1-2", count=2)
    high = env.submit("--cpus", 3, "--priority", 1, "--", *held("end"))
    low = env.submit("--cpus", 1, "--array", "1-10", "--", *held("end"))
    settled(env, low, waiting=10)
    assert env.stats(high) == {"waiting": 1}
    env.write("go", "")
    env.wait_job(first)
    env.wait_stats(high, running=1)
    env.wait_stats(low, running=1, waiting=9)
    env.write("end", "")
    env.hq("job", "wait", "all")


def test_no_limit_once_all_higher_ones_run(env):
    high = env.submit("--cpus", 2, "--priority", 1, "--", *held("go"))
    low = env.submit("--cpus", 1, "--array", "1-10", "--", *held("go"))
    env.start_worker(cpus=4)
    env.wait_stats(low, running=2, waiting=8)
    env.wait_stats(high, running=1)
    env.write("go", "")
    env.hq("job", "wait", "all")


@pytest.mark.core
def test_no_blocking_where_the_higher_one_cannot_run(env):
    """Whoever waits for a GPU that is not there stops nobody."""
    high = env.submit("--resource", "gpus=1", "--priority", 1, "--", *held("go"))
    env.start_worker(cpus=4)
    low = env.submit_and_wait("--cpus", 1, "--array", "1-10", "true")
    assert env.stats(low) == {"finished": 10} and env.stats(high) == {"waiting": 1}
    env.start_worker("--resource", "gpus=[0]", cpus=1)
    env.wait_stats(high, running=1)
    env.write("go", "")
    env.wait_job(high)


def test_higher_priority_overtakes_what_was_sent_ahead(env):
    """Tasks that wait on the worker already are asked back."""
    env.start_worker(cpus=1)
    hold(env, "--cpus", 1)
    env.submit("--array", "1-50", "--stdout", "none", "--", "sh", "-c", "echo low >> order")
    high = env.submit("--priority", 1, "--stdout", "none", "--", "sh", "-c",
                      "echo high >> order")
    env.write("go", "")
    env.wait_job(high)
    env.hq("job", "wait", "all")
    assert appended(env)[0] == "high" and len(appended(env)) == 51


@pytest.mark.parametrize("other", [[], ["--time-limit", "1h"]])
def test_lower_priority_never_overtakes_what_was_sent_ahead(env, other):
    """It waits behind a long task of another worker; the one that becomes free takes it
    before anything less important, of its class or of another."""
    for _ in range(2):
        env.start_worker(cpus=1)
    high = env.submit("--priority", 10, "--array", "1-4", "--stdout", "none", "--", "sh", "-c",
                      "case $HQ_TASK_ID in 1|2) while ! test -e go$HQ_TASK_ID; do sleep 0.02; "
                      "done;; *) echo high >> order;; esac")
    env.wait_stats(high, running=2, waiting=2)
    low = env.submit("--priority", 5, *other, "--array", "1-3", "--stdout", "none", "--",
                     "sh", "-c", "echo low >> order; while ! test -e end; do sleep 0.02; done")
    env.write("go2", "")
    env.wait_stats(high, running=1, finished=3)
    env.wait_stats(low, running=1, waiting=2)
    wait_until(lambda: len(appended(env)) == 3, "the first of the lower ones")
    assert appended(env) == ["high", "high", "low"]
    env.write("go1", "")
    env.write("end", "")
    env.hq("job", "wait", "all")


# -- packing and variants (8.3, 8.6, 8.7) --------------------------------------------

def test_few_tasks_on_the_lowest_workers(env):
    for _ in range(3):
        env.start_worker(cpus=4)
    job = hold(env, "--array", "1-4", count=4)
    assert {t["worker"] for t in env.tasks(job).values()} == {1}
    env.write("go", "")
    env.wait_job(job)


def test_best_mix_of_classes(env):
    """3 + 3 + 2 cpus: greed for the largest would leave cpus idle."""
    jobs = [env.submit("--cpus", n, "--array", f"1-{m}", "--", *held("go"))
            for n, m in ((5, 1), (4, 2))]
    env.start_worker(cpus=8)
    env.wait_stats(jobs[1], running=2)
    assert env.stats(jobs[0]) == {"waiting": 1}
    env.write("go", "")
    env.hq("job", "wait", "all")


def variants(env, *requests, count=20):
    text = "".join(f"[[task]]\nid = {i}\ncommand = {json.dumps(held('go'))}\n" +
                   "".join(f"[[task.request]]\n{r}\n" for r in requests)
                   for i in range(count))
    env.write("job.toml", text)
    env.hq("job", "submit-file", "job.toml")
    return 1


def test_variants_use_all_resources(env):
    env.start_worker("--resource", "gpus=range(0-3)", cpus=16)
    job = variants(env, 'resources = { "cpus" = 1, "gpus" = 1 }', 'resources = { "cpus" = 4 }')
    wait_until(lambda: env.stats(job).get("running") == 7, "4 + 3 tasks")
    chosen = [t["variant"] for t in env.tasks(job).values() if t["state"] == "running"] \
        if "variant" in env.tasks(job)[0] else None
    assert chosen is None or sorted(chosen) == [0] * 4 + [1] * 3
    env.write("go", "")
    env.wait_job(job)


def test_weight_decides_between_variants(env):
    """Alone, the first would win; with its weight the second does."""
    env.start_worker("--resource", "gpus=range(0-3)", cpus=4)
    job = variants(env, 'resources = { "cpus" = 1, "gpus" = 1 }',
                   'resources = { "cpus" = 4 }\nweight = 9.0', count=2)
    env.wait_stats(job, running=1, waiting=1)
    env.write("go", "")
    env.wait_job(job)


def test_minimal_utilization(env):
    env.start_worker("--min-utilization", 0.5, cpus=8)
    job = env.submit("--array", "1-3", "--", *held("go"))
    settled(env, job, waiting=3)
    more = env.submit("--array", "1-1", "--", *held("go"))
    env.wait_stats(job, running=3)
    env.wait_stats(more, running=1)
    env.write("go", "")
    env.hq("job", "wait", "all")


# -- time (9) ------------------------------------------------------------------------

def test_time_request_against_remaining_time(env):
    env.start_worker("--time-limit", "1h", cpus=1)
    long = env.submit("--time-request", "2h", "true")
    env.submit_and_wait("--time-request", "30m", "true")
    assert env.stats(long) == {"waiting": 1}
    env.start_worker(cpus=1)
    env.wait_job(long)


def test_time_request_equal_to_the_limit_never_fits(env):
    env.start_worker("--time-limit", "1h", cpus=1)
    job = env.submit("--time-request", "1h", "true")
    settled(env, job, waiting=1)


def test_running_longer_than_requested_is_fine(pair):
    job = pair.submit_and_wait("--time-request", "1ms", "--", "sleep", "0.1")
    assert pair.stats(job) == {"finished": 1}


def test_nothing_can_run_it(pair):
    job = pair.submit("--cpus", 100, "true")
    settled(pair, job, waiting=1)
    pair.submit_and_wait("true")


# -- refusals and moves (8.4, 8.5) ---------------------------------------------------

@pytest.mark.core
def test_refused_by_one_worker_runs_on_another(env):
    """On the first worker two cpus are free, but in different groups."""
    env.start_worker(cpus="2x4")
    for name in ("a", "b"):
        hold(env, "--cpus", "3 compact!", name="go")
    job = env.submit("--cpus", "2 compact!", "--array", "1-4", "true")
    settled(env, job, waiting=4)
    env.start_worker(cpus=2)
    env.wait_job(job)
    assert {t["worker"] for t in env.tasks(job).values()} == {2}
    env.write("go", "")
    env.hq("job", "wait", "all")


def test_refused_tasks_run_once_there_is_room(env):
    env.start_worker(cpus="2x4")
    hold(env, "--cpus", "3 compact!", name="one")
    hold(env, "--cpus", "3 compact!", name="two")
    job = env.submit("--cpus", "2 compact!", "true")
    settled(env, job, waiting=1)
    env.write("one", "")
    env.wait_job(job)
    env.write("two", "")


def test_late_worker_gets_tasks_sent_to_another(env):
    """Nothing waits in the server any more; a new worker takes part all the same."""
    env.start_worker(cpus=1)
    job = env.submit("--array", "1-3", "--stdout", "none", "--", *held("go"))
    env.wait_stats(job, running=1, waiting=2)
    env.start_worker(cpus=2)
    env.wait_stats(job, running=3)
    assert {t["worker"] for t in env.tasks(job).values()} == {1, 2}
    env.write("go", "")
    env.wait_job(job)


def test_each_task_once_while_workers_come_and_go(env):
    """Stopped workers give back what they did not start."""
    env.start_worker(cpus=2)
    job = env.submit("--array", "1-200", "--stdout", "none", "--", "sh", "-c",
                     "echo $HQ_TASK_ID >> ran; sleep 0.02")
    for i in range(4):
        env.start_worker(cpus=2)
        wait_until(lambda n=i: env.stats(job).get("finished", 0) >= 20 * (n + 1), "progress")
        env.hq("worker", "stop", i + 1)
    env.wait_job(job, timeout_s=60)
    assert env.stats(job) == {"finished": 200}
    assert {int(t) for t in appended(env, "ran")} == set(range(1, 201))


@pytest.mark.core
def test_cancel_at_any_instant(env):
    """Whatever the tasks are just doing, nothing of the job is left."""
    for _ in range(2):
        env.start_worker(cpus=2)
    for after in (0, 1, 5, 40):
        job = env.submit("--array", "1-300", "--stdout", "none", "--", "sleep", "0.01")
        wait_until(lambda: env.stats(job).get("finished", 0) >= after, "some tasks")
        env.hq("job", "cancel", job)
        stats = env.stats(job)
        assert stats.get("waiting", 0) == stats.get("running", 0) == 0
    last = env.submit_and_wait("--array", "1-8", "true")
    assert env.stats(last) == {"finished": 8}


# -- simulated ranks -----------------------------------------------------------------

class Ranks:
    """Processes with many connections each, which run nothing."""

    def __init__(self, env, count, processes=1, *args):
        if not SIMULATED_RANKS.exists():
            pytest.skip("built without the simulated ranks")
        self.parts = [env.spawn("ranks", SIMULATED_RANKS, env.server_dir, count // processes,
                                *args) for _ in range(processes)]
        wait_until(lambda: env.server.text().count(" registered from ") >= count,
                   f"{count} ranks", 120)

    def end(self):
        """Sums of what they print at their end."""
        for part in self.parts:
            part.send(signal.SIGTERM)
        results = []
        for part in self.parts:
            assert part.wait() == 0, part.text()
            results.append(json.loads(part.text()))
        return {key: [r[key] for r in results] for key in results[0]}


def run_on_ranks(env, ranks, tasks):
    job = env.submit("--array", f"1-{tasks}", "--stdout", "none", "--stderr", "none", "true")
    env.wait_job(job, timeout_s=120)
    assert env.stats(job) == {"finished": tasks}
    result = ranks.end()
    assert sum(result["done"]) >= tasks
    return result


def test_many_ranks_leave_and_join(env):
    ranks = Ranks(env, 400, 2, "--leave-ms", 5)
    result = run_on_ranks(env, ranks, 100_000)
    assert sum(result["done"]) < 2 * 100_000


def test_tasks_move_to_ranks_without_work(env):
    """Towards the end some ranks run dry while others hold tasks sent ahead."""
    ranks = Ranks(env, 32, 1, "--cpus", 1, "--task-us", 20000, "--long-percent", 25)
    result = run_on_ranks(env, ranks, 1000)
    assert result["waits"][0] > 0, "no rank that had run dry got more"


@pytest.mark.long
def test_ten_thousand_ranks(env):
    ranks = Ranks(env, 10_000, 4, "--leave-ms", 10)
    result = run_on_ranks(env, ranks, 1_000_000)
    assert sum(result["left"]) > 0
