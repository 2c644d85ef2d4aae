#!/usr/bin/env bash
# A Slurm allocation as a pool of hq workers, one MPI rank a node.
#
#   sbatch -N 4 slurm-pool.sh                  the server runs on the login node already
#   sbatch -N 4 slurm-pool.sh ./work.sh ARG    server in the job; ends when work.sh does
#
# hq and hq-mpi-worker have to be on PATH. The first form finds the server through
# HQ_SERVER_DIR (default: ~/.hq-server), which all nodes must see; the pool ends with the
# allocation, with `hq worker stop all` or with the server. The second form keeps its
# server directory and journal in hq-<job id> in the directory of the submission; in
# work.sh, `hq submit --wait` and all other commands find the server by themselves.
#
# More ranks on a node (--ntasks-per-node=N) divide its CPUs by NUMA domain.
#
#SBATCH --job-name=hq-pool
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=01:00:00
#SBATCH --no-kill
set -uo pipefail

# A rank or node that dies must not take the others along: no MPI start-up across ranks,
# no end of the step when one fails, no time limit after the first end. All CPUs of the
# node are the worker's, which pins its tasks itself.
ranks=(srun --mpi=none --kill-on-bad-exit=0 --no-kill --wait=0 --cpu-bind=none
    hq-mpi-worker)

if (($# == 0)); then
    exec "${ranks[@]}"
fi

export HQ_SERVER_DIR=$PWD/hq-$SLURM_JOB_ID
mkdir -p -- "$HQ_SERVER_DIR" || exit 1
hq server start --journal "$HQ_SERVER_DIR/journal" >"$HQ_SERVER_DIR/server.log" 2>&1 &
server=$!
pool=
leave() {
    # Ranks may register only now; those that never do hear of the end from their launcher.
    for ((i = 0; i < 50; i++)); do
        hq worker stop all
        kill -0 "$pool" || break
        sleep 0.2
    done
    [[ -z $pool ]] || { kill -TERM "$pool" && wait "$pool"; }
    hq server stop
    wait "$server"
} 2>/dev/null
# Slurm's TERM at the end of the time reaches this shell while it waits for work.sh.
trap 'exit 143' TERM INT
trap leave EXIT

hq server wait --timeout 1m || exit 1
"${ranks[@]}" &
pool=$!

"$@" &
wait $!
