/*
 * struct output_cap: how much of a run's output is kept. The first bytes go into the
 * log; what is above the limit is read away and counted, and its last part is
 * remembered when that is wanted. Loop thread.
 */
#ifndef HQ_OUTLOG_CAP_H
#define HQ_OUTLOG_CAP_H

#include "outlog/format.h"

/* Of the end of each channel, at most; a quarter of small limits. */
#define CAP_TAIL_BYTES (64u << 10)
#define CAP_NOTICE_BYTES 160u

struct cap_tail {
    uint8_t *mem; /* ring, made with the first byte left out */
    size_t at, n;
};

struct output_cap {
    uint64_t limit; /* as it was given, for the notice; 0: none */
    uint64_t head;  /* kept from the beginning, both channels together */
    size_t tail;    /* remembered of the end of each channel */
    bool of_job;    /* the limit is that of the job */
    uint64_t dropped[OUTLOG_N_CHANNELS];
    struct cap_tail tails[OUTLOG_N_CHANNELS];
};

/* limit 0: everything is kept. */
void cap_init(struct output_cap *c, uint64_t limit, bool keep_tail);
void cap_release(struct output_cap *c);
/* Nothing more is kept than the `used` bytes that are: the job is at its limit. */
void cap_job_full(struct output_cap *c, uint64_t used, uint64_t limit);
/* How much more may be kept after `used` bytes. */
uint64_t cap_room(const struct output_cap *c, uint64_t used);
/* Takes bytes that are left out. */
void cap_drop(struct output_cap *c, enum outlog_channel channel, const uint8_t *p,
              size_t n);
bool cap_was_hit(const struct output_cap *c);
/* Size of the notice with the remembered end behind it, at most CAP_NOTICE_BYTES +
 * CAP_TAIL_BYTES; 0: nothing of this channel was left out. */
size_t cap_rest(const struct output_cap *c, enum outlog_channel channel);
/* Writes those bytes. */
void cap_put_rest(const struct output_cap *c, enum outlog_channel channel, uint8_t *to);

#endif
