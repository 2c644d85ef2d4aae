"""A batch system made of shell scripts, for tests of automatic allocation.

sbatch numbers jobs from 101 on; what it and the others do is said by files in
`batch/`: `sbatch.sh`, `scancel.sh` and `scontrol.sh`, if they exist, run instead of the
ordinary answer; `state.<id>` is the state of a job. Every call is in `batch/calls`. With
`runs` the script of a job is started at once.
"""

FAST = {"HQ_AUTOALLOC_SCHEDULE_TICK_INTERVAL_MS": 50,
        "HQ_AUTOALLOC_MAX_SCHEDULE_DELAY_MS": 200,
        "HQ_AUTOALLOC_REFRESH_INTERVAL_MS": 100,
        "HQ_AUTOALLOC_MAX_ALLOCATION_FAILS": 1000}

SBATCH = """
exec 9>>$B/lock; flock 9
n=$(( $(cat $B/count 2>/dev/null || echo 100) + 1 )); echo $n >$B/count
flock -u 9; exec 9>&-
cp "$1" $B/script.$n
if test -e $B/runs; then
  echo RUNNING >$B/state.$n
  SLURM_JOB_ID=$n setsid bash "$1" >>$B/out.$n 2>&1 </dev/null &
fi
echo "Submitted batch job $n"
"""

SCONTROL = """
s=$(cat $B/state.$3 2>/dev/null || echo PENDING)
echo "JobId=$3 JobState=$s StartTime=2030-01-02T03:04:05 EndTime=2030-01-02T04:04:05"
"""

# One task a node, all here.
SRUN = """
while case $1 in --nodes=*) n=${1#--nodes=}; true;; --*) true;; *) false;; esac; do shift; done
for i in $(seq $n); do SLURM_PROCID=$i "$@" & done; wait
"""


class Batch:
    def __init__(self, env):
        self.env = env
        self.dir = env.work / "batch"
        for name, body in (("sbatch", SBATCH), ("scontrol", SCONTROL), ("srun", SRUN),
                           ("scancel", "true\n")):
            env.script(f"batch/bin/{name}", f"B={self.dir}\n"
                       f'echo "{name} $*" >>$B/calls\n'
                       f"test -e $B/{name}.sh && . $B/{name}.sh\n{body}")
        env.vars["PATH"] = f"{self.dir}/bin:{env.vars['PATH']}"
        env.vars.update({k: str(v) for k, v in FAST.items()})

    def does(self, program, body):
        """From now on the program does this; None: the ordinary."""
        path = self.dir / f"{program}.sh"
        if body is None:
            path.unlink()
        else:
            new = path.with_suffix(".new")
            new.write_text(body + "\n")
            new.rename(path)

    def runs(self):
        (self.dir / "runs").touch()

    def state(self, job, state):
        (self.dir / f"state.{job}").write_text(state + "\n")

    def script(self, job):
        return (self.dir / f"script.{job}").read_text()

    def calls(self, program):
        path = self.dir / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split(" ", 1)[1] for line in lines
                if line.split(" ", 1)[0] == program]
