/* hq alloc list, info, log, pause, resume, remove */
#include "cli/cmds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "autoalloc/batch.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/path.h"
#include "base/xmem.h"
#include "cli/pool_json.h"
#include "cli/session.h"
#include "cli/worker_text.h"
#include "wire/alloc_views.h"

/* --- list --------------------------------------------------------------- */

struct queues {
    struct queue_view *items; /* ascending by id */
    size_t n;
};

static void queues_release(struct queues *q)
{
    for (size_t i = 0; i < q->n; i++)
        queue_view_release(&q->items[i]);
    free(q->items);
}

static int queues_fetch(const struct run *r, struct queues *q, struct error *err)
{
    struct client *c = NULL;
    struct msg_REQ_ALLOC_LIST req;
    struct msg_RSP_ALLOC_LIST m;
    struct span body;
    *q = (struct queues){0};
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    memset(&req, 0, sizeof req);
    msg_put_REQ_ALLOC_LIST(client_batch(c), &req);
    rc = client_call(c, MSG_RSP_ALLOC_LIST, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_ALLOC_LIST(body, &m, err);
    if (rc == 0) {
        struct cursor cur = cursor_make(m.queues.p, m.queues.n);
        struct queue_view v;
        while (queue_view_get(&cur, &v)) {
            q->items = xrealloc(q->items, (q->n + 1) * sizeof *q->items);
            q->items[q->n++] = v;
        }
        if (cur.failed)
            rc = error_set(err, ERR_CORRUPT, "malformed list of queues");
    }
    client_close(c);
    return rc;
}

static void list_row(struct table *t, const struct queue_view *v)
{
    const struct alloc_params *p = &v->params;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    bool active = v->state == QUEUE_ACTIVE;
    table_cellf(t, "%u", v->id);
    table_cell_coloured(t, active ? TABLE_GREEN : TABLE_YELLOW,
                        active ? "ACTIVE" : "PAUSED");
    table_cellf(t, "%u", p->backlog);
    table_cellf(t, "%u", p->max_workers_per_alloc);
    table_cellf(t, "%u", p->max_worker_count);
    duration_print(p->time_limit_ns, &b);
    table_cell(t, buf_cstr(&b));
    table_cell(t, batch_ops_of(p->manager)->label);
    buf_clear(&b);
    if (v->has_known)
        worker_text_resources(&v->known, " ", "; ", &b);
    else
        buf_puts(&b, "<unknown>");
    table_cell(t, buf_cstr(&b));
    table_cell(t, p->name);
    buf_clear(&b);
    for (size_t i = 0; i < p->additional_args.n; i++)
        buf_printf(&b, "%s%s", i ? "," : "", p->additional_args.v[i]);
    table_cell(t, buf_cstr(&b));
    buf_release(&b);
}

static int list_table(struct run *r, const struct queues *q, struct error *err)
{
    static const char *const heads[] = {"ID",
                                        "State",
                                        "Backlog size",
                                        "Max workers per alloc",
                                        "Max worker count",
                                        "Timelimit",
                                        "Manager",
                                        "Worker resources",
                                        "Name",
                                        "Args"};
    struct table t;
    table_init(&t, TABLE_HORIZONTAL, ARRAY_SIZE(heads), r->out->colour);
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        table_head(&t, heads[i]);
    for (size_t i = 0; i < q->n; i++)
        list_row(&t, &q->items[i]);
    return output_table(r->out, &t, err);
}

/* A queue that nobody paused. */
static void tell_pause(const struct queue_view *v)
{
    if (v->state == QUEUE_PAUSED_SUBMISSIONS || v->state == QUEUE_PAUSED_ALLOCATIONS)
        log_warn(
            "Queue %u is paused after too many failed %s, `hq alloc resume %u` lets "
            "it go on%s%s",
            v->id, v->state == QUEUE_PAUSED_SUBMISSIONS ? "submissions" : "allocations",
            v->id, v->last_error ? ": " : "", v->last_error ? v->last_error : "");
}

static void words_json(struct json *j, const char *key, const struct alloc_words *w)
{
    json_key(j, key);
    json_begin_array(j);
    for (size_t i = 0; i < w->n; i++)
        json_str(j, w->v[i]);
    json_end_array(j);
}

static void uint_if_any(struct json *j, const char *key, uint64_t value)
{
    if (value)
        json_kuint(j, key, value);
}

static void str_if_any(struct json *j, const char *key, const char *text)
{
    if (text)
        json_kstr(j, key, text);
}

/* Why a queue does not submit is told of those that do not: programs that check the
 * keys know the others only. */
static void queue_json(struct json *j, const struct queue_view *v)
{
    static const char *const reasons[QUEUE_STATE_COUNT] = {
        NULL, "client", "failed submissions", "failed allocations"};
    const struct alloc_params *p = &v->params;
    json_begin_object(j);
    words_json(j, "additional_args", &p->additional_args);
    json_kuint(j, "backlog", p->backlog);
    if (v->delay_us)
        json_seconds(j, "delay", v->delay_us * 1000);
    uint_if_any(j, "failed_allocations", v->alloc_fails);
    uint_if_any(j, "failed_submissions", v->submit_fails);
    json_kuint(j, "id", v->id);
    json_key(j, "known_worker_resources");
    if (v->has_known)
        pool_json(j, &v->known);
    else
        json_null(j);
    str_if_any(j, "last_error", v->last_error);
    json_kstr(j, "manager", batch_ops_of(p->manager)->json);
    if (p->max_worker_count)
        json_kuint(j, "max_worker_count", p->max_worker_count);
    else
        json_knull(j, "max_worker_count");
    json_kuint(j, "max_workers_per_alloc", p->max_workers_per_alloc);
    if (p->mpi_worker)
        json_kbool(j, "mpi_worker", true);
    if (p->name)
        json_kstr(j, "name", p->name);
    else
        json_knull(j, "name");
    str_if_any(j, "pause_reason", reasons[v->state]);
    json_kstr(j, "state", v->state == QUEUE_ACTIVE ? "Active" : "Paused");
    json_seconds(j, "timelimit", p->time_limit_ns);
    words_json(j, "worker_args", &p->worker_args);
    json_end_object(j);
}

int alloc_list_run(struct run *r, struct error *err)
{
    struct queues q;
    int rc = queues_fetch(r, &q, err);
    if (rc == 0 && r->out->mode == OUTPUT_CLI)
        rc = list_table(r, &q, err);
    for (size_t i = 0; rc == 0 && r->out->mode == OUTPUT_CLI && i < q.n; i++)
        tell_pause(&q.items[i]);
    if (rc == 0 && r->out->mode == OUTPUT_JSON) {
        struct json *j = output_json(r->out);
        json_begin_array(j);
        for (size_t i = 0; i < q.n; i++)
            queue_json(j, &q.items[i]);
        json_end_array(j);
        output_end_json(r->out);
    }
    queues_release(&q);
    return rc;
}

/* --- info --------------------------------------------------------------- */

struct allocations {
    struct allocation_view *items; /* ascending by id, as text */
    size_t n;
};

static void allocations_release(struct allocations *a)
{
    for (size_t i = 0; i < a->n; i++)
        allocation_view_release(&a->items[i]);
    free(a->items);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct allocation_view *)a)->id,
                  ((const struct allocation_view *)b)->id);
}

