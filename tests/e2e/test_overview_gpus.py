"""The load of GPUs in a worker's reports, from stand-ins for the makers' programs."""
import os
import signal
from pathlib import Path

import pytest

from harness import wait_until
from journals import flushed, of_type

NVIDIA = ("--resource", "gpus/nvidia=[0,1]")
AMD = ("--resource", "gpus/amd=[0]")
ROWS = """cat <<END
00000000:07:00.0, 25 %, 1024 MiB, 4096 MiB
00000000:0F:00.0, 0 %, 0 MiB, 40536 MiB
END
"""
NVIDIA_GPUS = {"gpus": [
    {"id": "00000000:07:00.0", "mem_usage": 25.0, "processor_usage": 25.0},
    {"id": "00000000:0F:00.0", "mem_usage": 0.0, "processor_usage": 0.0}]}
CARDS = """cat <<END
WARNING: AMD GPU device(s) is/are in a low-power state.

{"card0": {"GPU use (%)": "1.5", "GPU memory use (%)": "12", "PCI Bus": "0000:C1:00.0"},
 "card1": {"GPU use (%)": "0", "GPU Memory Allocated (VRAM%)": "7",
           "PCI Bus": "0000:C5:00.0"},
 "system": {"Driver version": "6.7"}}
END
"""
AMD_GPUS = {"gpus": [
    {"id": "0000:C1:00.0", "mem_usage": 12.0, "processor_usage": 1.5},
    {"id": "0000:C5:00.0", "mem_usage": 7.0, "processor_usage": 0.0}]}
NAMES = {"nvidia": "nvidia-smi", "amd": "rocm-smi"}


def programs(env, **bodies):
    """Variables that put stand-ins in front of the search path."""
    for family, body in bodies.items():
        env.script(f"bin/{NAMES[family]}", body)
    return {"PATH": f"{env.work}/bin:{env.vars['PATH']}"}


def start(env, /, *words, interval="50ms", **kwargs):
    return env.start_worker("--overview-interval", interval, *words, **kwargs)


def state(env, worker):
    found = env.json("worker", "info", worker.id)[0].get("hw_state")
    return found and found["state"]


def wait_gpus(env, worker, family, want):
    wait_until(lambda: (state(env, worker) or {}).get(f"{family}_gpus") == want,
               f"the load of {family} GPUs")


def wait_reports(env, worker, count=3):
    """Until that many later reports have come (they are a second apart at least)."""
    for _ in range(count):
        before = (state(env, worker) or {}).get("timestamp", 0)
        wait_until(lambda: (state(env, worker) or {}).get("timestamp", 0) > before,
                   "a report")


def warnings(worker):
    return [line for line in worker.text().splitlines() if "load of GPUs" in line]


@pytest.mark.core
def test_both_makers(env):
    worker = start(env, *NVIDIA, *AMD, env=programs(env, nvidia=ROWS, amd=CARDS))
    wait_gpus(env, worker, "nvidia", NVIDIA_GPUS)
    wait_gpus(env, worker, "amd", AMD_GPUS)
    assert not warnings(worker)


def test_first_report_has_them(bare):
    """However short the interval, it waits for the first answer."""
    bare.start_server("--journal", "j")
    start(bare, *NVIDIA, interval="1ms", env=programs(bare, nvidia=ROWS))
    reports = wait_until(lambda: of_type(flushed(bare), "worker-overview"), "a report")
    assert reports[0]["hw-state"]["state"]["nvidia_gpus"] == NVIDIA_GPUS


def test_detected_gpus_are_asked_for(env):
    variables = programs(env, nvidia=ROWS, amd="touch asked; exit 1")
    worker = start(env, cpus=None, env={**variables, "CUDA_VISIBLE_DEVICES": "0,1"})
    wait_gpus(env, worker, "nvidia", NVIDIA_GPUS)
    assert state(env, worker)["amd_gpus"] is None
    assert not warnings(worker) and not list(env.root.rglob("asked"))


def test_words_environment_and_input(env):
    """The commands are those of the contract; the programs know nothing of a rank."""
    seen = env.work / "seen"
    body = f'echo "$*" > {seen}.$$; env >> {seen}.$$; cat; mv {seen}.$$ {seen}\n' + ROWS
    start(env, *NVIDIA, env={**programs(env, nvidia=body), "PMIX_RANK": "3"})
    lines = wait_until(lambda: seen.exists() and seen.read_text().splitlines(), "a run")
    assert lines[0] == ("--format=csv,noheader "
                        "--query-gpu=pci.bus_id,utilization.gpu,memory.used,memory.total")
    assert "LC_ALL=C" in lines and not any(line.startswith("PMIX") for line in lines)
    body = f'echo "$*" > {seen}.$$; mv {seen}.$$ {seen}\n' + CARDS
    seen.unlink()
    start(env, *AMD, env=programs(env, amd=body))
    wait_until(lambda: seen.exists()
               and seen.read_text() == "--json --showuse --showbus --showmemuse\n",
               "the command for AMD GPUs")


