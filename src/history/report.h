/*
 * struct report: what `hq journal report` shows, gathered from what events tell, in
 * memory that depends on what runs at a time and not on how much ran.
 */
#ifndef HQ_HISTORY_REPORT_H
#define HQ_HISTORY_REPORT_H

#include "base/error.h"
#include "history/spread.h"
#include "history/timeline.h"
#include "history/told.h"

/* Kinds of workers, and kinds of requests, beyond that many are one. */
#define REPORT_KINDS_MAX 24u
#define REPORT_REQUESTS_MAX 1000u

/* What a variant of a request takes. */
struct report_use {
    size_t resource;
    uint64_t amount; /* 1/10000 units */
    bool all;        /* the whole pool of the worker */
};

/* Tasks that ask for the same. */
struct report_request {
    char *label;
    VEC(struct report_use) uses;
    VEC(size_t) variants; /* where the uses of each end */
    bool gang;            /* whole workers */
    uint64_t finished, failed, canceled, aborted;
    struct spread *spread; /* of finished and failed tasks that ran; NULL: none */
};

/* Workers that offer the same. */
struct report_kind {
    char *label;
    size_t series; /* how many run */
};

struct report_resource {
    char *name;
    size_t offered, used; /* series, in units */
};

struct report; /* opaque in its bookkeeping */

struct report_view {
    const char *server_uid;
    uint64_t started_us;        /* the first event */
    uint64_t from_us, until_us; /* of the window, since then; until_us 0: the end */
    uint64_t last_us;           /* the last event, since the first */
    uint64_t n_workers, n_jobs, n_starts;
    const struct timeline *timeline; /* begins with the window */
    size_t queued, running_tasks;    /* series: workers asked for; tasks */
    bool any_queued;
    const struct report_request *requests;
    size_t n_requests;
    const struct report_kind *kinds;
    size_t n_kinds;
    const struct report_resource *resources;
    size_t n_resources;
};

/* until_us 0: no end. NULL: out of memory. */
struct report *report_create(uint64_t from_us, uint64_t until_us);
void report_destroy(struct report *r);
/* A told_fn. ERR_INVALID: the journal does not start with the start of a server. */
int report_take(void *report, const struct told *t);
/* ERR_INVALID: "Empty journal", or what report_take refused. */
int report_view(struct report *r, struct report_view *view,
                struct error *err) MUST_CHECK;

/* The page; ERR_NOMEM. */
int report_page(const struct report_view *view, struct buf *out,
                struct error *err) MUST_CHECK;

#endif
