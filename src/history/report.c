#include "history/report.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/duration.h"
#include "base/u64map.h"

/* Consecutive slots of a job that ask for the same. */
struct slot_kind {
    uint32_t slot, count;
    size_t request;
};

struct job_kinds {
    VEC(struct slot_kind) slots;
    size_t last;
};

/* What a running worker offers. */
struct offer {
    size_t kind;
    VEC(struct report_use) pools; /* amounts; `all` unused */
};

/* A running task. */
struct run {
    uint32_t worker;
    uint8_t variant;
    size_t request;
    VEC(uint32_t) nodes; /* of a gang */
};

struct allocation {
    char *id;
    uint32_t workers;
    bool waiting;
};

struct report {
    uint64_t from_us, until_us;
    bool begun, wrong;
    int sys; /* ERR_NOMEM once it happened */
    char *server_uid;
    uint64_t first_us, newest_us;
    uint64_t n_workers, n_jobs, n_starts;
    bool any_queued;
    struct timeline timeline;
    size_t queued, running_tasks;
    VEC(struct report_request) requests;
    VEC(struct report_kind) kinds;
    VEC(struct report_resource) resources;
    VEC(struct allocation) allocations;
    struct u64map jobs;    /* id -> struct job_kinds * */
    struct u64map workers; /* id -> struct offer * */
    struct u64map runs;    /* job << 32 | slot -> struct run * */
};

#define PTR(value) ((void *)(uintptr_t)(value))
#define KEEP(r, ok)               \
    do {                          \
        if (!(ok))                \
            (r)->sys = ERR_NOMEM; \
    } while (0)

static uint64_t run_key(uint32_t job, uint32_t slot)
{
    return (uint64_t)job << 32 | slot;
}

/* ---- time ------------------------------------------------------------------------ */

/* What happened before the window is as if at its beginning; behind it nothing counts.
 */
static void change(struct report *r, size_t series, uint64_t at_us, double by)
{
    uint64_t since = at_us > r->first_us ? at_us - r->first_us : 0;
    if (r->until_us && since > r->until_us)
        return;
    since = since > r->from_us ? since - r->from_us : 0;
    timeline_change(&r->timeline, series, since, by);
}

static bool in_window(const struct report *r, uint64_t at_us)
{
    uint64_t since = at_us > r->first_us ? at_us - r->first_us : 0;
    return since >= r->from_us && (!r->until_us || since <= r->until_us);
}

/* ---- resources and kinds --------------------------------------------------------- */

static size_t resource_of(struct report *r, const char *name)
{
    for (size_t i = 0; i < r->resources.len; i++)
        if (strcmp(r->resources.data[i].name, name) == 0)
            return i;
    struct report_resource made = {.offered = timeline_add(&r->timeline),
                                   .used = timeline_add(&r->timeline),
                                   .name = strdup(name)};
    if (made.offered == SIZE_MAX || made.used == SIZE_MAX || !made.name ||
        !vec_push(&r->resources, made)) {
        free(made.name);
        r->sys = ERR_NOMEM;
        return SIZE_MAX;
    }
    return r->resources.len - 1;
}

static char *describe_pools(const struct pool_set *pools)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < pools->n_pools; i++) {
        buf_printf(&text, "%s%s ", i ? ", " : "", pools->pools[i].name);
        pool_print_summary(pools, i, &text);
    }
    if (pools->n_pools == 0)
        buf_puts(&text, "nothing");
    return buf_steal(&text);
}

static size_t kind_of(struct report *r, const struct pool_set *pools)
{
    char *label = describe_pools(pools);
    if (r->kinds.len == REPORT_KINDS_MAX - 1) {
        free(label);
        label = strdup("others");
    }
    for (size_t i = 0; label && i < r->kinds.len; i++)
        if (strcmp(r->kinds.data[i].label, label) == 0 || (i == REPORT_KINDS_MAX - 1)) {
            free(label);
            return i;
        }
    struct report_kind made = {.label = label, .series = timeline_add(&r->timeline)};
    if (!label || made.series == SIZE_MAX || !vec_push(&r->kinds, made)) {
        free(label);
        r->sys = ERR_NOMEM;
        return SIZE_MAX;
    }
    return r->kinds.len - 1;
}

