/*
 * Lanes: the queues of tasks by (class, variant), and the seats on which they run. The
 * rules that keep the server's books and ours equal are in sched/sched.h.
 */
#include "worker/internal.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/xmem.h"

#define WHY_MAX ((size_t)16 << 10)

/* ---- lanes ----------------------------------------------------------------------- */

static struct lane *find_lane(const struct worker *w, uint32_t class_id,
                              uint8_t variant)
{
    LIST_FOR_EACH(&w->lanes, node)
    {
        struct lane *l = CONTAINER_OF(node, struct lane, node);
        if (!l->orphan && l->class_id == class_id && l->variant == variant)
            return l;
    }
    return NULL;
}

static struct lane *make_lane(struct worker *w, uint32_t class_id, uint8_t variant)
{
    struct lane *l = find_lane(w, class_id, variant);
    uint64_t value;
    if (l)
        return l;
    if (!u64map_get(&w->classes, class_id, &value))
        return NULL;
    struct task_class *c = (struct task_class *)(uintptr_t)value;
    if (variant >= c->request.n_variants)
        return NULL;
    l = xcalloc(1, sizeof *l);
    l->class_id = class_id;
    l->variant = variant;
    l->request = &c->request.variants[variant];
    l->class = c;
    c->refs++;
    alloc_plan_make(w->alloc, l->request, &l->plan);
    list_push_back(&w->lanes, &l->node);
    return l;
}

static void run_release(struct worker *w, struct queued_run *r)
{
    free(r->entries);
    group_unref(w, r->group);
}

static bool run_before(const struct queued_run *a, const struct queued_run *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->job != b->job ? a->job < b->job : a->slot < b->slot;
}

/* Keeps the queue sorted; most runs belong at the end. Takes *r. */
static void insert_run(struct lane *l, const struct queued_run *r)
{
    if (l->first_run == l->n_runs)
        l->first_run = l->n_runs = 0;
    if (l->n_runs == l->cap_runs) {
        if (l->first_run) {
            memmove(l->runs, l->runs + l->first_run,
                    (l->n_runs - l->first_run) * sizeof *l->runs);
            l->n_runs -= l->first_run;
            l->first_run = 0;
        } else {
            l->cap_runs = l->cap_runs ? l->cap_runs * 2 : 8;
            l->runs = xrealloc(l->runs, l->cap_runs * sizeof *l->runs);
        }
    }
    size_t at = l->n_runs;
    while (at > l->first_run && run_before(r, &l->runs[at - 1]))
        at--;
    memmove(l->runs + at + 1, l->runs + at, (l->n_runs - at) * sizeof *l->runs);
    l->runs[at] = *r;
    l->n_runs++;
    l->queued += r->count;
}

/* Skips the entry of the run's first task, or hands it out. */
static struct span next_entry(struct queued_run *r)
{
    if (!r->entries)
        return (struct span){NULL, 0};
    uint32_t n = get_u32(r->entries + r->entry_at);
    struct span s = {r->entries + r->entry_at + 4, n};
    r->entry_at += 4 + n;
    return s;
}

static void average(uint64_t *mean, uint64_t value)
{
    *mean = *mean ? (*mean * 7 + value + 7) / 8 : MAX(value, 1u);
}

void task_took(struct task *t, uint64_t duration_us)
{
    average(&t->seat->lane->mean_us, duration_us);
    average(&t->group->mean_us, duration_us);
    if (t->stream)
        average(&t->group->mean_printed, outlog_task_printed(t->stream));
}

/* ---- seats ----------------------------------------------------------------------- */

uint32_t seat_take_slot(struct worker *w)
{
    size_t pos = 0;
    uint64_t slot, unused;
    if (!u64map_next(&w->free_slots, &pos, &slot, &unused))
        return w->next_slot++;
    (void)u64map_remove(&w->free_slots, slot);
    return (uint32_t)slot;
}

