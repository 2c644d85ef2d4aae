#!/usr/bin/env bash
# A PBS allocation as a pool of hq workers, one MPI rank a node.
#
#   qsub -l select=4:ncpus=128 pbs-pool.sh                      server on the login node
#   qsub -l select=4:ncpus=128 -v HQ_POOL_RUN=./work.sh pbs-pool.sh    server in the job
#
# hq and hq-mpi-worker have to be on PATH on the nodes (HQ_POOL_PATH is put in front of
# it). Without HQ_POOL_RUN the server is found through HQ_SERVER_DIR (default:
# ~/.hq-server; pass it on with -v). With it, server directory and journal are kept in
# hq-<job id> in the directory of the submission, and the job ends when the command does.
#
#PBS -N hq-pool
#PBS -l walltime=01:00:00
#PBS -j oe
set -uo pipefail

cd -- "${PBS_O_WORKDIR:-.}" || exit 1
export PATH=${HQ_POOL_PATH:+$HQ_POOL_PATH:}$PATH

# One line a node, whatever the chunks look like.
hosts=$(mktemp) || exit 1
sort -u -- "$PBS_NODEFILE" >"$hosts"

# Open MPI. A rank that dies must not take the others along, and the worker pins its
# tasks itself. With MPICH: mpiexec --disable-auto-cleanup -bind-to none -ppn 1.
ranks=(mpirun --enable-recovery --bind-to none --hostfile "$hosts" --map-by ppr:1:node
    -x PATH -x HQ_SERVER_DIR hq-mpi-worker)

export HQ_SERVER_DIR=${HQ_SERVER_DIR:-$HOME/.hq-server}
if [[ -z ${HQ_POOL_RUN:-} ]]; then
    trap 'rm -f -- "$hosts"' EXIT
    "${ranks[@]}"
    exit
fi

HQ_SERVER_DIR=$PWD/hq-$PBS_JOBID
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
    rm -f -- "$hosts"
} 2>/dev/null
trap 'exit 143' TERM INT
trap leave EXIT

hq server wait --timeout 1m || exit 1
"${ranks[@]}" &
pool=$!

bash -c "$HQ_POOL_RUN" &
wait $!
