"""`--resource gpus=N`: GPUs of whatever kind, where a worker has no resource called so."""
import pytest

ENV = ("sh", "-c", "echo $HQ_RESOURCE_REQUEST_gpus,$HQ_RESOURCE_VALUES_gpus,"
       "$CUDA_VISIBLE_DEVICES,$ROCR_VISIBLE_DEVICES")


def worker(env, *pools, cpus=4):
    return env.start_worker(*(f"--resource={p}" for p in pools), cpus=cpus)


@pytest.mark.core
@pytest.mark.parametrize("pool, shown", [
    ("gpus/nvidia=[7]", "7,7,"), ("gpus/amd=[7]", "7,,7"), ("gpus/mine=[7]", "7,,"),
    ("gpus=[7]", "7,,")])
def test_any_kind_serves(env, pool, shown):
    worker(env, pool)
    job = env.submit_and_wait("--resource", "gpus=1", "--", *ENV)
    assert env.read(f"job-{job}/0.stdout") == f"1 compact,{shown}\n"


def test_waits_until_a_worker_has_some(env):
    worker(env, "mem=sum(10)")
    job = env.submit("--resource", "gpus=2", "--", *ENV)
    assert env.states(job) == ["waiting"]
    worker(env, "gpus/nvidia=[0]")
    assert env.states(job) == ["waiting"]
    worker(env, "gpus/nvidia=[0,1]")
    env.wait_job(job)
    assert env.stats(job) == {"finished": 1}


def test_shares_the_pool_with_those_who_name_the_kind(env):
    """Never more tasks than devices, whichever way they were asked for."""
    worker(env, "gpus/nvidia=[0,1,2]", cpus=8)
    named = env.submit("--array", "1-2", "--resource", "gpus/nvidia=1", "--", "sleep", "1000")
    env.wait_stats(named, running=2)
    anyone = env.submit("--array", "1-4", "--resource", "gpus=1", "--", "sleep", "1000")
    env.wait_stats(anyone, running=1, waiting=3)
    env.hq("job", "cancel", str(named))
    env.wait_stats(anyone, running=3, waiting=1)


def test_fractions_and_all(env):
    worker(env, "gpus/nvidia=[0,1]", cpus=8)
    half = env.submit("--array", "1-4", "--resource", "gpus=0.5", "--", "sleep", "1000")
    env.wait_stats(half, running=4)
    env.hq("job", "cancel", str(half))
    whole = env.submit_and_wait("--resource", "gpus=all", "--", *ENV)
    assert sorted(env.read(f"job-{whole}/0.stdout").split(",")[1:3]) == ["0", "1"]


def test_the_largest_kind_serves(env):
    worker(env, "gpus/amd=[0]", "gpus/nvidia=[5,6]")
    job = env.submit_and_wait("--resource", "gpus=2", "--", *ENV)
    assert set(env.read(f"job-{job}/0.stdout").strip().split(",")) == {"2 compact", "5", "6", ""}


def test_a_resource_of_that_name_comes_first(env):
    worker(env, "gpus=[9]", "gpus/nvidia=[5,6]")
    job = env.submit_and_wait("--resource", "gpus=1", "--", *ENV)
    assert env.read(f"job-{job}/0.stdout") == "1 compact,9,,\n"
    waits = env.submit("--resource", "gpus=2", "--", "true")
    assert env.states(waits) == ["waiting"]


def test_both_in_one_request(env):
    """Asked for beside a kind, the plain name means a resource of that name only."""
    worker(env, "gpus/nvidia=[5,6]")
    job = env.submit("--resource", "gpus=1", "--resource", "gpus/nvidia=1", "--", "true")
    explained = env.hq("task", "explain", str(job), "0").stdout
    assert env.states(job) == ["waiting"]
    assert "gpus" in explained
    worker(env, "gpus=[1]", "gpus/nvidia=[5,6]")
    env.wait_job(job)


def test_explain_counts_them(env):
    worker(env, "gpus/nvidia=[5]")
    job = env.submit("--resource", "gpus=2", "--", "true")
    rows = env.hq("task", "explain", str(job), "0").table()
    row, = [r for r in rows if "gpus" in " ".join(r)]
    assert "1" in row and "2" in row