static struct seat *seat_create(struct worker *w, struct lane *l)
{
    struct seat *s = xcalloc(1, sizeof *s);
    s->lane = l;
    s->slot = seat_take_slot(w);
    list_init(&s->tasks);
    list_push_back(&w->seats, &s->node);
    return s;
}

static void lane_free_if_unused(struct lane *l)
{
    if (!l->orphan || l->n_seats || l->n_tasks)
        return;
    list_remove(&l->node);
    class_unref(l->class);
    free(l->runs);
    free(l);
}

void lane_left(struct lane *l)
{
    l->n_tasks--;
    lane_free_if_unused(l);
}

static void seat_destroy(struct worker *w, struct seat *s)
{
    HQ_ASSERT(list_empty(&s->tasks) && s->pending == 0);
    if (s->has_allocation)
        alloc_free(w->alloc, &s->allocation);
    for (size_t i = 0; i < s->n_env; i++)
        free(s->env[i]);
    free(s->env);
    if (u64map_set(&w->free_slots, s->slot, 0) != 0)
        abort();
    list_remove(&s->node);
    if (s->lane) {
        s->lane->n_seats--;
        lane_free_if_unused(s->lane);
    }
    free(s);
}

/* ---- starting -------------------------------------------------------------------- */

static struct task *task_create(struct worker *w, struct seat *s, struct group_def *g,
                                uint32_t slot, uint32_t instance, int32_t priority,
                                struct span entry)
{
    struct task *t = xcalloc(1, sizeof *t);
    t->worker = w;
    t->handle = ++w->next_handle;
    t->group = g;
    g->refs++;
    t->seat = s;
    t->lane = s->lane;
    t->job = g->job;
    t->slot = slot;
    t->instance = instance;
    t->priority = priority;
    t->task_id = group_id_at(&g->ids, &g->ids.groups[0], slot - g->first_slot);
    t->channels[0].fd = t->channels[1].fd = -1;
    if (entry.p) {
        t->entry = xmemdup(entry.p, entry.n);
        t->n_entry = entry.n;
    }
    t->on_seat = true;
    s->pending++;
    if (list_empty(&s->tasks))
        s->head_since_us = clock_mono_us();
    list_push_back(&s->tasks, &t->node);
    if (s->lane) {
        s->lane->launched++;
        s->lane->n_tasks++;
    }
    w->n_on_seat++;
    if (u64map_set(&w->tasks, t->handle, (uint64_t)(uintptr_t)t) != 0 ||
        u64map_set(&w->by_slot, (uint64_t)t->job << 32 | slot, t->handle) != 0)
        abort();
    return t;
}

/* Too little of the worker's life is left for what the lane's tasks ask for. */
static bool too_late(const struct worker *w, const struct lane *l)
{
    uint64_t limit = w->setup->config.time_limit_ns;
    if (!limit || !l->request->min_time_ns)
        return false;
    uint64_t age = (clock_mono_us() - w->started_us) * 1000;
    return age >= limit || limit - age < l->request->min_time_ns;
}

static void put_slot_run(struct buf *out, const struct queued_run *r)
{
    struct slot_run s = {r->job, r->slot, r->count};
    slot_run_put(out, &s);
}

static void reject_lane(struct worker *w, struct lane *l)
{
    struct buf runs = BUF_INIT(BUF_MAX_DEFAULT);
    for (; l->first_run < l->n_runs; l->first_run++) {
        put_slot_run(&runs, &l->runs[l->first_run]);
        run_release(w, &l->runs[l->first_run]);
    }
    l->queued = 0;
    struct msg_TASKS_REJECTED m = {
        .class_id = l->class_id, .variant = l->variant, .runs = span_buf(&runs)};
    if (runs.len && w->conn)
        msg_put_TASKS_REJECTED(io_conn_batch(w->conn), &m);
    buf_release(&runs);
}

