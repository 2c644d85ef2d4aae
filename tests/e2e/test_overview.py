"""Reports of a node's load: hq worker start --overview-interval."""
import os

import pytest

from harness import wait_until


def state(env, worker):
    """What the last report said, or None."""
    found = env.json("worker", "info", worker.id)[0].get("hw_state")
    return found and found["state"]


@pytest.mark.core
def test_reports_come(env):
    worker = env.start_worker("--overview-interval", "50ms")
    first = wait_until(lambda: state(env, worker), "the first report")
    assert set(first) == {"amd_gpus", "cpu_usage", "memory_usage", "network_usage",
                          "nvidia_gpus", "timestamp"}
    loads = first["cpu_usage"]["cpu_per_core_percent_usage"]
    assert len(loads) == os.cpu_count() and all(0 <= load <= 100 for load in loads)
    memory = first["memory_usage"]
    assert 0 < memory["free"] <= memory["total"]
    assert set(first["network_usage"]) == {"rx_bytes", "rx_errors", "rx_packets",
                                           "tx_bytes", "tx_errors", "tx_packets"}
    wait_until(lambda: state(env, worker)["timestamp"] > first["timestamp"],
               "a later report")


def test_load_is_that_of_the_interval(env):
    """A busy CPU shows as one; the mean since boot would hide it."""
    worker = env.start_worker("--overview-interval", "200ms")
    env.submit("--", "sh", "-c", "while :; do :; done")

    def busiest():
        found = state(env, worker)
        return max(found["cpu_usage"]["cpu_per_core_percent_usage"]) if found else 0

    wait_until(lambda: busiest() > 50, "the load")


@pytest.mark.parametrize("words", [[], ["--overview-interval", "0s"]])
def test_no_reports_by_default(env, words):
    worker = env.start_worker(*words)
    env.submit_and_wait("--", "true")
    assert state(env, worker) is None


def test_list_and_lost_workers_show_none(env):
    worker = env.start_worker("--overview-interval", "50ms")
    wait_until(lambda: state(env, worker), "the first report")
    assert "hw_state" not in env.workers()[0]
    worker.kill()
    wait_until(lambda: not env.workers(), "the loss")
    assert state(env, worker) is None


def test_journal_with_reports_is_restored(bare):
    bare.start_server("--journal", "j")
    worker = bare.start_worker("--overview-interval", "50ms")
    job = bare.submit_and_wait("--", "true")
    wait_until(lambda: state(bare, worker), "the first report")
    bare.server.kill()
    bare.start_server("--journal", "j")
    assert bare.states(job) == ["finished"]
