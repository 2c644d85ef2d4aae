/*
 * Resources: amounts, what a task requests, what a worker provides, and the grammars of
 * both. Plain data; where things are placed is decided by `sched` (totals, on the
 * server) and `topo/alloc.h` (indices and groups, on the worker).
 *
 * An amount is an unsigned count of 1/10000 units: one CPU is 10000.
 */
#ifndef HQ_MODEL_RESOURCE_H
#define HQ_MODEL_RESOURCE_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"

#define AMOUNT_ONE 10000ULL
#define AMOUNT_UNITS_MAX 4294967295ULL
#define REQUEST_VARIANTS_MAX 32
#define REQUEST_ENTRIES_MAX 64
#define RESOURCE_NAME_MAX 255
#define POOL_ITEMS_MAX (1u << 20) /* labels of one pool */
#define POOL_GROUPS_MAX 256u
#define POOL_LABEL_MAX 255
#define POOLS_MAX 255
#define COUPLINGS_MAX 4096u
#define NODES_MAX 1024u /* NUMA nodes, as Linux has them */
#define NODE_NONE UINT16_MAX

enum request_policy {
    POLICY_COMPACT,
    POLICY_FORCE_COMPACT, /* "compact!" */
    POLICY_TIGHT,
    POLICY_FORCE_TIGHT, /* "tight!" */
    POLICY_SCATTER,
    POLICY_ALL /* the whole pool; counts as amount 1 (0.0001) for the scheduler */
};

struct request_entry {
    char *name; /* owned */
    enum request_policy policy;
    uint64_t amount; /* 1 for POLICY_ALL */
};

struct request_variant {
    struct request_entry *entries; /* in the order given */
    size_t n_entries;
    uint32_t n_nodes;     /* > 0: gang of that many whole workers of one group */
    uint64_t min_time_ns; /* remaining worker life needed to start */
    uint64_t weight;      /* 1/10000; 10000 is 1.0 */
};

#define REQUEST_VARIANT_INIT      \
    {                             \
        NULL, 0, 0, 0, AMOUNT_ONE \
    }

/* All variants of a task, preferred ones first. */
struct request {
    struct request_variant *variants;
    size_t n_variants;
};

#define REQUEST_INIT \
    {                \
        NULL, 0      \
    }

void request_release(struct request *r);
int request_copy(struct request *to, const struct request *from) MUST_CHECK;
bool request_equal(const struct request *a, const struct request *b);
void request_encode(const struct request *r, struct buf *out);
int request_decode(struct request *r, struct cursor *c) MUST_CHECK;
/* One variant asking for one compact cpu, added whenever nothing is said. */
int request_default(struct request *r) MUST_CHECK;
/* Appends an entry; takes nothing. ERR_EXISTS with
 * "Resource '<name>' defined more than once". */
int request_variant_add(struct request_variant *v, const char *name,
                        enum request_policy policy, uint64_t amount,
                        struct error *err) MUST_CHECK;
void request_variant_release(struct request_variant *v);
/* Appends a variant; takes its contents on success. */
int request_add(struct request *r, struct request_variant *v,
                struct error *err) MUST_CHECK;
/* 1 to REQUEST_VARIANTS_MAX variants; a multi-node request has exactly one. */
int request_check(const struct request *r, struct error *err) MUST_CHECK;
const struct request_entry *request_variant_find(const struct request_variant *v,
                                                 const char *name);

/* "2.5" with '_' allowed; whole text. */
int amount_parse(const char *text, uint64_t *amount, struct error *err) MUST_CHECK;
void amount_print(uint64_t amount, struct buf *out); /* "2.5" */
/* Value of --cpus in a submit and of the request tables: "2 compact!", "all". */
int request_value_parse(const char *text, enum request_policy *policy, uint64_t *amount,
                        struct error *err) MUST_CHECK;
/* NAME=VALUE of --resource in a submit; *name is malloc'ed. */
int request_entry_parse(const char *text, char **name, enum request_policy *policy,
                        uint64_t *amount, struct error *err) MUST_CHECK;
void request_value_print(enum request_policy policy, uint64_t amount, struct buf *out);
const char *request_policy_json(enum request_policy policy); /* "ForceCompact", … */
/* Regex [A-Za-z][A-Za-z0-9/]* */
bool resource_name_valid(const char *name);

