/*
 * The past as encoded events, made up from the state of a server without a journal.
 * Step by step, since the state may be large and the loop must go on: what changes
 * meanwhile comes as live events, and the reader passes over what it hears twice.
 */
#ifndef HQ_SERVER_HISTORY_H
#define HQ_SERVER_HISTORY_H

#include "server/internal.h"

struct history {
    uint64_t begun_us;
    uint32_t n_workers, last_job; /* when it began; what came later is live */
    bool server_told;
    uint32_t worker, lost; /* the next ones; ids from 1 */
    uint32_t placement;    /* likewise */
    uint32_t n_placements; /* when it began */
    uint32_t job;          /* the next one, or the one at hand */
    bool job_told;
    size_t submit;
    uint32_t slot;
    /* job -> submits it had, where it got more of them since the beginning */
    struct u64map submits;
};

void history_begin(struct history *h, struct server *s);
void history_release(struct history *h);
/* Appends some events, each behind its length; false: that was all. */
bool history_step(struct history *h, struct server *s, struct buf *events);
/* A submit is about to be applied to the job: it will be a live event. */
void history_before_submit(struct history *h, const struct job *job);

/* The submit without what nobody is shown: environments, standard input, entries, and
 * of the commands all but about the first 2 KiB of that of the first group. Its
 * encoding goes to *out. */
void history_put_submit(const struct submit *s, struct buf *out);

#endif
