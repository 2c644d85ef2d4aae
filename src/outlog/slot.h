/* State slots: what the sealer says about the index and the whole log. */
#ifndef HQ_OUTLOG_SLOT_H
#define HQ_OUTLOG_SLOT_H

#include "outlog/index.h"

struct outlog_counts {
    uint64_t n_jobs, n_tasks, n_instances, n_blocks;
    uint64_t n_unfinished; /* tasks whose newest instance has no end record */
    uint64_t bytes[OUTLOG_N_CHANNELS];            /* newest instances */
    uint64_t superseded_bytes[OUTLOG_N_CHANNELS]; /* all others */
    uint32_t max_job, max_task;
};

struct outlog_slot {
    uint64_t generation;
    uint64_t sealed_us;
    uint64_t covered_end; /* extents that begin below are in the index */
    uint64_t index_extent;
    uint64_t leaves, leaves_bytes;
    uint64_t root; /* 0: no blocks */
    uint32_t root_bytes, levels;
    uint64_t jobs, jobs_bytes; /* job table */
    uint64_t damaged_bytes;
    struct outlog_counts counts;
};
void outlog_slot_encode(const struct outlog_slot *s, uint64_t seed, uint64_t offset,
                        uint8_t out[OUTLOG_SLOT_BYTES]);
bool outlog_slot_decode(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset,
                        struct outlog_slot *s);

/* One row of the job table. */
#define OUTLOG_JOB_ROW_BYTES 64u
struct outlog_job_row {
    uint32_t job;
    uint32_t n_states[OUTLOG_STATE_COUNT]; /* tasks by the state of their newest run */
    uint32_t n_instances;
    uint64_t n_blocks;
    uint64_t bytes[OUTLOG_N_CHANNELS]; /* newest instances */
};
void outlog_job_row_encode(const struct outlog_job_row *j,
                           uint8_t out[OUTLOG_JOB_ROW_BYTES]);
/* Next row of a page of the job table; false at the end, or when it is malformed. */
bool page_next_job(struct page_cursor *pc, struct outlog_job_row *j);

#endif
