#!/usr/bin/env bash
# Builds hq and shows it at work: a server, MPI ranks as workers, a workflow, one log.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
packages=(build-essential cmake ninja-build pkg-config libopenmpi-dev openmpi-bin
    libhwloc-dev libyaml-dev libsodium-dev libcunit1-dev libuv1-dev libjansson-dev
    libzstd-dev libxxhash-dev uthash-dev libncurses-dev)

usage() {
    cat <<'USAGE'
usage: examples/quickstart.sh [--ranks N] [--keep]

Installs missing Debian packages (as root or through sudo), builds hq into
build/release, then in a scratch directory: starts a server and N ranks (default 2),
runs examples/ising and reads its log. Everything it started is stopped at the end.

  --ranks N   number of MPI ranks
  --keep      keep the scratch directory with the results
USAGE
}

ranks=2 keep=
while (($#)); do
    case $1 in
    --ranks) ranks=${2:?--ranks wants a number} && shift 2 ;;
    --keep) keep=1 && shift ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done
[[ $ranks =~ ^[1-9][0-9]*$ ]] || { usage >&2 && exit 2; }

bold='' dim='' green='' red='' plain=''
if [[ -t 1 ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi
step() { printf '\n%s==> %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s    %s%s\n' "$dim" "$*" "$plain"; }
fail() {
    printf '%sfailed: %s%s\n' "$red" "$1" "$plain" >&2
    [[ -z ${2:-} || ! -s $2 ]] || tail -n 25 -- "$2" >&2
    exit 1
}
# Shows a command the way one would type it, then runs it.
show() {
    printf '\n%s$ %s%s\n' "$green" "$*" "$plain"
    bash -o pipefail -c "$*"
}

# The bar is redrawn in place; where there is no terminal, some of its states do.
progress() {
    if [[ -t 1 ]]; then
        cat
    else
        tr '\r' '\n' | sed 's/^.\[2K//' | awk 'NR < 3 || NR % 20 == 0 || /1\/1 jobs/'
    fi
}

# ---- what was started is stopped, whatever happens ----

scratch='' server='' pool=''

ended() { # PID SECONDS: true once the process is gone
    local tries=$(($2 * 20))
    while kill -0 "$1" 2>/dev/null; do
        ((tries-- > 0)) || return 1
        sleep 0.05
    done
}

stop() { # PID SECONDS...: ask, then insist
    [[ -n $1 ]] || return 0
    ended "$1" "$2" || kill -TERM "$1" 2>/dev/null || true
    ended "$1" 10 || kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# shellcheck disable=SC2317
leave() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    if [[ -n $server ]]; then
        step 'Stopping the ranks and the server'
        hq worker stop all >/dev/null 2>&1 || true
        stop "$pool" 5
        hq server stop >/dev/null 2>&1 || true
        stop "$server" 5
        note 'all stopped'
    fi
    if [[ -n $scratch ]]; then
        if [[ -n $keep ]]; then note "results: $scratch"; else rm -rf -- "$scratch"; fi
    fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- packages ----

missing=()
if command -v dpkg-query >/dev/null; then
    for package in "${packages[@]}"; do
        [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] ||
            missing+=("$package")
    done
else
    note "not a Debian system; what is needed there is called: ${packages[*]}"
fi
if ((${#missing[@]})); then
    step "Installing ${#missing[@]} packages: ${missing[*]}"
    as_root=()
    if ((EUID != 0)); then
        if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
            as_root=(sudo)
        else
            printf 'These packages are missing. Ask for:\n\n  apt-get install %s\n' \
                "${missing[*]}" >&2
            exit 1
        fi
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi

# ---- build ----

step 'Building hq and hq-mpi-worker (build/release)'
mkdir -p "$root/build"
build_log=$root/build/quickstart.log
began=$SECONDS
(
    cd "$root"
    cmake --preset release
    cmake --build --preset release --target hq hq-mpi-worker
) </dev/null >"$build_log" 2>&1 || fail 'the build' "$build_log"
note "done in $((SECONDS - began)) s"
export PATH=$root/build/release/src:$PATH
hq --version

# ---- server and ranks ----

scratch=$(mktemp -d "${TMPDIR:-/tmp}/hq-quickstart.XXXXXX")
export HQ_SERVER_DIR=$scratch/server
cp -R "$root/examples/ising" "$scratch/ising"
cd "$scratch/ising"
make -s clean

step 'Starting a server'
note "hq server start --host 127.0.0.1 --journal journal     (HQ_SERVER_DIR=$HQ_SERVER_DIR)"
# In sessions of their own, so that Ctrl-C reaches this script alone.
setsid hq server start --host 127.0.0.1 --journal "$scratch/journal" \
    >"$scratch/server.log" 2>&1 </dev/null &
server=$!
hq server wait --timeout 20s >/dev/null 2>&1 || fail 'the server' "$scratch/server.log"

step "Starting $ranks MPI ranks as workers"
mpirun=(mpirun -n "$ranks" --enable-recovery --bind-to none --oversubscribe)
((EUID != 0)) || mpirun+=(--allow-run-as-root)
note "${mpirun[*]} hq-mpi-worker"
setsid "${mpirun[@]}" hq-mpi-worker >"$scratch/ranks.log" 2>&1 </dev/null &
pool=$!
hq worker wait "$ranks" &
waiting=$!
while kill -0 "$waiting" 2>/dev/null; do
    kill -0 "$pool" 2>/dev/null || {
        kill "$waiting" 2>/dev/null || true
        fail 'mpirun' "$scratch/ranks.log"
    }
    sleep 0.1
done
hq worker list

# ---- work ----

step 'Running a workflow of 178 tasks: the two-dimensional Ising model'
began=$SECONDS
show 'hq submit -f flow.yml --progress' | progress
job=1
[[ $(hq --output-mode quiet job list --all) == "$job FINISHED" ]] || {
    hq job info "$job" >&2
    fail 'the job' "$scratch/ranks.log"
}
note "done in $((SECONDS - began)) s; the output of all tasks is in one file, ising.hqlog"

step 'The result, as the last task printed it'
show "hq log ising.hqlog cat $job stdout --task 177"

step 'More from the same log'
show 'hq log ising.hqlog summary'
show 'hq log ising.hqlog list | sed -n 1,6p'
show 'hq log ising.hqlog show --task 1-3'
show "hq log ising.hqlog cat $job stdout --task 1-176 | sort -n -k 5 | sed -n 1,3p"

step 'And what the server knows about it'
show "hq job info $job | sed -n 1,20p"