static void start_next(struct worker *w, struct seat *s)
{
    struct lane *l = s->lane;
    struct queued_run *r = &l->runs[l->first_run];
    struct span entry = next_entry(r);
    struct task *t =
        task_create(w, s, r->group, r->slot, r->instance, r->priority, entry);
    l->queued--;
    r->slot++;
    if (--r->count == 0) {
        run_release(w, r);
        l->first_run++;
    }
    task_run(w, t);
}

/* How many tasks may be in the launcher for one seat: the running one and as many short
 * ones behind it as fill some milliseconds; near the end no more than half of an even
 * share, so that the seats end together. */
static uint32_t depth_of(const struct lane *l)
{
    if (l->mean_us == 0 || l->mean_us > AHEAD_US)
        return 1;
    uint64_t ahead = MIN(AHEAD_US / l->mean_us, AHEAD_MAX);
    return 1 + (uint32_t)MIN(ahead, l->queued / (2 * MAX(l->n_seats, 1u)));
}

/* Fills the seat from its lane, but leaves its share to the other seats. */
static void seat_fill(struct worker *w, struct seat *s)
{
    struct lane *l = s->lane;
    if (!l || l->orphan || !worker_serving(w))
        return;
    if (l->queued && too_late(w, l)) {
        reject_lane(w, l);
        return;
    }
    uint32_t depth = depth_of(l);
    if (s->pending > depth / 2 && s->pending)
        return;
    while (l->queued && s->pending < depth)
        start_next(w, s);
}

/* Without the report of an end: the server did not know who held the allocation, or has
 * voided its grant before. What it was refused since then may be possible now. */
static void tell_freed(struct worker *w)
{
    struct msg_ALLOCATION_FREED m;
    memset(&m, 0, sizeof m);
    if (w->registered)
        msg_put_ALLOCATION_FREED(io_conn_batch(w->conn), &m);
}

void seat_left(struct worker *w, struct task *t)
{
    struct seat *s = t->seat;
    if (!t->on_seat)
        return;
    t->on_seat = false;
    w->n_on_seat--;
    s->pending--;
    list_remove(&t->node);
    if (s->lane)
        s->lane->launched--;
    s->head_since_us = clock_mono_us();
    t->seat = NULL;
    seat_fill(w, s);
    if (s->pending == 0) {
        t->released = true;
        seat_destroy(w, s);
        if (t->discard)
            tell_freed(w);
    }
}

void lane_put_back(struct worker *w, struct task *t)
{
    struct seat *s = t->seat;
    struct lane *l = s->lane;
    struct queued_run r = {.priority = t->priority,
                           .job = t->job,
                           .slot = t->slot,
                           .count = 1,
                           .instance = t->instance,
                           .group = t->group};
    if (t->entry) {
        r.entries = xmalloc(4 + t->n_entry);
        put_u32(r.entries, (uint32_t)t->n_entry);
        memcpy(r.entries + 4, t->entry, t->n_entry);
    }
    r.group->refs++;
    insert_run(l, &r);
    t->on_seat = false;
    w->n_on_seat--;
    s->pending--;
    l->launched--;
    list_remove(&t->node);
    t->seat = NULL;
    task_free(w, t);
    if (s->pending == 0)
        seat_fill(w, s);
    HQ_ASSERT(s->pending > 0 || !worker_serving(w) || l->queued == 0);
    if (s->pending > 0)
        return;
    seat_destroy(w, s);
    tell_freed(w);
}

/* Asks the launcher for the tasks behind the first. */
static void seat_ask_back(struct worker *w, struct seat *s)
{
    struct list_node *first = list_first(&s->tasks);
    LIST_FOR_EACH(&s->tasks, tn)
    {
        struct task *t = CONTAINER_OF(tn, struct task, node);
        struct error err = ERROR_INIT;
        if (tn == first || t->phase != PHASE_LAUNCHED || t->retract_sent ||
            t->kill_sent)
            continue;
        t->retract_sent = true;
        w->launcher_dirty = true;
        if (launcher_retract(w->launcher, s->slot, t->handle, &err) != 0)
            log_warn("%s", err.text);
    }
}

