#include "cli/journal_past.h"

#include <stdlib.h>
#include "base/vec.h"
#include "base/xmem.h"

enum kind { KIND_STARTED, KIND_FINISHED, KIND_TEXT };

struct entry {
    uint64_t time_us;
    uint32_t order; /* in which it came */
    uint32_t kind : 2;
    uint32_t job, task, worker; /* KIND_TEXT: job and task are its place, worker its
                                   length */
};

struct past {
    VEC(struct entry) entries;
    struct buf texts;
    struct event_json json; /* writes to texts */
};

struct past *past_create(void)
{
    struct past *p = xcalloc(1, sizeof *p);
    buf_init(&p->texts, SIZE_MAX / 2);
    event_json_init(&p->json, &p->texts, -1);
    return p;
}

void past_destroy(struct past *p)
{
    if (!p)
        return;
    vec_release(&p->entries);
    buf_release(&p->texts);
    free(p);
}

static bool is_plain(const struct told *t, enum told_type type)
{
    return t->type == type && t->instance == 0 && t->variant == 0 && t->n_nodes == 0;
}

void past_add(struct past *p, const struct told *t)
{
    struct entry e = {.time_us = t->time_us,
                      .order = (uint32_t)p->entries.len,
                      .kind = KIND_TEXT,
                      .job = t->job,
                      .task = t->task,
                      .worker = t->worker};
    if (is_plain(t, TOLD_TASK_STARTED)) {
        e.kind = KIND_STARTED;
    } else if (t->type == TOLD_TASK_FINISHED) {
        e.kind = KIND_FINISHED;
    } else {
        size_t at = p->texts.len;
        event_json_print(&p->json, t);
        if (p->texts.failed)
            abort();
        e.job = (uint32_t)(at >> 32);
        e.task = (uint32_t)at;
        e.worker = (uint32_t)(p->texts.len - at);
    }
    if (!vec_push(&p->entries, e))
        abort();
}

static int by_time(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static void print_entry(const struct past *p, const struct entry *e,
                        struct event_json *json, struct output *out)
{
    struct told t = {.type = e->kind == KIND_STARTED ? TOLD_TASK_STARTED
                                                     : TOLD_TASK_FINISHED,
                     .time_us = e->time_us,
                     .job = e->job,
                     .task = e->task,
                     .worker = e->worker};
    if (e->kind == KIND_TEXT)
        output_write(out, p->texts.data + ((size_t)e->job << 32 | e->task), e->worker);
    else
        event_json_print(json, &t);
    output_puts(out, ""); /* written out when it has become large */
}

void past_print(struct past *p, struct event_json *json, struct output *out)
{
    if (p->entries.len)
        qsort(p->entries.data, p->entries.len, sizeof *p->entries.data, by_time);
    for (size_t i = 0; i < p->entries.len; i++)
        print_entry(p, &p->entries.data[i], json, out);
}
