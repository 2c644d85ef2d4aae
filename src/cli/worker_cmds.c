/* hq worker list, info, stop, address, wait */
#include "cli/cmds.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/xmem.h"
#include "cli/session.h"
#include "cli/worker_text.h"
#include "client/requests.h"

struct workers {
    struct worker_info *items; /* ascending by id */
    size_t n;
    uint32_t *missing;
    size_t n_missing;
};

static void workers_release(struct workers *w)
{
    for (size_t i = 0; i < w->n; i++)
        worker_info_release(&w->items[i]);
    free(w->items);
    free(w->missing);
}

static int take_worker(void *arg, uint32_t id, struct worker_info *info,
                       struct error *err)
{
    struct workers *w = arg;
    (void)err;
    if (!info) {
        w->missing = xrealloc(w->missing, (w->n_missing + 1) * sizeof *w->missing);
        w->missing[w->n_missing++] = id;
        return 0;
    }
    w->items = xrealloc(w->items, (w->n + 1) * sizeof *w->items);
    w->items[w->n++] = *info;
    return 0;
}

static int compare_workers(const void *a, const void *b)
{
    uint32_t x = ((const struct worker_info *)a)->id;
    uint32_t y = ((const struct worker_info *)b)->id;
    return (x > y) - (x < y);
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int fetch(const struct run *r, const struct buf *selector, struct workers *w,
                 struct error *err)
{
    struct client *c = NULL;
    *w = (struct workers){0};
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    rc = client_visit_workers(c, selector, take_worker, w, err);
    client_close(c);
    if (w->n)
        qsort(w->items, w->n, sizeof *w->items, compare_workers);
    if (w->n_missing)
        qsort(w->missing, w->n_missing, sizeof *w->missing, compare_ids);
    return rc;
}

static int fetch_selected(const struct run *r, const char *name, struct workers *w,
                          struct error *err)
{
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    *w = (struct workers){0};
    int rc = session_selector(r, name, &selector, err);
    if (rc == 0)
        rc = fetch(r, &selector, w, err);
    buf_release(&selector);
    return rc;
}

/* --- list --------------------------------------------------------------- */

static bool is_shown(const struct run *r, const struct worker_info *w)
{
    const char *filter = args_str(r->args, "filter");
    if (args_flag(r->args, "all"))
        return true;
    bool offline = filter && strcmp(filter, "offline") == 0;
    return (w->end != WORKER_RUNNING) == offline;
}

static int print_list(struct run *r, const struct workers *w, struct error *err)
{
    static const char *const heads[] = {"ID",        "State",   "Hostname",
                                        "Resources", "Manager", "Manager Job ID"};
    struct table t;
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    table_init(&t, TABLE_HORIZONTAL, ARRAY_SIZE(heads), r->out->colour);
    table_right(&t, 0);
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        table_head(&t, heads[i]);
    for (size_t i = 0; i < w->n; i++) {
        const struct worker_info *one = &w->items[i];
        if (!is_shown(r, one))
            continue;
        table_cellf(&t, "%u", one->id);
        table_cell_coloured(&t, one->end == WORKER_RUNNING ? TABLE_GREEN : TABLE_RED,
                            worker_state_labels[one->end]);
        table_cell(&t, one->config.hostname);
        worker_text_resources(&one->config.pools, " ", "; ", &text);
        table_cell(&t, buf_cstr(&text));
        buf_clear(&text);
        table_cell(&t, worker_text_manager(&one->config));
        table_cell(&t, one->config.manager_job ? one->config.manager_job : "N/A");
    }
    buf_release(&text);
    return output_table(r->out, &t, err);
}

int worker_list_run(struct run *r, struct error *err)
{
    const struct selector all = {.kind = SELECT_ALL};
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    struct workers w;
    selector_put(&selector, &all);
    int rc = fetch(r, &selector, &w, err);
    buf_release(&selector);
    if (rc == 0 && r->out->mode == OUTPUT_CLI)
        rc = print_list(r, &w, err);
    struct json *j =
        rc == 0 && r->out->mode == OUTPUT_JSON ? output_json(r->out) : NULL;
    if (j)
        json_begin_array(j);
    for (size_t i = 0; rc == 0 && r->out->mode != OUTPUT_CLI && i < w.n; i++) {
        if (!is_shown(r, &w.items[i]))
            continue;
        if (j)
            worker_text_json(j, &w.items[i], false);
        else
            output_printf(r->out, "%u %s\n", w.items[i].id,
                          worker_state_labels[w.items[i].end]);
    }
    if (j) {
        json_end_array(j);
        output_end_json(r->out);
    }
    workers_release(&w);
    return rc;
}

/* --- info, address ------------------------------------------------------ */

int worker_info_run(struct run *r, struct error *err)
{
    struct workers w;
    int rc = fetch_selected(r, "SELECTOR", &w, err);
    for (size_t i = 0; rc == 0 && i < w.n_missing; i++)
        log_error("Worker %u not found", w.missing[i]);
    if (rc == 0 && r->out->mode == OUTPUT_JSON) {
        struct json *j = output_json(r->out);
        json_begin_array(j);
        for (size_t i = 0; i < w.n; i++)
            worker_text_json(j, &w.items[i], true);
        json_end_array(j);
        output_end_json(r->out);
    }
    for (size_t i = 0; rc == 0 && r->out->mode == OUTPUT_CLI && i < w.n; i++) {
        if (i)
            output_puts(r->out, "\n");
        rc = worker_text_table(r->out, &w.items[i], true, err);
    }
    workers_release(&w);
    return rc;
}

int worker_address_run(struct run *r, struct error *err)
{
    struct workers w;
    int rc = fetch_selected(r, "WORKER_ID", &w, err);
    if (rc == 0 && w.n == 0)
        rc = error_set(err, ERR_NOT_FOUND, "Worker %s not found",
                       args_str(r->args, "WORKER_ID"));
    if (rc == 0)
        output_printf(r->out, "%s\n", w.items[0].config.hostname);
    workers_release(&w);
    return rc;
}

/* --- stop, wait --------------------------------------------------------- */

static int report_stops(struct span body, struct error *err)
{
    struct msg_RSP_RESULTS m;
    struct op_result one;
    int rc = msg_get_RSP_RESULTS(body, &m, err);
    if (rc)
        return rc;
    struct cursor c = cursor_make(m.results.p, m.results.n);
    while (op_result_get(&c, &one)) {
        if (one.outcome == OP_DONE)
            log_info("Worker %u stopped", one.id);
        else if (one.outcome == OP_NOT_FOUND)
            log_error("Stopping worker %u failed; worker not found", one.id);
        else
            log_warn("Stopping worker %u failed; worker is already stopped", one.id);
    }
    return c.failed ? error_set(err, ERR_CORRUPT, "malformed list of results") : 0;
}

int worker_stop_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc == 0)
        rc = session_selector(r, "SELECTOR_ARG", &selector, err);
    if (rc == 0) {
        struct msg_REQ_WORKER_STOP req = {.workers = span_buf(&selector)};
        msg_put_REQ_WORKER_STOP(client_batch(c), &req);
        rc = client_call(c, MSG_RSP_RESULTS, &body, err);
    }
    if (rc == 0)
        rc = report_stops(body, err);
    buf_release(&selector);
    client_close(c);
    return rc;
}

int worker_wait_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct msg_REQ_WORKER_WAIT req = {.count = args_u32(r->args, "WORKER_COUNT", 0)};
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc == 0 && req.count) {
        msg_put_REQ_WORKER_WAIT(client_batch(c), &req);
        rc = client_call(c, MSG_RSP_OK, &body, err);
    }
    client_close(c);
    return rc;
}