/* Tasks wait ahead behind one that turned out to be long: they go back to the queue. */
void seats_check_stuck(struct worker *w)
{
    uint64_t now = clock_mono_us();
    LIST_FOR_EACH(&w->seats, node)
    {
        struct seat *s = CONTAINER_OF(node, struct seat, node);
        if (s->pending >= 2 && s->lane && !s->lane->orphan &&
            now - s->head_since_us >= STUCK_US)
            seat_ask_back(w, s);
    }
}

void lanes_lost(struct worker *w)
{
    LIST_FOR_EACH(&w->seats, node)
    seat_ask_back(w, CONTAINER_OF(node, struct seat, node));
    lanes_clear(w);
}

/* ---- messages -------------------------------------------------------------------- */

/* Copies the entries of a run behind each other; false on malformed bytes. */
static bool take_entries(struct cursor *c, uint32_t count, struct queued_run *run)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    for (uint32_t i = 0; i < count && !c->failed; i++) {
        struct span e = cursor_bytes(c);
        buf_u32(&b, (uint32_t)e.n);
        buf_append(&b, e.p, e.n);
    }
    if (c->failed || b.failed) {
        buf_release(&b);
        return false;
    }
    run->entries = (uint8_t *)buf_steal(&b);
    return true;
}

static bool take_run(struct worker *w, struct cursor *c, struct queued_run *out)
{
    struct assigned_run r;
    if (!assigned_run_get(c, &r))
        return false;
    *out = (struct queued_run){.priority = r.priority,
                               .job = r.job,
                               .slot = r.slot,
                               .count = r.count,
                               .instance = r.instance,
                               .group = defs_find_group(w, r.job, r.group)};
    if (!out->group || r.slot < out->group->first_slot ||
        r.slot + r.count - out->group->first_slot > out->group->count ||
        (r.entries && !take_entries(c, r.count, out))) {
        c->failed = true;
        return false;
    }
    out->group->refs++;
    return true;
}

/* Without execution every task ends at once; the last ones free their allocations. */
static void end_all_at_once(struct worker *w, struct lane *l, uint32_t grants)
{
    uint64_t now = worker_now_us();
    for (; l->first_run < l->n_runs; l->first_run++) {
        struct queued_run *r = &l->runs[l->first_run];
        struct task_end e = {.job = r->job,
                             .slot = r->slot,
                             .instance = r->instance,
                             .state = TASK_FINISHED,
                             .variant = l->variant,
                             .started = true,
                             .start_us = now,
                             .end_us = now};
        uint32_t last = l->queued - r->count < grants
                            ? MIN(r->count, grants - (l->queued - r->count))
                            : 0;
        if (r->count > last)
            report_end_run(w, &e, r->count - last);
        e.slot += r->count - last;
        e.released = true;
        if (last)
            report_end_run(w, &e, last);
        grants -= last;
        l->queued -= r->count;
        run_release(w, r);
    }
    report_soon(w);
    if (grants == 0)
        return;
    struct msg_GRANTS_REFUSED m = {
        .class_id = l->class_id, .variant = l->variant, .count = grants};
    msg_put_GRANTS_REFUSED(io_conn_batch(w->conn), &m);
}

/* Seats for as many grants as can be honoured and used. */
static void take_grants(struct worker *w, struct lane *l, uint32_t grants)
{
    uint32_t left = grants;
    while (left && l->queued) {
        struct seat *s = seat_create(w, l);
        l->n_seats++;
        int rc = alloc_take(w->alloc, &l->plan, &s->allocation);
        if (rc < 0)
            abort();
        if (rc != ALLOC_OK) {
            seat_destroy(w, s);
            break;
        }
        s->has_allocation = true;
        seat_make_env(w, s);
        left--;
        start_next(w, s);
    }
    if (left == 0)
        return;
    struct buf why = BUF_INIT(WHY_MAX);
    if (l->queued)
        alloc_print_lack(w->alloc, &w->setup->config.pools, &l->plan, &why);
    struct msg_GRANTS_REFUSED m = {.class_id = l->class_id,
                                   .variant = l->variant,
                                   .count = left,
                                   .why = span_str(why.failed ? "" : buf_cstr(&why))};
    msg_put_GRANTS_REFUSED(io_conn_batch(w->conn), &m);
    buf_release(&why);
}

