/* hq task explain: the server's answer, for its printers. */
#ifndef HQ_CLI_TASK_EXPLAIN_H
#define HQ_CLI_TASK_EXPLAIN_H

#include "base/idset.h"
#include "cli/session.h"
#include "sched/sched.h"

/* What a worker must offer, and what it does; holds or not. */
enum item_kind { ITEM_TIME, ITEM_NODES, ITEM_RESOURCE, ITEM_KIND_COUNT };

struct item {
    enum item_kind kind;
    uint64_t wanted, offered;
    bool known; /* ITEM_TIME: `offered` is known */
    char *name; /* ITEM_RESOURCE */
};

struct variant {
    struct item *items;
    size_t n;
};

/* What holds a waiting task back on a worker now; struct sched_hold. */
struct hold {
    enum sched_hold_kind kind;
    uint8_t variant;
    char *text; /* name of the resource, or the worker's reason */
    uint64_t need, have, total;
    uint64_t left_us; /* until the gang for which it is kept starts; 0: unknown */
    uint32_t job, task;
    int32_t priority;
};

struct candidate {
    uint32_t worker;
    struct variant *variants;
    size_t n;
    struct hold *holds;
    size_t n_holds;
};

enum task_position { AT_NOWHERE, AT_QUEUE, AT_WORKER, AT_RUNNING };

struct explanation {
    uint32_t job, task, n_needs, n_unfinished;
    struct candidate *workers;
    size_t n_workers;
    struct idset needs; /* the first unfinished ones */
    enum task_position at;
    uint32_t sent_to;
    uint64_t n_before, n_above;
    int32_t priority;
};

int explanation_read(struct span body, struct explanation *e,
                     struct error *err) MUST_CHECK;
void explanation_release(struct explanation *e);

bool item_blocks(const struct item *i);
bool variant_runs(const struct variant *v);
/* Variants that the worker could run when it is empty. */
size_t count_running(const struct candidate *w);

/* What holds the task back, and what would help. */
void why_print(struct output *o, const struct explanation *e);
void why_json(struct json *j, const struct explanation *e);
void why_json_worker(struct json *j, const struct candidate *w);

#endif
