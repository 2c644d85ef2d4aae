/* hq task explain --why: what holds a task back just now, and what would help. */
#include "cli/task_explain.h"

#include <stdlib.h>
#include "base/duration.h"

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* --- sentences ---------------------------------------------------------- */

static void put_amount(struct buf *out, uint64_t amount)
{
    amount_print(amount, out);
}

/* Nanoseconds, rounded up to what people read. */
static uint64_t in_seconds(uint64_t us)
{
    return (us + 999999) / 1000000 * 1000000000;
}

static void put_resource(struct buf *out, const struct hold *h)
{
    buf_printf(out, "%s: ", h->text);
    put_amount(out, h->have);
    buf_puts(out, " of ");
    put_amount(out, h->total);
    buf_puts(out, " free, ");
    put_amount(out, h->need);
    buf_puts(out, " asked, ");
    put_amount(out, h->need - h->have);
    buf_puts(out, " short");
}

static void put_hold(struct buf *out, const struct hold *h)
{
    switch (h->kind) {
    case SCHED_HOLD_DRAINING:
        buf_puts(out, "it is stopping");
        break;
    case SCHED_HOLD_GANG:
        buf_printf(out, "it belongs to the multi-node task %u@%u", h->job, h->task);
        break;
    case SCHED_HOLD_RESERVED:
        buf_printf(out, "it is kept free for task %u@%u of priority %d", h->job,
                   h->task, h->priority);
        if (h->left_us) {
            buf_puts(out, ", which starts there within ");
            duration_print(in_seconds(h->left_us), out);
        }
        break;
    case SCHED_HOLD_PRIORITY:
        buf_printf(out, "task %u@%u of priority %d goes first there", h->job, h->task,
                   h->priority);
        break;
    case SCHED_HOLD_TIME:
        buf_puts(out, "too little of its time is left");
        break;
    case SCHED_HOLD_REJECTED:
        buf_puts(out, "it rejected the task for good");
        break;
    case SCHED_HOLD_RESOURCE:
        put_resource(out, h);
        break;
    case SCHED_HOLD_REFUSED:
        buf_printf(out, "what is free there does not fit together%s%s",
                   *h->text ? ": " : "", h->text);
        break;
    case SCHED_HOLD_UTILIZATION:
        buf_puts(out, "its minimal utilization is not reached: ");
        put_amount(out, h->have);
        buf_puts(out, " cpus are used, it wants ");
        put_amount(out, h->need);
        buf_puts(out, " or none");
        break;
    case SCHED_HOLD_BUSY:
        buf_printf(out, "it holds %llu task%s, a multi-node task wants it empty",
                   (unsigned long long)h->have, plural(h->have));
        break;
    case SCHED_HOLD_NODES:
        buf_printf(out, "%llu of %llu workers are idle in its group",
                   (unsigned long long)h->have, (unsigned long long)h->need);
        break;
    case SCHED_HOLD_COUNT:
        break;
    }
}

static void print_worker(struct output *o, const struct candidate *w)
{
    for (size_t i = 0; i < w->n_holds; i++) {
        const struct hold *h = &w->holds[i];
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        put_hold(&text, h);
        output_printf(o, "  worker %u", w->worker);
        if (w->n > 1 && h->variant != SCHED_ALL_VARIANTS)
            output_printf(o, ", variant %u", h->variant);
        output_printf(o, ": %s\n", buf_cstr(&text));
        buf_release(&text);
    }
}

static void print_needs(struct output *o, const struct explanation *e)
{
    struct buf ids = BUF_INIT(BUF_MAX_DEFAULT);
    uint64_t shown = idset_count(&e->needs);
    idset_print(&e->needs, &ids);
    output_printf(o, "  dependencies: task%s %s", plural(e->n_unfinished),
                  buf_cstr(&ids));
    if (shown < e->n_unfinished)
        output_printf(o, " and %llu more",
                      (unsigned long long)(e->n_unfinished - shown));
    output_puts(o, e->n_unfinished == 1 ? " is not finished\n" : " are not finished\n");
    buf_release(&ids);
}

