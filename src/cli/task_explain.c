/* hq task explain */
#include "cli/cmds.h"

#include <stdlib.h>
#include <unistd.h>
#include "base/duration.h"
#include "base/xmem.h"
#include "cli/task_explain.h"

/* --- judging ------------------------------------------------------------ */

bool item_blocks(const struct item *i)
{
    return i->kind == ITEM_TIME ? i->known && i->wanted > i->offered
                                : i->wanted > i->offered;
}

bool variant_runs(const struct variant *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (item_blocks(&v->items[i]))
            return false;
    return true;
}

size_t count_running(const struct candidate *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        n += variant_runs(&w->variants[i]);
    return n;
}

/* --- printing ----------------------------------------------------------- */

static void print_sentences(struct run *r, const struct explanation *e)
{
    output_printf(r->out, "Task %u@%u is ", e->job, e->task);
    if (e->n_needs == 0)
        output_puts(r->out, "ready to run because it has no dependencies.\n");
    else if (e->n_unfinished == 0)
        output_printf(r->out,
                      "ready to run because its all %u dependencies are finished.\n",
                      e->n_needs);
    else
        output_printf(
            r->out, "not ready to run, because %u/%u dependencies are not finished.\n",
            e->n_unfinished, e->n_needs);
    struct idset ids = IDSET_INIT;
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < e->n_workers; i++)
        if (count_running(&e->workers[i]) &&
            idset_add(&ids, e->workers[i].worker, 1, 1))
            break;
    uint64_t n = idset_count(&ids);
    idset_print(&ids, &text);
    if (n)
        output_printf(r->out, "The task can run on %llu worker%s: %s\n",
                      (unsigned long long)n, n == 1 ? "" : "s", buf_cstr(&text));
    else
        output_puts(r->out, "There is no worker where the task can run.\n");
    buf_release(&text);
    idset_release(&ids);
}

static void put_item(const struct item *i, struct buf *type, struct buf *provides,
                     struct buf *request)
{
    const char *gap = type->len ? "\n" : "";
    buf_puts(type, gap);
    buf_puts(provides, gap);
    buf_puts(request, gap);
    switch (i->kind) {
    case ITEM_TIME:
        buf_puts(type, "time");
        if (i->known)
            duration_print(i->offered / NS_PER_MS * NS_PER_MS, provides);
        else
            buf_puts(provides, "unknown");
        duration_print(i->wanted, request);
        break;
    case ITEM_NODES:
        buf_puts(type, "nodes");
        buf_printf(provides, "group size %llu", (unsigned long long)i->offered);
        buf_printf(request, "%llu", (unsigned long long)i->wanted);
        break;
    case ITEM_RESOURCE:
        buf_puts(type, i->name);
        amount_print(i->offered, provides);
        amount_print(i->wanted, request);
        break;
    case ITEM_KIND_COUNT:
        break;
    }
}

static void put_worker(struct table *t, const struct candidate *w)
{
    size_t enabled = count_running(w);
    for (size_t v = 0; v < w->n; v++) {
        struct buf type = BUF_INIT(BUF_MAX_DEFAULT),
                   provides = BUF_INIT(BUF_MAX_DEFAULT),
                   request = BUF_INIT(BUF_MAX_DEFAULT);
        for (size_t i = 0; i < w->variants[v].n; i++)
            put_item(&w->variants[v].items[i], &type, &provides, &request);
        if (v) {
            table_cell(t, "");
            table_cell(t, "");
        } else {
            table_cellf(t, "%u", w->worker);
            if (enabled == 0)
                table_cell_coloured(t, TABLE_RED, "No");
            else if (enabled == w->n)
                table_cell_coloured(t, TABLE_GREEN, "Yes");
            else
                table_cellf(t, "Yes (%zu/%zu)", enabled, w->n);
        }
        table_cellf(t, "%zu", v);
        table_cell(t, buf_cstr(&type));
        table_cell(t, buf_cstr(&provides));
        table_cell(t, buf_cstr(&request));
        buf_release(&type);
        buf_release(&provides);
        buf_release(&request);
    }
}