static void describe_variant(const struct request_variant *v, struct buf *out)
{
    if (v->n_nodes)
        buf_printf(out, "%u node%s", v->n_nodes, v->n_nodes == 1 ? "" : "s");
    for (size_t i = 0; i < v->n_entries; i++) {
        buf_printf(out, "%s%s ", i || v->n_nodes ? ", " : "", v->entries[i].name);
        request_value_print(v->entries[i].policy, v->entries[i].amount, out);
    }
    if (v->n_nodes == 0 && v->n_entries == 0)
        buf_puts(out, "nothing");
    if (v->min_time_ns) {
        buf_puts(out, ", time ");
        duration_print(v->min_time_ns, out);
    }
}

static void add_uses(struct report *r, struct report_request *to,
                     const struct request_variant *v)
{
    for (size_t i = 0; i < v->n_entries; i++) {
        struct report_use use = {.resource = resource_of(r, v->entries[i].name),
                                 .amount = v->entries[i].amount,
                                 .all = v->entries[i].policy == POLICY_ALL};
        if (use.resource != SIZE_MAX)
            KEEP(r, vec_push(&to->uses, use));
    }
    KEEP(r, vec_push(&to->variants, to->uses.len));
    to->gang = v->n_nodes > 0;
}

/* Requests beyond the last kind are counted together, without what they use. */
static size_t request_of(struct report *r, const struct request *q)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < q->n_variants; i++) {
        buf_puts(&text, i ? " or " : "");
        describe_variant(&q->variants[i], &text);
    }
    for (size_t i = 0; i < r->requests.len; i++)
        if (strcmp(r->requests.data[i].label, buf_cstr(&text)) == 0) {
            buf_release(&text);
            return i;
        }
    bool other = r->requests.len >= REPORT_REQUESTS_MAX;
    struct report_request made = {.label = other ? strdup("others") : buf_steal(&text)};
    if (other && r->requests.len > REPORT_REQUESTS_MAX) {
        free(made.label);
        buf_release(&text);
        return REPORT_REQUESTS_MAX;
    }
    for (size_t i = 0; i < q->n_variants && !other; i++)
        add_uses(r, &made, &q->variants[i]);
    buf_release(&text);
    if (!made.label || !vec_push(&r->requests, made)) {
        free(made.label);
        vec_release(&made.uses);
        vec_release(&made.variants);
        r->sys = ERR_NOMEM;
        return SIZE_MAX;
    }
    return r->requests.len - 1;
}

/* ---- workers --------------------------------------------------------------------- */

static struct offer *offer_of(const struct report *r, uint32_t worker)
{
    uint64_t value;
    return u64map_get(&r->workers, worker, &value) ? PTR(value) : NULL;
}

static double units(uint64_t amount)
{
    return (double)amount / (double)AMOUNT_ONE;
}

static void on_connected(struct report *r, const struct told *t)
{
    struct offer *o = calloc(1, sizeof *o);
    if (!o || u64map_set(&r->workers, t->worker, (uint64_t)(uintptr_t)o) != 0) {
        free(o);
        r->sys = ERR_NOMEM;
        return;
    }
    const struct pool_set *pools = &t->config->pools;
    r->n_workers++;
    o->kind = kind_of(r, pools);
    if (o->kind != SIZE_MAX)
        change(r, r->kinds.data[o->kind].series, t->time_us, 1);
    for (size_t i = 0; i < pools->n_pools; i++) {
        struct report_use use = {.resource = resource_of(r, pools->pools[i].name),
                                 .amount = pool_size(&pools->pools[i])};
        if (use.resource == SIZE_MAX)
            continue;
        KEEP(r, vec_push(&o->pools, use));
        change(r, r->resources.data[use.resource].offered, t->time_us,
               units(use.amount));
    }
}

