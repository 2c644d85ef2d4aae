/* Common to the verbs of `hq log`: finding the log, choosing runs, telling damage. */
#ifndef HQ_CLI_LOG_OPEN_H
#define HQ_CLI_LOG_OPEN_H

#include "base/idset.h"
#include "cli/args.h"
#include "outlog/reader.h"

struct log_source {
    struct outlog_reader *reader;
    const char *shown; /* the path as typed */
    bool has_job;      /* LOG named a job: verbs without one of their own mean this */
    uint32_t job;
    uint64_t n_damages, damaged_bytes;
};

/* Opens what the positional LOG names: a path, else a job known to the server. */
int log_source_open(struct log_source *s, const struct run *r,
                    struct error *err) MUST_CHECK;
/* Warns about damage that was not told one by one. */
void log_source_release(struct log_source *s);

/* Which runs a verb works on. */
struct log_choice {
    bool any_job;
    uint32_t job;
    bool has_tasks;
    struct idset tasks; /* in the order given */
    bool all_instances; /* else the newest of each task */
    bool must_exist;    /* "Job N not found", "Task N not found" */
};
/* Reads --task, the job (positional JOB, option --job, or the source's) and
 * --all-instances, as far as the command has them. */
int log_choice_read(struct log_choice *c, const struct log_source *s,
                    const struct run *r, struct error *err) MUST_CHECK;
void log_choice_release(struct log_choice *c);

/* Calls fn for each chosen run, in the order of jobs and of --task. fn returns 0, or an
 * error that ends the walk. */
typedef int (*log_run_fn)(void *arg, const struct outlog_run *run, struct error *err);
int log_walk(const struct log_source *s, const struct log_choice *c, log_run_fn fn,
             void *arg, struct error *err) MUST_CHECK;

#endif