static void refill_seats(struct worker *w, struct lane *l)
{
    LIST_FOR_EACH_SAFE(&w->seats, node, next)
    {
        struct seat *s = CONTAINER_OF(node, struct seat, node);
        if (s->lane == l)
            seat_fill(w, s);
    }
}

void lanes_assign(struct worker *w, const struct msg_TASKS_ASSIGN *m)
{
    struct lane *l = make_lane(w, m->class_id, m->variant);
    struct cursor c = cursor_make(m->runs.p, m->runs.n);
    struct queued_run r;
    while (l && take_run(w, &c, &r))
        insert_run(l, &r);
    if (!l || c.failed) {
        struct error err = ERROR_INIT;
        (void)error_set(&err, ERR_CORRUPT, "the server sent a malformed assignment");
        worker_fail(w, &err);
        return;
    }
    if (w->setup->no_exec) {
        end_all_at_once(w, l, m->grants);
        return;
    }
    if (l->queued && too_late(w, l))
        reject_lane(w, l);
    take_grants(w, l, m->grants);
    refill_seats(w, l);
    l->window = l->queued + l->launched;
    l->told_dry = false;
}

void lanes_check_life(struct worker *w)
{
    LIST_FOR_EACH(&w->lanes, node)
    {
        struct lane *l = CONTAINER_OF(node, struct lane, node);
        if (l->queued && too_late(w, l))
            reject_lane(w, l);
    }
}

void lanes_retract(struct worker *w, const struct msg_TASKS_RETRACT *m)
{
    struct lane *l = find_lane(w, m->class_id, m->variant);
    struct buf runs = BUF_INIT(BUF_MAX_DEFAULT);
    uint32_t left = l ? MIN(m->max_count, l->queued) : 0;
    while (left) {
        struct queued_run *last = &l->runs[l->n_runs - 1];
        uint32_t n = MIN(left, last->count);
        struct slot_run part = {last->job, last->slot + last->count - n, n};
        slot_run_put(&runs, &part);
        last->count -= n;
        l->queued -= n;
        left -= n;
        if (last->count == 0) {
            run_release(w, last);
            l->n_runs--;
        }
    }
    /* The server settles by this answer which of its tasks were started before it. */
    if (l)
        report_doomed(w, l);
    report_flush(w);
    struct msg_TASKS_RETRACTED answer = {
        .class_id = m->class_id, .variant = m->variant, .runs = span_buf(&runs)};
    msg_put_TASKS_RETRACTED(io_conn_batch(w->conn), &answer);
    buf_release(&runs);
}

/* A task of the queue that will never start: the server's books need to know. */
static void report_dropped(struct worker *w, const struct lane *l,
                           const struct queued_run *r, uint32_t slot, uint32_t count)
{
    struct task_end e = {.job = r->job,
                         .slot = slot,
                         .instance = r->instance,
                         .state = TASK_CANCELED,
                         .variant = l->variant,
                         .end_us = worker_now_us()};
    e.start_us = e.end_us;
    report_end_run(w, &e, count);
    report_soon(w);
}