static void worker_ends(struct report *r, uint32_t worker, struct offer *o,
                        uint64_t at_us)
{
    if (o->kind != SIZE_MAX)
        change(r, r->kinds.data[o->kind].series, at_us, -1);
    for (size_t i = 0; i < o->pools.len; i++)
        change(r, r->resources.data[o->pools.data[i].resource].offered, at_us,
               -units(o->pools.data[i].amount));
    vec_release(&o->pools);
    free(o);
    (void)u64map_remove(&r->workers, worker);
}

/* ---- tasks ----------------------------------------------------------------------- */

static void use_whole(struct report *r, uint32_t worker, uint64_t at_us, double sign)
{
    const struct offer *o = offer_of(r, worker);
    for (size_t i = 0; o && i < o->pools.len; i++)
        change(r, r->resources.data[o->pools.data[i].resource].used, at_us,
               sign * units(o->pools.data[i].amount));
}

static double use_amount(const struct report *r, const struct run *run,
                         const struct report_use *use)
{
    const struct offer *o = offer_of(r, run->worker);
    for (size_t i = 0; use->all && o && i < o->pools.len; i++)
        if (o->pools.data[i].resource == use->resource)
            return units(o->pools.data[i].amount);
    return units(use->amount);
}

/* sign 1: the task starts; -1: it ends, with its worker still there. */
static void run_uses(struct report *r, const struct run *run, uint64_t at_us,
                     double sign)
{
    change(r, r->running_tasks, at_us, sign);
    if (run->request == SIZE_MAX)
        return;
    const struct report_request *q = &r->requests.data[run->request];
    if (q->gang) {
        for (size_t i = 0; i < run->nodes.len; i++)
            use_whole(r, run->nodes.data[i], at_us, sign);
        return;
    }
    size_t v = run->variant < q->variants.len ? run->variant : 0;
    size_t first = v && q->variants.len ? q->variants.data[v - 1] : 0;
    size_t end = q->variants.len ? q->variants.data[v] : 0;
    for (size_t i = first; i < end; i++)
        change(r, r->resources.data[q->uses.data[i].resource].used, at_us,
               sign * use_amount(r, run, &q->uses.data[i]));
}

static void run_ends(struct report *r, uint64_t key, uint64_t at_us)
{
    uint64_t value;
    if (!u64map_get(&r->runs, key, &value))
        return;
    struct run *run = PTR(value);
    run_uses(r, run, at_us, -1);
    vec_release(&run->nodes);
    free(run);
    (void)u64map_remove(&r->runs, key);
}

static size_t request_at(struct report *r, uint32_t job, uint32_t slot)
{
    uint64_t value;
    if (!u64map_get(&r->jobs, job, &value))
        return SIZE_MAX;
    struct job_kinds *k = PTR(value);
    const struct slot_kind *s = k->slots.data;
    size_t low = k->last < k->slots.len && s[k->last].slot <= slot ? k->last : 0;
    if (k->slots.len == 0)
        return SIZE_MAX;
    if (slot - s[low].slot >= s[low].count) {
        size_t high = k->slots.len;
        while (high - low > 1) {
            size_t mid = low + (high - low) / 2;
            if (s[mid].slot <= slot)
                low = mid;
            else
                high = mid;
        }
        k->last = low;
    }
    return s[low].request;
}

static void on_started(struct report *r, const struct told *t)
{
    uint64_t key = run_key(t->job, t->slot);
    run_ends(r, key, t->time_us); /* its worker was lost */
    struct run *run = calloc(1, sizeof *run);
    if (!run || u64map_set(&r->runs, key, (uint64_t)(uintptr_t)run) != 0) {
        free(run);
        r->sys = ERR_NOMEM;
        return;
    }
    r->n_starts++;
    run->worker = t->worker;
    run->variant = t->variant;
    run->request = request_at(r, t->job, t->slot);
    for (uint32_t i = 0; i < t->n_nodes; i++)
        KEEP(r, vec_push(&run->nodes, t->nodes[i]));
    run_uses(r, run, t->time_us, 1);
}

