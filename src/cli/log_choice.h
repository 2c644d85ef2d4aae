/* Which runs and blocks of a log a verb works on, and the walk over them. */
#ifndef HQ_CLI_LOG_CHOICE_H
#define HQ_CLI_LOG_CHOICE_H

#include "base/idset.h"
#include "cli/log_open.h"

struct log_choice {
    bool any_job;
    struct idset jobs; /* unless any_job, in the order given */
    bool has_tasks;
    struct idset tasks; /* in the order given */
    int channel;        /* enum outlog_channel, -1: both */
    unsigned states;    /* bits by enum outlog_state; 0: all */
    bool by_origin;     /* one of the three below is given */
    struct args_list hosts;
    bool has_ranks, has_workers;
    struct idset ranks, workers;
    uint64_t since_us, until_us; /* output written in [since, until) */
    bool all_instances;          /* else the newest of each task */
    bool must_exist;             /* "Job N not found", "Task N not found" */
};

/* Reads those options of a choice that the command has, and the job (positional JOB,
 * option --job, or the source's). */
int log_choice_read(struct log_choice *c, const struct log_source *s,
                    const struct run *r, struct error *err) MUST_CHECK;
void log_choice_release(struct log_choice *c);

/* Tasks were chosen, but no job: when the log holds one job alone, it is meant. */
int log_choice_settle_job(struct log_choice *c, const struct log_source *s,
                          struct error *err) MUST_CHECK;

/* Whether the run passes what only a whole run can tell: state, writer, time. */
bool log_choice_has_run(const struct log_choice *c, struct outlog_reader *r,
                        const struct outlog_run *run);
/* Whether has_run could refuse any. */
bool log_choice_by_run(const struct log_choice *c);
/* Whether the block is of a chosen job, task and writer. */
bool log_choice_has_task(const struct log_choice *c, struct outlog_reader *r,
                         const struct outlog_ref *ref);
/* Whether job and task are chosen: slow for long lists of ids, not needed in walks. */
bool log_choice_has_id(const struct log_choice *c, const struct outlog_key *k);
/* Whether the block is output of a chosen channel and time. */
bool log_choice_has_block(const struct log_choice *c, const struct outlog_entry *e);

const char *log_state_word(bool finished, enum outlog_state state);

/* Calls fn for each chosen run, in the order of jobs and of tasks as given. fn returns
 * 0, or an error that ends the walk. */
typedef int (*log_run_fn)(void *arg, const struct outlog_run *run, struct error *err);
int log_walk(const struct log_source *s, const struct log_choice *c, log_run_fn fn,
             void *arg, struct error *err) MUST_CHECK;

#endif