static void print_queue(struct output *o, const struct explanation *e)
{
    if (e->at == AT_WORKER)
        output_printf(o, "  it was sent to worker %u and starts there next\n",
                      e->sent_to);
    if (e->n_above)
        output_printf(o, "  %llu waiting task%s of higher priority\n",
                      (unsigned long long)e->n_above,
                      e->n_above == 1 ? " is" : "s are");
    if (e->n_before)
        output_printf(o, "  %llu like it come%s first\n",
                      (unsigned long long)e->n_before, e->n_before == 1 ? "s" : "");
}

/* --- what would help ---------------------------------------------------- */

/* How far the variant is from running there when all is free; 0: it runs. */
static double variant_distance(const struct variant *v)
{
    double far = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct item *item = &v->items[i];
        if (item_blocks(item))
            far += 1 + (double)(item->wanted - item->offered) / (double)item->wanted;
    }
    return far;
}

static void help_item(struct buf *out, const struct item *i, uint32_t worker)
{
    switch (i->kind) {
    case ITEM_TIME:
        buf_puts(out, "a worker with ");
        duration_print(i->wanted, out);
        buf_puts(out, " left, or a shorter --time-request");
        break;
    case ITEM_NODES:
        buf_printf(out, "%llu more worker%s in the group of worker %u",
                   (unsigned long long)(i->wanted - i->offered),
                   plural(i->wanted - i->offered), worker);
        break;
    case ITEM_RESOURCE:
        buf_printf(out, "a worker with %s=", i->name);
        put_amount(out, i->wanted);
        if (i->offered) {
            buf_printf(out, ", or a request of %s=", i->name);
            put_amount(out, i->offered);
            buf_printf(out, " for worker %u", worker);
        }
        break;
    case ITEM_KIND_COUNT:
        break;
    }
}

/* No worker could run it when empty: what the nearest one lacks. */
static void help_capacity(struct buf *out, const struct explanation *e)
{
    const struct candidate *nearest = NULL;
    const struct variant *best = NULL;
    for (size_t w = 0; w < e->n_workers; w++)
        for (size_t v = 0; v < e->workers[w].n; v++)
            if (!best ||
                variant_distance(&e->workers[w].variants[v]) < variant_distance(best)) {
                nearest = &e->workers[w];
                best = &nearest->variants[v];
            }
    for (size_t i = 0; best && i < best->n; i++)
        if (item_blocks(&best->items[i])) {
            buf_puts(out, out->len ? "; " : "");
            help_item(out, &best->items[i], nearest->worker);
        }
}

/* Weight of a hold: those that pass by themselves weigh little. */
static double hold_distance(const struct hold *h)
{
    switch (h->kind) {
    case SCHED_HOLD_RESOURCE:
        return (double)(h->need - h->have) / (double)h->need;
    case SCHED_HOLD_NODES:
    case SCHED_HOLD_REFUSED:
    case SCHED_HOLD_BUSY:
        return 1;
    case SCHED_HOLD_PRIORITY:
    case SCHED_HOLD_RESERVED:
    case SCHED_HOLD_GANG:
    case SCHED_HOLD_UTILIZATION:
        return 2;
    case SCHED_HOLD_TIME:
    case SCHED_HOLD_REJECTED:
    case SCHED_HOLD_DRAINING:
    case SCHED_HOLD_COUNT:
        break;
    }
    return 100;
}