static void on_ended(struct report *r, const struct told *t)
{
    size_t i = request_at(r, t->job, t->slot);
    run_ends(r, run_key(t->job, t->slot), t->time_us);
    if (i == SIZE_MAX || !in_window(r, t->time_us))
        return;
    struct report_request *q = &r->requests.data[i];
    q->finished += t->type == TOLD_TASK_FINISHED;
    q->failed += t->type == TOLD_TASK_FAILED;
    if (!t->started || t->time_us < t->start_us)
        return;
    if (!q->spread)
        q->spread = calloc(1, sizeof *q->spread);
    if (q->spread)
        spread_add(q->spread, t->time_us - t->start_us);
    else
        r->sys = ERR_NOMEM;
}

static bool told_slot(const struct told *t, uint32_t slot)
{
    size_t low = 0, high = t->n_runs;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct told_run *run = &t->runs[mid];
        if (slot >= run->slot && slot - run->slot < run->count)
            return true;
        if (slot < run->slot)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

/* Ends the runs that `wanted` chooses. They are few: as many as there are slots. */
static void end_runs(struct report *r, uint64_t at_us,
                     bool wanted(const struct told *t, uint64_t key,
                                 const struct run *run),
                     const struct told *t)
{
    VEC(uint64_t) keys = VEC_INIT;
    size_t pos = 0;
    uint64_t key, value;
    while (u64map_next(&r->runs, &pos, &key, &value))
        if (wanted(t, key, PTR(value)))
            KEEP(r, vec_push(&keys, key));
    for (size_t i = 0; i < keys.len; i++)
        run_ends(r, keys.data[i], at_us);
    vec_release(&keys);
}

static bool of_runs(const struct told *t, uint64_t key, const struct run *run UNUSED)
{
    return key >> 32 == t->job && told_slot(t, (uint32_t)key);
}

static bool of_worker(const struct told *t, uint64_t key UNUSED, const struct run *run)
{
    return run->worker == t->worker;
}

static bool of_anybody(const struct told *t UNUSED, uint64_t key UNUSED,
                       const struct run *run UNUSED)
{
    return true;
}

static void on_stopped(struct report *r, const struct told *t)
{
    end_runs(r, t->time_us, of_runs, t);
    if (!in_window(r, t->time_us))
        return;
    for (size_t i = 0; i < t->n_runs; i++)
        for (uint32_t k = 0; k < t->runs[i].count;) {
            size_t q = request_at(r, t->job, t->runs[i].slot + k);
            uint32_t n = t->runs[i].count - k; /* of the same kind, mostly all */
            while (n > 1 && request_at(r, t->job, t->runs[i].slot + k + n - 1) != q)
                n /= 2;
            if (q != SIZE_MAX && t->type == TOLD_TASKS_CANCELED)
                r->requests.data[q].canceled += n;
            else if (q != SIZE_MAX)
                r->requests.data[q].aborted += n;
            k += n;
        }
}

static void on_lost(struct report *r, const struct told *t)
{
    struct offer *o = offer_of(r, t->worker);
    end_runs(r, t->time_us, of_worker, t);
    if (o)
        worker_ends(r, t->worker, o, t->time_us);
}

/* The server was killed: nobody told the ends of what ran. */
static void on_restart(struct report *r, const struct told *t)
{
    VEC(uint32_t) ids = VEC_INIT;
    size_t pos = 0;
    uint64_t key, value;
    end_runs(r, r->newest_us, of_anybody, t);
    while (u64map_next(&r->workers, &pos, &key, &value))
        KEEP(r, vec_push(&ids, (uint32_t)key));
    for (size_t i = 0; i < ids.len; i++)
        worker_ends(r, ids.data[i], offer_of(r, ids.data[i]), r->newest_us);
    vec_release(&ids);
}

/* ---- jobs and allocations -------------------------------------------------------- */

static void on_created(struct report *r, const struct told *t)
{
    uint64_t value;
    struct job_kinds *k = NULL;
    if (u64map_get(&r->jobs, t->job, &value)) {
        k = PTR(value);
    } else {
        k = calloc(1, sizeof *k);
        if (!k || u64map_set(&r->jobs, t->job, (uint64_t)(uintptr_t)k) != 0) {
            free(k);
            r->sys = ERR_NOMEM;
            return;
        }
        r->n_jobs++;
    }
    uint32_t slot = t->first_slot;
    size_t body = SIZE_MAX, request = SIZE_MAX;
    for (size_t i = 0; i < t->submit->n_groups; i++) {
        const struct task_group *g = &t->submit->groups[i];
        if (g->body != body) {
            body = g->body;
            request = request_of(r, &t->submit->bodies[body].request);
        }
        if (k->slots.len && vec_last(&k->slots).request == request) {
            vec_last(&k->slots).count += g->count;
        } else {
            struct slot_kind made = {slot, g->count, request};
            KEEP(r, vec_push(&k->slots, made));
        }
        slot += g->count;
    }
}

static void job_kinds_destroy(struct job_kinds *k)
{
    vec_release(&k->slots);
    free(k);
}

static void on_completed(struct report *r, const struct told *t)
{
    uint64_t value;
    if (!u64map_get(&r->jobs, t->job, &value))
        return;
    job_kinds_destroy(PTR(value));
    (void)u64map_remove(&r->jobs, t->job);
}

static void on_alloc_queued(struct report *r, const struct told *t)
{
    struct allocation a = {.id = strndup((const char *)t->alloc->id.p, t->alloc->id.n),
                           .workers = t->alloc->workers,
                           .waiting = true};
    if (!a.id || !vec_push(&r->allocations, a)) {
        free(a.id);
        r->sys = ERR_NOMEM;
        return;
    }
    r->any_queued = true;
    change(r, r->queued, t->time_us, a.workers);
}

static void on_alloc_over(struct report *r, const struct told *t)
{
    for (size_t i = 0; i < r->allocations.len; i++) {
        struct allocation *a = &r->allocations.data[i];
        if (strlen(a->id) != t->alloc->id.n ||
            memcmp(a->id, t->alloc->id.p, t->alloc->id.n) != 0)
            continue;
        if (a->waiting)
            change(r, r->queued, t->time_us, -(double)a->workers);
        a->waiting = false;
        if (t->type == TOLD_ALLOC_ENDED) {
            free(a->id);
            vec_swap_remove(&r->allocations, i);
        }
        return;
    }
}

/* ---- the report ------------------------------------------------------------------ */

struct report *report_create(uint64_t from_us, uint64_t until_us)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->from_us = from_us;
    r->until_us = until_us;
    timeline_init(&r->timeline);
    r->queued = timeline_add(&r->timeline);
    r->running_tasks = timeline_add(&r->timeline);
    if (r->queued != SIZE_MAX && r->running_tasks != SIZE_MAX)
        return r;
    report_destroy(r);
    return NULL;
}

