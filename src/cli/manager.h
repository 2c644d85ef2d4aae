/*
 * The batch system that this process runs under, from its variables (reference of
 * server and workers, 4.3). The remaining time is asked from scontrol or qstat; failing
 * to get it is a warning.
 */
#ifndef HQ_CLI_MANAGER_H
#define HQ_CLI_MANAGER_H

#include "base/error.h"
#include "base/util.h"
#include "model/worker.h"

struct manager_info {
    enum batch_manager manager;
    char job[256];         /* allocation id, "" without a manager */
    uint64_t remaining_ns; /* 0: unknown */
};

/* `option`: "detect", "none", "pbs" or "slurm"; the last two fail when not recognised:
 * "The process is not running under PBS". */
int manager_detect(const char *option, struct manager_info *out,
                   struct error *err) MUST_CHECK;

/* "[D-][[HH:]MM:]SS" of Slurm; false when malformed. */
bool manager_parse_slurm_time(const char *text, size_t n, uint64_t *seconds);

#endif
