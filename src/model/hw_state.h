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

struct hw_network {
    uint64_t bytes, packets, errors;
};

struct hw_state {
    uint64_t time_us;
    uint32_t *cpu_load; /* of each CPU since the last report, in 1/100 percent; owned */
    size_t n_cpus;
    uint64_t memory_total, memory_free; /* bytes; free: what programs could still get */
    struct hw_network received, sent;   /* of all interfaces but loopback, since boot */
};

void hw_state_release(struct hw_state *s);
void hw_state_encode(const struct hw_state *s, struct buf *out);
int hw_state_decode(struct hw_state *s, struct cursor *c) MUST_CHECK;
/* One JSON object, as event streams show it. */
void hw_state_json(const struct hw_state *s, struct json *j);

#endif