static void release_maps(struct report *r)
{
    size_t pos = 0;
    uint64_t key, value;
    while (u64map_next(&r->jobs, &pos, &key, &value))
        job_kinds_destroy(PTR(value));
    for (pos = 0; u64map_next(&r->workers, &pos, &key, &value);) {
        struct offer *o = PTR(value);
        vec_release(&o->pools);
        free(o);
    }
    for (pos = 0; u64map_next(&r->runs, &pos, &key, &value);) {
        struct run *run = PTR(value);
        vec_release(&run->nodes);
        free(run);
    }
    u64map_release(&r->jobs);
    u64map_release(&r->workers);
    u64map_release(&r->runs);
}

void report_destroy(struct report *r)
{
    if (!r)
        return;
    release_maps(r);
    for (size_t i = 0; i < r->requests.len; i++) {
        free(r->requests.data[i].label);
        free(r->requests.data[i].spread);
        vec_release(&r->requests.data[i].uses);
        vec_release(&r->requests.data[i].variants);
    }
    for (size_t i = 0; i < r->kinds.len; i++)
        free(r->kinds.data[i].label);
    for (size_t i = 0; i < r->resources.len; i++)
        free(r->resources.data[i].name);
    for (size_t i = 0; i < r->allocations.len; i++)
        free(r->allocations.data[i].id);
    vec_release(&r->requests);
    vec_release(&r->kinds);
    vec_release(&r->resources);
    vec_release(&r->allocations);
    timeline_release(&r->timeline);
    free(r->server_uid);
    free(r);
}