/* Those that only waiting helps against say nothing. */
static void help_hold(struct buf *out, const struct hold *h, uint32_t worker)
{
    const char *gap = out->len ? "; " : "";
    switch (h->kind) {
    case SCHED_HOLD_RESOURCE:
        buf_printf(out, "%s%s=", gap, h->text);
        put_amount(out, h->need - h->have);
        buf_printf(out, " more becoming free on worker %u", worker);
        break;
    case SCHED_HOLD_NODES:
        buf_printf(out, "%s%llu more idle worker%s in the group of worker %u", gap,
                   (unsigned long long)(h->need - h->have), plural(h->need - h->have),
                   worker);
        break;
    case SCHED_HOLD_REFUSED:
        buf_printf(out, "%sthe end of a task on worker %u", gap, worker);
        break;
    case SCHED_HOLD_GANG:
        buf_printf(out, "%sthe end of %u@%u", gap, h->job, h->task);
        break;
    case SCHED_HOLD_UTILIZATION:
        buf_printf(out,
                   "%smore tasks for worker %u, or a lower --min-utilization of it",
                   gap, worker);
        break;
    case SCHED_HOLD_PRIORITY: /* see help_priority */
    case SCHED_HOLD_RESERVED:
    case SCHED_HOLD_BUSY:
    case SCHED_HOLD_TIME:
    case SCHED_HOLD_REJECTED:
    case SCHED_HOLD_DRAINING:
    case SCHED_HOLD_COUNT:
        break;
    }
}

/* The highest priority that goes first on the worker. */
static void help_priority(struct buf *out, const struct candidate *w)
{
    const struct hold *first = NULL;
    for (size_t i = 0; i < w->n_holds; i++) {
        const struct hold *h = &w->holds[i];
        if ((h->kind == SCHED_HOLD_PRIORITY || h->kind == SCHED_HOLD_RESERVED) &&
            (!first || h->priority > first->priority))
            first = h;
    }
    if (!first)
        return;
    buf_printf(out, "a priority above %d", first->priority);
    if (first->kind == SCHED_HOLD_RESERVED && first->left_us)
        buf_printf(out, ", or a --time-limit that ends before task %u@%u starts",
                   first->job, first->task);
}

/* Counts the holds of the worker's best variant. */
static double candidate_distance(const struct candidate *w, uint8_t *variant)
{
    double best = 1e9;
    for (size_t v = 0; v < w->n; v++) {
        double far = variant_runs(&w->variants[v]) ? 0 : 1e6;
        for (size_t i = 0; i < w->n_holds; i++)
            if (w->holds[i].variant == v || w->holds[i].variant == SCHED_ALL_VARIANTS)
                far += hold_distance(&w->holds[i]);
        if (far < best) {
            best = far;
            *variant = (uint8_t)v;
        }
    }
    return best;
}

/* Some worker could run it: what the nearest one waits for. */
static void help_holds(struct buf *out, const struct explanation *e)
{
    const struct candidate *nearest = NULL;
    double best = 1e6;
    uint8_t variant = 0;
    for (size_t i = 0; i < e->n_workers; i++) {
        uint8_t v = 0;
        double far = candidate_distance(&e->workers[i], &v);
        if (far < best) {
            best = far;
            variant = v;
            nearest = &e->workers[i];
        }
    }
    if (nearest)
        help_priority(out, nearest);
    for (size_t i = 0; nearest && i < nearest->n_holds; i++) {
        const struct hold *h = &nearest->holds[i];
        if (h->variant == variant || h->variant == SCHED_ALL_VARIANTS)
            help_hold(out, h, nearest->worker);
    }
}

/* Workers that could run it when they are empty. */
static size_t count_able(const struct explanation *e)
{
    size_t able = 0;
    for (size_t i = 0; i < e->n_workers; i++)
        able += count_running(&e->workers[i]) > 0;
    return able;
}

static void put_help(struct buf *out, const struct explanation *e)
{
    if (e->at == AT_RUNNING)
        return;
    if (e->n_unfinished)
        buf_printf(out, "the end of what it depends on");
    if (e->n_workers == 0) {
        buf_printf(out, "%sa worker; none is connected", out->len ? "; " : "");
        return;
    }
    if (count_able(e) == 0)
        help_capacity(out, e);
    else if (!e->n_unfinished)
        help_holds(out, e);
}

/* --- printing ----------------------------------------------------------- */