/* Those in the state that was asked for. */
static void take_allocations(struct allocations *a, struct cursor *c,
                             const char *filter)
{
    struct allocation_view v;
    while (allocation_view_get(c, &v)) {
        if (filter && strcmp(filter, alloc_state_words[v.state]) != 0) {
            allocation_view_release(&v);
            continue;
        }
        a->items = xrealloc(a->items, (a->n + 1) * sizeof *a->items);
        a->items[a->n++] = v;
    }
    if (a->n)
        qsort(a->items, a->n, sizeof *a->items, by_id);
}

static int allocations_fetch(const struct run *r, struct allocations *a,
                             struct error *err)
{
    struct client *c = NULL;
    struct msg_REQ_ALLOC_INFO req = {.queue = args_u32(r->args, "QUEUE", 0)};
    struct msg_RSP_ALLOC_INFO m;
    struct span body;
    *a = (struct allocations){0};
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    msg_put_REQ_ALLOC_INFO(client_batch(c), &req);
    rc = client_call(c, MSG_RSP_ALLOC_INFO, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_ALLOC_INFO(body, &m, err);
    if (rc == 0) {
        struct cursor cur = cursor_make(m.allocations.p, m.allocations.n);
        take_allocations(a, &cur, args_str(r->args, "filter"));
        if (cur.failed)
            rc = error_set(err, ERR_CORRUPT, "malformed list of allocations");
    }
    client_close(c);
    return rc;
}

static void time_cell(struct table *t, uint64_t us)
{
    struct buf b = BUF_INIT(256);
    if (us)
        time_print_local(us, &b);
    table_cell(t, buf_cstr(&b));
    buf_release(&b);
}

static int info_table(struct run *r, const struct allocations *a, struct error *err)
{
    static const char *const heads[] = {
        "ID",         "State",      "Working directory", "Worker count",
        "Queue time", "Start time", "Finish time"};
    static const enum table_colour colours[ALLOC_STATE_COUNT] = {
        TABLE_YELLOW, TABLE_BLUE, TABLE_GREEN, TABLE_RED};
    struct table t;
    table_init(&t, TABLE_HORIZONTAL, ARRAY_SIZE(heads), r->out->colour);
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        table_head(&t, heads[i]);
    for (size_t i = 0; i < a->n; i++) {
        const struct allocation_view *v = &a->items[i];
        table_cell(&t, v->id);
        table_cell_coloured(&t, colours[v->state], alloc_state_labels[v->state]);
        table_cell(&t, v->dir);
        table_cellf(&t, "%u", v->workers);
        time_cell(&t, v->queued_us);
        time_cell(&t, v->started_us);
        time_cell(&t, v->ended_us);
    }
    return output_table(r->out, &t, err);
}

static void time_or_null(struct json *j, const char *key, uint64_t us)
{
    if (us)
        json_time(j, key, us);
    else
        json_knull(j, key);
}

static void allocation_json(struct json *j, const struct allocation_view *v)
{
    json_begin_object(j);
    time_or_null(j, "ended_at", v->ended_us);
    json_kstr(j, "id", v->id);
    json_time(j, "queued_at", v->queued_us);
    time_or_null(j, "started_at", v->started_us);
    json_kstr(j, "status", alloc_state_words[v->state]);
    json_kuint(j, "target_worker_count", v->workers);
    json_kstr(j, "workdir", v->dir);
    json_end_object(j);
}

int alloc_info_run(struct run *r, struct error *err)
{
    struct allocations a;
    int rc = allocations_fetch(r, &a, err);
    if (rc == 0 && r->out->mode == OUTPUT_CLI)
        rc = info_table(r, &a, err);
    if (rc == 0 && r->out->mode == OUTPUT_JSON) {
        struct json *j = output_json(r->out);
        json_begin_array(j);
        for (size_t i = 0; i < a.n; i++)
            allocation_json(j, &a.items[i]);
        json_end_array(j);
        output_end_json(r->out);
    }
    allocations_release(&a);
    return rc;
}

/* --- log ---------------------------------------------------------------- */

static int fetch_dir(const struct run *r, char **dir, struct error *err)
{
    struct client *c = NULL;
    struct msg_REQ_ALLOC_LOG req = {.id = span_str(args_str(r->args, "ALLOCATION"))};
    struct msg_RSP_ALLOC_LOG m;
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    msg_put_REQ_ALLOC_LOG(client_batch(c), &req);
    rc = client_call(c, MSG_RSP_ALLOC_LOG, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_ALLOC_LOG(body, &m, err);
    if (rc == 0 && !(*dir = span_dup(m.dir)))
        rc = error_nomem(err);
    client_close(c);
    return rc;
}

static int print_file(struct run *r, const char *path, struct error *err)
{
    char bytes[16384];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        log_warn("File at `%s` cannot be opened: %s", path, strerror(errno));
        return 0;
    }
    while ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            output_write(r->out, bytes, (size_t)n);
    int rc = n < 0 ? error_sys(err, "cannot read \"%s\"", path) : 0;
    close(fd);
    return rc;
}

int alloc_log_run(struct run *r, struct error *err)
{
    char *dir = NULL;
    int rc = fetch_dir(r, &dir, err);
    if (rc == 0 && r->out->mode == OUTPUT_JSON)
        rc = error_set(err, ERR_UNSUPPORTED,
                       "JSON output mode doesn't support allocation output");
    if (rc == 0) {
        char *path = path_join(dir, args_str(r->args, "CHANNEL"));
        if (r->out->mode == OUTPUT_CLI)
            log_info("Outputting allocation path at %s", path);
        rc = print_file(r, path, err);
        free(path);
    }
    free(dir);
    return rc;
}

/* --- pause, resume, remove ---------------------------------------------- */

static int change_state(struct run *r, bool pause, struct error *err)
{
    struct client *c = NULL;
    struct msg_REQ_ALLOC_STATE req = {.queue = args_u32(r->args, "QUEUE_ID", 0),
                                      .pause = pause};
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    msg_put_REQ_ALLOC_STATE(client_batch(c), &req);
    rc = client_call(c, MSG_RSP_OK, &body, err);
    if (rc == 0)
        log_info("Allocation queue %u successfully %s", req.queue,
                 pause ? "paused" : "resumed");
    client_close(c);
    return rc;
}

int alloc_pause_run(struct run *r, struct error *err)
{
    return change_state(r, true, err);
}

int alloc_resume_run(struct run *r, struct error *err)
{
    return change_state(r, false, err);
}

int alloc_remove_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct msg_REQ_ALLOC_REMOVE req = {.queue = args_u32(r->args, "QUEUE_ID", 0),
                                       .force = args_flag(r->args, "force")};
    struct span body;
    int rc = session_open(r, &c, err);
    if (rc)
        return rc;
    msg_put_REQ_ALLOC_REMOVE(client_batch(c), &req);
    rc = client_call(c, MSG_RSP_OK, &body, err);
    if (rc == 0)
        log_info("Allocation queue %u successfully removed", req.queue);
    client_close(c);
    return rc;
}
