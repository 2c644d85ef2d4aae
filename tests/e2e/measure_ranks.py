#!/usr/bin/env python3
"""Measures the table of docs/ranks.md: what srun and mpirun do to the other ranks when
one is gone. Needs a build with MPI, and the Slurm lab for the rows of srun.

    tests/e2e/measure_ranks.py [--lab DIR] [WORD...]      only rows with all these words
"""
import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness import HQ_MPI_WORKER, Env, wait_until  # noqa: E402
from test_slurm import LAB, SlurmEnv  # noqa: E402

WATCH_S = 8  # how long the others have to stay
KEEP = ["--kill-on-bad-exit=0", "--no-kill", "--wait=0"]

MPIRUN = [("mpirun", ["mpirun", "-n", "3", "--bind-to", "none", "--oversubscribe", *flags],
           world, 3)
          for flags in ([], ["--enable-recovery"]) for world in (False, True)]
SRUN = [("srun", ["srun", f"--mpi={mpi}", "-N3", f"--ntasks-per-node={per_node}", *flags],
         world, 3 * per_node)
        for mpi in ("none", "pmix") for world in ((False, True) if mpi == "pmix" else (False,))
        for per_node in (1, 2) for flags in ([], KEEP, ["--kill-on-bad-exit=1"], ["--wait=3"])]
LOSSES = ("SIGKILL", "worker stop", "node")


def lose(env, loss):
    """Takes one rank away; returns the number of ranks that should be left."""
    before = len(env.workers())
    if loss == "SIGKILL":
        os.kill(env.ranks()[-1], signal.SIGKILL)
        return before - 1
    if loss == "worker stop":
        env.hq("worker", "stop", env.workers()[-1]["id"])
        return before - 1
    there = [w for w in env.workers() if w["configuration"]["hostname"] == "node3"]
    env.node("crash", "node3")
    return before - len(there)


def measure(env, command, world, count, loss):
    command = list(command)
    if command[0] == "mpirun" and os.geteuid() == 0:
        command.append("--allow-run-as-root")
    words = [HQ_MPI_WORKER, "--heartbeat=1s", *(["--mpi-world"] if world else [])]
    pool = env.spawn(command[0], *command, *words)
    begin = time.monotonic()
    wait_until(lambda: len(env.workers()) == count, f"{count} ranks", 60)
    started_s = time.monotonic() - begin
    left = lose(env, loss)
    wait_until(lambda: len(env.workers()) <= left, "the loss", 60)
    deadline = time.monotonic() + (45 if loss == "node" else WATCH_S)
    wait_until(lambda: not env.workers() or time.monotonic() > deadline, timeout_s=60)
    alive = len(env.workers())
    others = "go on" if alive == left else f"{left - alive} of {left} ended"
    env.hq("worker", "stop", "all")
    try:
        end = f"status {pool.wait(15)}"
    except AssertionError:
        end = "does not end"
        pool.send(signal.SIGTERM)
    flags = " ".join(w for w in command[1:] if w != "--allow-run-as-root")
    form = f"`{command[0]} {flags}`" + (", `--mpi-world`" if world else "")
    print(f"| {form} | {loss} | {others} | {end} | {started_s:.1f} s |", flush=True)


def run(make_env, rows, words):
    for name, command, world, count in rows:
        for loss in LOSSES:
            if loss == "node" and (name == "mpirun" or command[3] != "--ntasks-per-node=1"):
                continue
            text = " ".join([*command, loss, "world" if world else "isolated"])
            if not all(word in text for word in words):
                continue
            env = make_env()
            try:
                env.start_server()
                measure(env, command, world, count, loss)
            except AssertionError as failure:
                print(f"| `{' '.join(command)}` {'world' if world else ''} | {loss} | "
                      f"{str(failure).splitlines()[0]} | | |", flush=True)
            finally:
                if isinstance(env, SlurmEnv):
                    env.run("scancel", "--user", "root", code=None)
                    wait_until(lambda: env.run("squeue", "-h").stdout == "", timeout_s=60)
                    if loss == "node":
                        env.node("boot", "node3")
                        wait_until(lambda: env.run("sinfo", "-h", "-N", "-p", "main", "-t",
                                                   "idle", "-o", "%N").stdout.count("node")
                                   == 3, timeout_s=120)
                env.leave()
                env.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lab", type=Path, default=LAB)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    print("| started by | lost | the others | after `hq worker stop all` | registered |")
    print("|---|---|---|---|---|")
    run(Env, MPIRUN, options.words)
    state = tempfile.mkdtemp(prefix="hq-lab-")
    subprocess.run([options.lab / "up", "-n", "3", "-c", "2", "--set", "SlurmdTimeout=4",
                    "--set", "MessageTimeout=4", state], check=True,
                   stdout=subprocess.DEVNULL)
    try:
        class Lab:
            pass
        lab = Lab()
        lab.state = state
        run(lambda: SlurmEnv(lab), SRUN, options.words)
    finally:
        subprocess.run([options.lab / "down", state], check=False)


if __name__ == "__main__":
    main()