static int begin(struct report *r, const struct told *t)
{
    if (t->type != TOLD_SERVER_START) {
        r->wrong = true;
        return ERR_INVALID;
    }
    r->begun = true;
    r->first_us = r->newest_us = t->time_us;
    r->server_uid = strndup((const char *)t->text.p, t->text.n);
    return r->server_uid ? 0 : ERR_NOMEM;
}

int report_take(void *report, const struct told *t)
{
    struct report *r = report;
    if (!r->begun)
        return begin(r, t);
    switch (t->type) {
    case TOLD_SERVER_START:
        on_restart(r, t);
        break;
    case TOLD_WORKER_CONNECTED:
        on_connected(r, t);
        break;
    case TOLD_WORKER_LOST:
        on_lost(r, t);
        break;
    case TOLD_JOB_CREATED:
        on_created(r, t);
        break;
    case TOLD_JOB_COMPLETED:
        on_completed(r, t);
        break;
    case TOLD_TASK_STARTED:
        on_started(r, t);
        break;
    case TOLD_TASK_FINISHED:
    case TOLD_TASK_FAILED:
        on_ended(r, t);
        break;
    case TOLD_TASKS_CANCELED:
    case TOLD_TASKS_ABORTED:
        on_stopped(r, t);
        break;
    case TOLD_ALLOC_QUEUED:
        on_alloc_queued(r, t);
        break;
    case TOLD_ALLOC_STARTED:
    case TOLD_ALLOC_ENDED:
        on_alloc_over(r, t);
        break;
    case TOLD_SERVER_STOP:
    case TOLD_WORKER_OVERVIEW:
    case TOLD_JOB_OPENED:
    case TOLD_JOB_CLOSED:
    case TOLD_JOB_CANCELED:
    case TOLD_JOB_IDLE:
    case TOLD_TASK_NOTIFY:
    case TOLD_QUEUE_CREATED:
    case TOLD_QUEUE_REMOVED:
    case TOLD_PLACEMENT:
    case TOLD_TYPE_COUNT:
        break;
    }
    r->newest_us = MAX(r->newest_us, t->time_us);
    return r->sys;
}

int report_view(struct report *r, struct report_view *view, struct error *err)
{
    if (r->sys)
        return error_nomem(err);
    if (r->wrong)
        return error_set(err, ERR_INVALID,
                         "Journal does not start with server start event");
    if (!r->begun)
        return error_set(err, ERR_INVALID, "Empty journal");
    /* The charts go on to the last event, although nothing changes then. */
    change(r, r->queued, MAX(r->newest_us, r->first_us), 0);
    if (r->until_us)
        change(r, r->queued, r->first_us + MIN(r->until_us, r->newest_us - r->first_us),
               0);
    *view = (struct report_view){
        .server_uid = r->server_uid,
        .started_us = r->first_us,
        .from_us = r->from_us,
        .until_us = r->until_us,
        .last_us = r->newest_us > r->first_us ? r->newest_us - r->first_us : 0,
        .n_workers = r->n_workers,
        .n_jobs = r->n_jobs,
        .n_starts = r->n_starts,
        .timeline = &r->timeline,
        .queued = r->queued,
        .running_tasks = r->running_tasks,
        .any_queued = r->any_queued,
        .requests = r->requests.data,
        .n_requests = r->requests.len,
        .kinds = r->kinds.data,
        .n_kinds = r->kinds.len,
        .resources = r->resources.data,
        .n_resources = r->resources.len,
    };
    return 0;
}
