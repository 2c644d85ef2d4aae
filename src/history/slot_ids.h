/*
 * Ids of the tasks of a job by slot (order of submission), as runs: an array of a
 * million tasks is one of them.
 */
#ifndef HQ_HISTORY_SLOT_IDS_H
#define HQ_HISTORY_SLOT_IDS_H

#include "base/vec.h"
#include "model/spec.h"

struct slot_ids_run {
    uint32_t first_slot, count, first_id, step;
};

struct slot_ids {
    VEC(struct slot_ids_run) runs; /* ascending by slot */
    uint32_t n;                    /* slots */
    size_t last;                   /* run of the last look-up */
};

void slot_ids_release(struct slot_ids *s);
/* The tasks of a submit behind those that are there. ERR_CORRUPT: too many for one job.
 * ERR_NOMEM leaves a part of them. */
int slot_ids_add(struct slot_ids *s, const struct submit *submit) MUST_CHECK;
uint32_t slot_ids_at(struct slot_ids *s, uint32_t slot); /* slot < n */

#endif