static int print_text(struct run *r, const struct explanation *e, struct error *err)
{
    static const char *const heads[] = {"Worker Id", "Runnable", "Variant",
                                        "Type",      "Provides", "Request"};
    struct table t;
    print_sentences(r, e);
    if (e->n_workers == 0)
        return 0;
    table_init(&t, TABLE_HORIZONTAL, ARRAY_SIZE(heads), r->out->colour);
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        table_head(&t, heads[i]);
    for (size_t i = 0; i < e->n_workers; i++)
        put_worker(&t, &e->workers[i]);
    return output_table(r->out, &t, err);
}

/* People get the reasons; what reads the output of a pipe gets what it knows. */
static bool wants_why(struct run *r)
{
    return args_flag(r->args, "why") || isatty(STDOUT_FILENO);
}

static void json_split_duration(struct json *j, const char *key, uint64_t ns)
{
    json_key(j, key);
    json_begin_object(j);
    json_kuint(j, "nanos", ns % NS_PER_S);
    json_kuint(j, "secs", ns / NS_PER_S);
    json_end_object(j);
}

static void json_item(struct json *j, const struct item *i)
{
    static const char *const names[] = {[ITEM_TIME] = "Time",
                                        [ITEM_NODES] = "WorkerGroup",
                                        [ITEM_RESOURCE] = "Resources"};
    json_begin_object(j);
    json_key(j, names[i->kind]);
    json_begin_object(j);
    switch (i->kind) {
    case ITEM_TIME:
        json_split_duration(j, "min_time", i->wanted);
        if (i->known)
            json_split_duration(j, "remaining_time", i->offered);
        else
            json_knull(j, "remaining_time");
        break;
    case ITEM_NODES:
        json_kuint(j, "group_size", i->offered);
        json_kuint(j, "n_nodes", i->wanted);
        break;
    case ITEM_RESOURCE:
        json_kuint(j, "request_amount", i->wanted);
        json_kstr(j, "resource", i->name);
        json_kuint(j, "worker_amount", i->offered);
        break;
    case ITEM_KIND_COUNT:
        break;
    }
    json_end_object(j);
    json_end_object(j);
}

static void print_json(struct run *r, const struct explanation *e)
{
    struct json *j = output_json(r->out);
    json_begin_object(j);
    json_key(j, "explanation");
    json_begin_object(j);
    json_kuint(j, "n_task_deps", e->n_needs);
    json_kuint(j, "n_waiting_deps", e->n_unfinished);
    why_json(j, e);
    json_key(j, "workers");
    json_begin_array(j);
    for (size_t w = 0; w < e->n_workers; w++) {
        json_begin_object(j);
        why_json_worker(j, &e->workers[w]);
        json_key(j, "variants");
        json_begin_array(j);
        for (size_t v = 0; v < e->workers[w].n; v++) {
            json_begin_array(j);
            for (size_t i = 0; i < e->workers[w].variants[v].n; i++)
                json_item(j, &e->workers[w].variants[v].items[i]);
            json_end_array(j);
        }
        json_end_array(j);
        json_kuint(j, "worker_id", e->workers[w].worker);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
    json_key(j, "task_id");
    json_begin_object(j);
    json_kuint(j, "job_id", e->job);
    json_kuint(j, "job_task_id", e->task);
    json_end_object(j);
    json_end_object(j);
    output_end_json(r->out);
}

int task_explain_run(struct run *r, struct error *err)
{
    struct job_ref job = session_job_ref(r, "JOB_SELECTOR");
    struct msg_REQ_TASK_EXPLAIN req = {
        .job = job.id, .last = job.last, .task = args_u32(r->args, "TASK_ID", 0)};
    struct explanation e = {0};
    struct client *c = NULL;
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    msg_put_REQ_TASK_EXPLAIN(client_batch(c), &req);
    rc = client_call(c, MSG_RSP_EXPLAIN, &body, err);
    if (rc == 0)
        rc = explanation_read(body, &e, err);
    client_close(c);
    if (rc == 0 && r->out->mode == OUTPUT_CLI)
        rc = print_text(r, &e, err);
    if (rc == 0 && r->out->mode == OUTPUT_CLI && wants_why(r))
        why_print(r->out, &e);
    else if (rc == 0 && r->out->mode == OUTPUT_JSON)
        print_json(r, &e);
    explanation_release(&e);
    return rc;
}
