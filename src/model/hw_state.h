/*
 * What a worker tells about the load of its node from time to time
 * (--overview-interval).
 */
#ifndef HQ_MODEL_HW_STATE_H
#define HQ_MODEL_HW_STATE_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/json.h"

#define HW_STATE_CPUS_MAX 65536u
#define HW_STATE_GPUS_MAX 1024u
#define HW_GPU_ID_MAX 63

struct hw_network {
    uint64_t bytes, packets, errors;
};

struct hw_gpu {
    char id[HW_GPU_ID_MAX + 1]; /* its place on the bus */
    uint32_t load, memory;      /* 1/100 percent: time it was busy, memory in use */
};

/* The GPUs of one maker. */
struct hw_gpus {
    bool known; /* false: there are none, or nobody could tell */
    struct hw_gpu *gpus;
    size_t n;
};

struct hw_state {
    uint64_t time_us;
    uint32_t *cpu_load; /* of each CPU since the last report, in 1/100 percent; owned */
    size_t n_cpus;
    uint64_t memory_total, memory_free; /* bytes; free: what programs could still get */
    struct hw_network received, sent;   /* of all interfaces but loopback, since boot */
    struct hw_gpus nvidia, amd;         /* owned */
};

/* *to becomes a copy. ERR_NOMEM leaves it empty. */
int hw_gpus_copy(struct hw_gpus *to, const struct hw_gpus *from) MUST_CHECK;
void hw_gpus_release(struct hw_gpus *g); /* leaves it empty: not known */

void hw_state_release(struct hw_state *s);
void hw_state_encode(const struct hw_state *s, struct buf *out);
/* The state ends where the cursor does. Bytes that end in front of the GPUs, as they
 * were written once, tell of none. */
int hw_state_decode(struct hw_state *s, struct cursor *c) MUST_CHECK;
/* One JSON object, as event streams show it. */
void hw_state_json(const struct hw_state *s, struct json *j);

#endif
