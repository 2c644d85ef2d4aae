/* `--follow` of `hq log`: what tasks print from now on. */
#ifndef HQ_CLI_LOG_FOLLOW_H
#define HQ_CLI_LOG_FOLLOW_H

#include "base/u64map.h"
#include "cli/log_choice.h"

struct log_follow {
    const struct run *run;
    struct log_source *s;
    const struct log_choice *choice;
    bool until_finished;
    struct outlog_follow *follow;
    int inotify;
    /* (job, task) to 2 * its newest instance, + 1 when that has ended */
    struct u64map tasks;
    uint64_t n_unfinished; /* of them */
};

/* Before the first walk over the log, so that no block is missed or taken twice. */
int log_follow_begin(struct log_follow *f, const struct run *run, struct log_source *s,
                     const struct log_choice *c, struct error *err) MUST_CHECK;
/*
 * Gives each chosen block of output to fn as it comes, and each end of a task (n == 0).
 * Returns when all chosen tasks have ended and --until-finished is given.
 */
typedef int (*log_block_fn)(void *arg, const struct outlog_entry *e,
                            const uint8_t *data, size_t n, struct error *err);
int log_follow_run(struct log_follow *f, log_block_fn fn, void *arg,
                   struct error *err) MUST_CHECK;
void log_follow_release(struct log_follow *f);

#endif