void why_print(struct output *o, const struct explanation *e)
{
    struct buf help = BUF_INIT(BUF_MAX_DEFAULT);
    size_t able = count_able(e);
    if (e->at == AT_RUNNING) {
        output_puts(o, "It runs.\n");
        return;
    }
    output_puts(o, "What holds it back now:\n");
    size_t start = o->text.len;
    if (e->n_unfinished)
        print_needs(o, e);
    print_queue(o, e);
    /* The table tells why the others can never run it. */
    for (size_t i = 0; i < e->n_workers && e->at != AT_WORKER; i++)
        if (count_running(&e->workers[i]))
            print_worker(o, &e->workers[i]);
    if (o->text.len == start)
        output_puts(o, able ? "  nothing, it starts at once\n"
                            : "  no connected worker can ever run it\n");
    put_help(&help, e);
    if (help.len)
        output_printf(o, "What would help: %s\n", buf_cstr(&help));
    buf_release(&help);
}

/* Names of enum sched_hold_kind in JSON. */
static const char *const hold_names[SCHED_HOLD_COUNT] = {
    [SCHED_HOLD_DRAINING] = "stopping",
    [SCHED_HOLD_GANG] = "gang",
    [SCHED_HOLD_RESERVED] = "reserved",
    [SCHED_HOLD_PRIORITY] = "priority",
    [SCHED_HOLD_TIME] = "time",
    [SCHED_HOLD_REJECTED] = "rejected",
    [SCHED_HOLD_RESOURCE] = "resource",
    [SCHED_HOLD_REFUSED] = "refused",
    [SCHED_HOLD_UTILIZATION] = "min_utilization",
    [SCHED_HOLD_BUSY] = "busy",
    [SCHED_HOLD_NODES] = "nodes",
};

static void json_other_task(struct json *j, const struct hold *h)
{
    json_key(j, "task_id");
    json_begin_object(j);
    json_kuint(j, "job_id", h->job);
    json_kuint(j, "job_task_id", h->task);
    json_end_object(j);
}

static void json_hold(struct json *j, const struct hold *h)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    put_hold(&text, h);
    json_begin_object(j);
    if (h->need)
        json_kuint(j, "have", h->have);
    json_kstr(j, "kind", hold_names[h->kind]);
    if (h->need) {
        json_kuint(j, "missing", h->need > h->have ? h->need - h->have : 0);
        json_kuint(j, "need", h->need);
    }
    if (h->job)
        json_kint(j, "priority", h->priority);
    if (h->kind == SCHED_HOLD_RESOURCE)
        json_kstr(j, "resource", h->text);
    if (h->kind == SCHED_HOLD_RESERVED && h->left_us)
        json_kdouble(j, "seconds_left", (double)h->left_us / 1e6);
    if (h->job)
        json_other_task(j, h);
    json_kstr(j, "text", buf_cstr(&text));
    if (h->total)
        json_kuint(j, "total", h->total);
    if (h->variant == SCHED_ALL_VARIANTS)
        json_knull(j, "variant");
    else
        json_kuint(j, "variant", h->variant);
    json_end_object(j);
    buf_release(&text);
}

void why_json_worker(struct json *j, const struct candidate *w)
{
    json_key(j, "holds");
    json_begin_array(j);
    for (size_t i = 0; i < w->n_holds; i++)
        json_hold(j, &w->holds[i]);
    json_end_array(j);
}

void why_json(struct json *j, const struct explanation *e)
{
    static const char *const places[] = {"none", "queue", "worker", "running"};
    struct buf help = BUF_INIT(BUF_MAX_DEFAULT), ids = BUF_INIT(BUF_MAX_DEFAULT);
    put_help(&help, e);
    idset_print(&e->needs, &ids);
    json_key(j, "why");
    json_begin_object(j);
    json_kstr(j, "help", buf_cstr(&help));
    json_kstr(j, "place", places[e->at]);
    json_kint(j, "priority", e->priority);
    if (e->sent_to)
        json_kuint(j, "sent_to", e->sent_to);
    else
        json_knull(j, "sent_to");
    json_kuint(j, "tasks_above", e->n_above);
    json_kuint(j, "tasks_before", e->n_before);
    json_kstr(j, "unfinished_deps", buf_cstr(&ids));
    json_end_object(j);
    buf_release(&help);
    buf_release(&ids);
}
