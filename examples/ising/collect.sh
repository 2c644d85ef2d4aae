#!/bin/sh
# collect.sh LOG: reads what the sweep tasks of this job printed from the shared log,
# averages it and locates the critical temperature. Runs as a task of the same job, so
# its own stream is still open while it reads.
set -eu

"$HQ" log "$1" cat "$HQ_JOB_ID" stdout --allow-unfinished | ./locate ising.dat

if command -v gnuplot >/dev/null; then
    gnuplot plot.gp
    echo "plot                  ising.svg"
fi