@pytest.mark.parametrize("family, body, want", [
    ("nvidia", "echo 'No devices were found'", "tells of no GPU"),
    ("nvidia", "echo broken >&2; exit 9", "exit status 9, it tells of no GPU"),
    ("nvidia", "head -c 3000000 /dev/zero", "it writes too much"),
    ("nvidia", "while :; do echo 1, 2 %, 3 MiB, 4 MiB; done", "it writes too much"),
    ("nvidia", "kill -KILL $$", "tells of no GPU"),
    ("nvidia", None, "No such file or directory"),
    ("amd", "echo '{\"card0\": {\"GPU use'", "line 1 column"),
    ("amd", "echo '{\"card0\": []}'", "tells of no GPU"),
    ("amd", None, "No such file or directory"),
])
def test_what_tells_nothing_is_warned_of_once(env, family, body, want):
    bodies = {family: body} if body else {}
    words = NVIDIA if family == "nvidia" else AMD
    worker = start(env, *words, env={**programs(env, **bodies)})
    wait_until(lambda: warnings(worker), "the warning")
    wait_reports(env, worker)
    assert state(env, worker)[f"{family}_gpus"] is None
    lines = warnings(worker)
    assert len(lines) == 1 and want in lines[0] and f"`{NAMES[family]}`" in lines[0]
    env.submit_and_wait("--", "true")


def test_what_can_be_read_counts(env):
    """A device that tells nothing, a strange line, a status: the rest is good."""
    body = ROWS.replace("END\n0", "END\nwarning: infoROM is corrupted\n"
                        "00000000:01:00.0, [N/A], [N/A], [N/A]\n0", 1) + "exit 14\n"
    worker = start(env, *NVIDIA, env=programs(env, nvidia=body))
    wait_gpus(env, worker, "nvidia", NVIDIA_GPUS)
    assert not warnings(worker)


def test_numbers_go_with_the_program(env):
    """What was told once is not shown any more when it cannot be told."""
    body = f"test -e {env.work}/broken && exit 1\n" + ROWS
    worker = start(env, *NVIDIA, env=programs(env, nvidia=body))
    wait_gpus(env, worker, "nvidia", NVIDIA_GPUS)
    env.write("broken", "")
    wait_gpus(env, worker, "nvidia", None)
    (env.work / "broken").unlink()
    wait_gpus(env, worker, "nvidia", NVIDIA_GPUS)


def pids(path):
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_hanging_program_holds_up_nothing(env):
    runs = env.work / "runs"
    body = f"echo $$ >> {runs}; trap '' INT TERM; sleep 1000 & echo $! >> {runs}; wait"
    worker = start(env, *NVIDIA, *AMD, env=programs(env, nvidia=body, amd=CARDS))
    wait_gpus(env, worker, "amd", AMD_GPUS)
    wait_reports(env, worker)
    env.submit_and_wait("--", "true")
    assert state(env, worker)["nvidia_gpus"] is None
    left = wait_until(lambda: len(pids(runs)) == 2 and pids(runs), "one run")
    env.hq("worker", "stop", worker.id)
    assert worker.wait() == 0, worker.text()
    wait_until(lambda: not any(map(alive, left)), "the end of the program")


def test_hanging_program_is_ended_and_tried_again(env):
    runs = env.work / "runs"
    body = f"echo $$ >> {runs}\ntest `wc -l < {runs}` -gt 1 || exec sleep 1000\n" + ROWS
    worker = start(env, *NVIDIA, env=programs(env, nvidia=body))
    wait_gpus(env, worker, "nvidia", NVIDIA_GPUS)
    assert not alive(pids(runs)[0])
    assert len(warnings(worker)) == 1 and "it does not end" in warnings(worker)[0]


def test_children_of_the_program_hold_up_nothing(env):
    stay = env.write("stay", "")
    body = f"while test -e {stay}; do sleep 0.1; done &\n" + ROWS
    worker = start(env, *NVIDIA, env=programs(env, nvidia=body))
    wait_gpus(env, worker, "nvidia", NVIDIA_GPUS)
    stay.unlink()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGKILL])
def test_no_program_outlives_the_worker(env, signo):
    runs = env.work / "runs"
    worker = start(env, *NVIDIA, env=programs(
        env, nvidia=f"echo $$ >> {runs}; exec sleep 1000"))
    wait_until(lambda: pids(runs), "a run")
    os.kill(worker.pid, signo)
    worker.wait()
    wait_until(lambda: not any(map(alive, pids(runs))), "the end of the program")


@pytest.mark.parametrize("words", [NVIDIA, ("--overview-interval", "50ms")])
def test_not_asked_without_need(env, words):
    """Only for reports, and only where there are such GPUs."""
    asked = f"touch {env.work}/asked"
    worker = env.start_worker(*words, env=programs(env, nvidia=asked, amd=asked))
    if words is NVIDIA:
        env.submit_and_wait("--", "true")
    else:
        wait_reports(env, worker)
    assert not (env.work / "asked").exists()


@pytest.mark.mpi
def test_ranks_ask_as_well(env):
    pool = env.start_ranks(2, "--overview-interval", "50ms", *NVIDIA,
                           env=programs(env, nvidia=ROWS))
    wait_until(lambda: all(
        (w.get("hw_state") or {"state": {}})["state"].get("nvidia_gpus") == NVIDIA_GPUS
        for w in env.json("worker", "info", "all")), "the load of GPUs")
    env.hq("worker", "stop", "all")
    assert pool.wait() == 0, pool.text()