enum pool_kind { POOL_LIST, POOL_RANGE, POOL_GROUPS, POOL_SUM };

struct pool_group {
    char **labels; /* owned */
    size_t n;
};

/* One resource of a worker. */
struct pool {
    char *name; /* owned */
    enum pool_kind kind;
    struct pool_group *groups; /* LIST: one; GROUPS: two or more; RANGE, SUM: none */
    size_t n_groups;
    uint32_t range_first, range_last; /* RANGE, inclusive */
    uint64_t sum;                     /* SUM, amount */
    /* Where each index lies (groups one after the other): its NUMA node, or NODE_NONE.
     * Owned; NULL: unknown, or the machine has one node only. */
    uint16_t *nodes;
};

#define POOL_INIT                               \
    {                                           \
        NULL, POOL_LIST, NULL, 0, 0, 0, 0, NULL \
    }

/* "cpus[0]:gpus[1]=256"; indices refer to the pools sorted by name. */
struct coupling {
    uint8_t resource1, group1, resource2, group2;
    uint16_t weight;
};

struct pool_set {
    struct pool *pools; /* sorted by name once complete */
    size_t n_pools;
    struct coupling *couplings;
    size_t n_couplings;
};

#define POOL_SET_INIT    \
    {                    \
        NULL, 0, NULL, 0 \
    }

void pool_release(struct pool *p);
int pool_copy(struct pool *to, const struct pool *from) MUST_CHECK;
/* A further group; a further label at the end of the last group. Copies. */
int pool_add_group(struct pool *p) MUST_CHECK;
int pool_add_label(struct pool *p, const char *label, size_t len) MUST_CHECK;
/* Labels of a group; a range is its own only group; 0 for a sum. */
size_t pool_group_size(const struct pool *p, size_t group);
size_t pool_index_count(const struct pool *p); /* of all groups; 0 for a sum */
/* "gpu7" of `index`; `scratch` is for ranges. */
const char *pool_label(const struct pool *p, uint32_t index, char scratch[16]);
void pool_set_release(struct pool_set *s);
int pool_set_copy(struct pool_set *to, const struct pool_set *from) MUST_CHECK;
void pool_set_encode(const struct pool_set *s, struct buf *out);
int pool_set_decode(struct pool_set *s, struct cursor *c) MUST_CHECK;
const struct pool *pool_set_find(const struct pool_set *s, const char *name);
/*
 * The pool that serves a request for that name: the one of the name. GPUS_ANY, where no
 * pool is called so, is served by the largest pool of GPUs of some kind ("gpus/…").
 */
const struct pool *pool_set_serving(const struct pool_set *s, const char *name);
/* Whether GPUS_ANY in this variant may mean a kind: unless it asks for a kind as well.
 */
bool request_variant_any_gpus(const struct request_variant *v);
#define GPUS_ANY "gpus"
#define GPUS_KIND "gpus/"
/* Takes *p on success. ERR_EXISTS with "Resource <name> defined twice"; ERR_INVALID for
 * cpus given as a sum. */
int pool_set_add(struct pool_set *s, struct pool *p, struct error *err) MUST_CHECK;
/* Sorts by name and checks labels and sizes (messages of the reference, 2.2). */
int pool_set_finish(struct pool_set *s, struct error *err) MUST_CHECK;
/* Total amount of the pool; 10000 a label. */
uint64_t pool_size(const struct pool *p);

/* Value of `worker start --cpus`: INT | KIND. Name is "cpus". "0" and "sum(…)" parse as
 * a sum, which pool_set_add refuses. */
int pool_parse_cpus(const char *text, struct pool *p, struct error *err) MUST_CHECK;
/* NAME=KIND of `worker start --resource`. */
int pool_parse(const char *text, struct pool *p, struct error *err) MUST_CHECK;
/* --coupling; call after pool_set_finish. */
int coupling_parse(const char *text, struct pool_set *s, struct error *err) MUST_CHECK;
/* Ends exist, normal form, no pair twice. */
int coupling_check(const struct pool_set *s, struct error *err) MUST_CHECK;
/* "2x4", "62.57 GiB": summary of one pool; " [coupled]" appended when it is. */
void pool_print_summary(const struct pool_set *s, size_t index, struct buf *out);
/* "[[0,1],[2,3]]", "range(0-3)", "sum(5)". */
void pool_print_full(const struct pool *p, struct buf *out);

#endif
