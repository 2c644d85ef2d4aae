/*
 * Packed lists inside messages. Readers return false at the end of the span or on
 * malformed bytes (then cursor.failed is set).
 */
#ifndef HQ_WIRE_LISTS_H
#define HQ_WIRE_LISTS_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/idset.h"

/* Consecutive slots of one group, sent to a worker. */
struct assigned_run {
    uint32_t job, group;
    uint32_t slot, count;
    int32_t priority;
    uint32_t instance; /* of every task of the run */
    bool entries;      /* `entry` of each task follows the run: varint length + bytes */
};
void assigned_run_put(struct buf *out, const struct assigned_run *r);
/* When r->entries, the caller then takes r->count spans with cursor_bytes. */
bool assigned_run_get(struct cursor *c, struct assigned_run *r);

/* Slots of one job (retracted, rejected). */
struct slot_run {
    uint32_t job, slot, count;
};
void slot_run_put(struct buf *out, const struct slot_run *r);
bool slot_run_get(struct cursor *c, struct slot_run *r);

/* Slots of a job that the message names (cancel, events). */
struct slot_range {
    uint32_t slot, count;
};
void slot_range_put(struct buf *out, const struct slot_range *r);
bool slot_range_get(struct cursor *c, struct slot_range *r);

/* A task that a reconnecting worker holds. */
struct held_task {
    uint32_t job, slot, instance;
    uint8_t variant;
    bool running;       /* else queued */
    uint32_t placement; /* its number in this connection; 0: unknown */
    uint64_t start_us;
};
void held_task_put(struct buf *out, const struct held_task *t);
bool held_task_get(struct cursor *c, struct held_task *t);

/* Which jobs or workers a request is about. */
enum selector_kind { SELECT_IDS, SELECT_ALL, SELECT_LAST };
struct selector {
    enum selector_kind kind;
    struct idset ids; /* SELECT_IDS */
};
void selector_put(struct buf *out, const struct selector *s);
int selector_get(struct span span, struct selector *s) MUST_CHECK;
void selector_release(struct selector *s);

/* Outcome for one object of a request. */
enum op_outcome {
    OP_DONE,
    OP_NOT_FOUND,
    OP_NOTHING, /* already closed, finished or stopped */
    OP_IGNORED, /* in a state that the request does not apply to */
    OP_FAILED   /* `message` tells why */
};
struct op_result {
    uint32_t id;
    uint8_t outcome; /* enum op_outcome */
    uint32_t a, b;   /* cancel: tasks cancelled, tasks that had ended before */
    struct span message;
};
void op_result_put(struct buf *out, const struct op_result *r);
bool op_result_get(struct cursor *c, struct op_result *r);

#endif