/* Takes [slot, slot + count) of the job out of the queue. */
static void cancel_queued(struct worker *w, struct lane *l, uint32_t job, uint32_t slot,
                          uint32_t count)
{
    struct queued_run *old = l->runs;
    size_t first = l->first_run, n = l->n_runs;
    l->runs = NULL;
    l->first_run = l->n_runs = l->cap_runs = 0;
    l->queued = 0;
    uint64_t end = (uint64_t)slot + count;
    for (size_t i = first; i < n; i++) {
        struct queued_run r = old[i];
        uint64_t r_end = (uint64_t)r.slot + r.count;
        if (r.job != job || r_end <= slot || r.slot >= end) {
            insert_run(l, &r);
            continue;
        }
        /* The part in front stays; cancels name whole jobs, so a part behind the range
         * is rare: it keeps its own copy of the entries. */
        uint32_t before = slot > r.slot ? slot - r.slot : 0;
        uint32_t cut = (uint32_t)(MIN(r_end, end) - (r.slot + before));
        report_dropped(w, l, &r, r.slot + before, cut);
        if (r_end > end) {
            struct queued_run rest = r;
            rest.slot = (uint32_t)end;
            rest.count = (uint32_t)(r_end - end);
            if (r.entries) {
                for (uint32_t k = 0; k < before + cut; k++)
                    (void)next_entry(&rest);
                struct queued_run probe = rest;
                for (uint32_t k = 0; k < rest.count; k++)
                    (void)next_entry(&probe);
                rest.entries =
                    xmemdup(r.entries + rest.entry_at, probe.entry_at - rest.entry_at);
                rest.entry_at = 0;
            }
            rest.group->refs++;
            insert_run(l, &rest);
        }
        r.count = before;
        if (before)
            insert_run(l, &r);
        else
            run_release(w, &r);
    }
    free(old);
}

void lanes_cancel(struct worker *w, uint32_t job, struct span span)
{
    struct cursor c = cursor_make(span.p, span.n);
    struct slot_range r;
    while (slot_range_get(&c, &r)) {
        LIST_FOR_EACH(&w->lanes, node)
        {
            struct lane *l = CONTAINER_OF(node, struct lane, node);
            if (l->queued)
                cancel_queued(w, l, job, r.slot, r.count);
        }
        size_t n;
        struct task **all = tasks_now(w, &n); /* a kill may start tasks of other jobs */
        for (size_t i = 0; i < n; i++) {
            struct task *t = all[i];
            if (t->job != job || t->slot < r.slot || t->slot - r.slot >= r.count)
                continue;
            t->canceled = true;
            task_kill(w, t, LAUNCH_KILL_GRACEFUL);
        }
        free(all);
    }
}

void lanes_clear(struct worker *w)
{
    LIST_FOR_EACH_SAFE(&w->lanes, node, next)
    {
        struct lane *l = CONTAINER_OF(node, struct lane, node);
        for (; l->first_run < l->n_runs; l->first_run++)
            run_release(w, &l->runs[l->first_run]);
        l->queued = 0;
        l->orphan = true;
        lane_free_if_unused(l);
    }
}

/* ---- gangs ----------------------------------------------------------------------- */

static struct gang_def *take_nodes(struct span span)
{
    struct cursor c = cursor_make(span.p, span.n);
    struct gang_def *g = xcalloc(1, sizeof *g);
    while (!c.failed && c.p != c.end) {
        g->hosts = xrealloc(g->hosts, (g->n + 1) * sizeof *g->hosts);
        g->workers = xrealloc(g->workers, (g->n + 1) * sizeof *g->workers);
        g->workers[g->n] = cursor_varint32(&c);
        g->hosts[g->n] = cursor_strdup(&c, 4096);
        if (!g->hosts[g->n])
            g->hosts[g->n] = xstrdup("");
        g->n++;
    }
    return g;
}

void lanes_gang(struct worker *w, const struct msg_GANG_START *m)
{
    struct cursor c = cursor_make(m->runs.p, m->runs.n);
    struct queued_run r;
    if (!take_run(w, &c, &r) || r.count != 1) {
        struct error err = ERROR_INIT;
        (void)error_set(&err, ERR_CORRUPT, "the server sent a malformed gang");
        worker_fail(w, &err);
        return;
    }
    struct seat *s = seat_create(w, NULL);
    struct task *t =
        task_create(w, s, r.group, r.slot, r.instance, r.priority, next_entry(&r));
    t->gang = take_nodes(m->nodes);
    run_release(w, &r);
    task_run(w, t);
}
