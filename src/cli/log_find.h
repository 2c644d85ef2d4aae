/*
 * Tasks whose output holds a fixed text: a look at all blocks as they lie in the files,
 * by several threads. Lines of runs that are one block are kept, so that these need
 * not be read again.
 */
#ifndef HQ_CLI_LOG_FIND_H
#define HQ_CLI_LOG_FIND_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/parallel.h"
#include "base/u64map.h"
#include "cli/log_choice.h"
#include "cli/log_match.h"

/* Lines found in a run that is one block. */
struct log_hit {
    struct outlog_entry e;
    size_t at, n; /* in the part's lines, each with a line feed; n 0: only counted */
    uint64_t n_lines;
};

struct find_part;

struct log_find {
    struct log_source *s;
    const struct log_choice *choice;
    const struct log_match *match; /* fixed text, not inverted */
    bool keep_lines;               /* else they are counted */
    struct find_part *parts;
    size_t n_parts;
    struct u64map found;   /* (job, task) to part << 32 | 1 + index of its hit, or 0 */
    pthread_mutex_t lock;  /* over the damage of s and the next one */
    bool forgetful;        /* no memory for it */
    atomic_bool pointless; /* most of the output would have to be read again */
};

/* All borrowed. */
void log_find_init(struct log_find *f, struct log_source *s, const struct log_choice *c,
                   const struct log_match *m, bool keep_lines);
void log_find_release(struct log_find *f);
/* The tasks as job << 32 | task, ascending; malloc'd. Some of them may turn out not to
 * hold the text. *keys is NULL when the text is nearly everywhere: walk over all. */
int log_find_tasks(struct log_find *f, uint64_t **keys, size_t *n,
                   struct error *err) MUST_CHECK;
/* Names what was kept of this run; 0: nothing. */
uint64_t log_find_hit(const struct log_find *f, const struct outlog_run *run);
const struct log_hit *log_find_lines(const struct log_find *f, uint64_t hit,
                                     const uint8_t **lines);
/* Walks over such tasks, as far as they are chosen. */
int log_find_walk(const struct log_find *f, const uint64_t *keys, size_t n,
                  log_run_fn fn, void *arg, struct error *err) MUST_CHECK;

#endif
