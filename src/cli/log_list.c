/* `hq log X list`: one row a run. */
#include "cli/log_cmd.h"

#include <stdlib.h>
#include "base/table.h"
#include "base/text.h"
#include "cli/log_batch.h"
#include "cli/log_choice.h"
#include "cli/session.h"

/* What is known of a run without reading its blocks. */
struct row {
    uint32_t job, task, instance;
    bool newest, finished, cut;
    enum outlog_state state;
    uint64_t bytes[OUTLOG_N_CHANNELS];
    struct outlog_origin origin;
};

struct lister {
    struct run *r;
    struct log_source s;
    struct log_batch batch;
    struct row *rows; /* of the runs in the batch */
    size_t n_rows, cap_rows;
    struct outlog_end end; /* of the row that comes next */
    struct table table;
    struct json *json;
};

static const char *state_word(const struct row *row)
{
    return log_state_word(row->finished, row->state);
}

static void print_exit(const struct outlog_end *end, struct buf *out)
{
    if (end->state == OUTLOG_UNFINISHED)
        return;
    if (end->signal)
        buf_printf(out, "signal %u", end->signal);
    else
        buf_printf(out, "%d", end->exit_code);
}

static void table_row(struct lister *l, const struct row *row)
{
    struct buf text = BUF_INIT(4096);
    table_cellf(&l->table, "%u", row->job);
    table_cellf(&l->table, "%u", row->task);
    table_cellf(&l->table, "%u", row->instance);
    table_cellf(&l->table, "%s%s%s", state_word(row), row->cut ? ", cut" : "",
                row->newest ? "" : ", superseded");
    print_exit(&l->end, &text);
    table_cell(&l->table, buf_cstr(&text));
    for (int c = 0; c < OUTLOG_N_CHANNELS; c++) {
        buf_clear(&text);
        text_print_size(&text, row->bytes[c]);
        table_cell(&l->table, buf_cstr(&text));
    }
    table_cell(&l->table, row->origin.host);
    buf_release(&text);
}

static void json_time_or_null(struct json *j, const char *key, uint64_t us)
{
    if (us)
        json_time(j, key, us);
    else
        json_knull(j, key);
}

static void json_row(struct lister *l, const struct row *row)
{
    struct json *j = l->json;
    const struct outlog_end *end = &l->end;
    json_begin_object(j);
    json_kbool(j, "cut", row->cut);
    json_time_or_null(j, "end", end->end_us);
    if (end->state == OUTLOG_UNFINISHED || end->signal)
        json_knull(j, "exit_code");
    else
        json_kint(j, "exit_code", end->exit_code);
    json_kbool(j, "finished", row->finished);
    json_kstr(j, "host", row->origin.host);
    json_kuint(j, "instance", row->instance);
    json_kuint(j, "job", row->job);
    if (row->origin.rank >= 0)
        json_kint(j, "rank", row->origin.rank);
    else
        json_knull(j, "rank");
    if (end->signal)
        json_kuint(j, "signal", end->signal);
    else
        json_knull(j, "signal");
    json_time_or_null(j, "start", end->start_us);
    json_kstr(j, "state", state_word(row));
    json_kuint(j, "stderr_size", row->bytes[OUTLOG_STDERR]);
    json_kuint(j, "stdout_size", row->bytes[OUTLOG_STDOUT]);
    json_kbool(j, "superseded", !row->newest);
    json_kuint(j, "task", row->task);
    json_kuint(j, "worker", row->origin.worker);
    json_end_object(j);
}

/* ---- gathering --------------------------------------------------------------------
 */

static void on_end(void *arg, const struct outlog_end *end)
{
    struct lister *l = arg;
    if (end)
        l->end = *end;
}

static void on_row(void *arg, uint64_t index, uint64_t unused UNUSED)
{
    struct lister *l = arg;
    const struct row *row = &l->rows[index];
    if (l->json)
        json_row(l, row);
    else if (l->r->out->mode == OUTPUT_QUIET)
        output_printf(l->r->out, "%u %u %s\n", row->job, row->task, state_word(row));
    else
        table_row(l, row);
    l->end = (struct outlog_end){0};
}

static const struct log_batch_events list_events = {.on_mark = on_row,
                                                    .on_end = on_end};

static int add_row(struct lister *l, const struct row *row, struct error *err)
{
    if (l->n_rows == l->cap_rows) {
        size_t cap = l->cap_rows ? l->cap_rows * 2 : 256;
        struct row *grown = realloc(l->rows, cap * sizeof *grown);
        if (!grown)
            return error_nomem(err);
        l->rows = grown;
        l->cap_rows = cap;
    }
    l->rows[l->n_rows] = *row;
    return log_batch_mark(&l->batch, l->n_rows++, 0, err);
}

#define ROWS_MAX 200000u

static int list_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct lister *l = arg;
    struct row row = {
        .job = run->job,
        .task = run->task,
        .instance = run->instance,
        .newest = run->newest,
        .finished = run->finished,
        .cut = run->cut,
        .state = run->state,
        .bytes = {run->bytes[0], run->bytes[1]},
        .origin = {.rank = -1},
    };
    const struct outlog_ref *last = &run->refs[run->n_refs - 1];
    (void)outlog_read_origin(l->s.reader, last, &row.origin);
    int rc = 0;
    if (l->n_rows >= ROWS_MAX) {
        rc = log_batch_flush(&l->batch, err);
        l->n_rows = 0;
    }
    if (rc == 0 && run->finished && l->r->out->mode != OUTPUT_QUIET)
        rc = log_batch_add_end(&l->batch, last, err);
    return rc < 0 ? rc : add_row(l, &row, err);
}

static int list_all(struct lister *l, const struct log_choice *c, struct error *err)
{
    log_batch_init(&l->batch, l->s.reader, &list_events, l);
    int rc = log_walk(&l->s, c, list_run, l, err);
    if (rc == 0)
        rc = log_batch_flush(&l->batch, err);
    log_batch_release(&l->batch);
    free(l->rows);
    return rc;
}

static int list_table(struct lister *l, const struct log_choice *c, struct error *err)
{
    static const char *const heads[] = {"Job",  "Task",   "Instance", "State",
                                        "Exit", "Stdout", "Stderr",   "Host"};
    table_init(&l->table, TABLE_HORIZONTAL, ARRAY_SIZE(heads), l->r->out->colour);
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        table_head(&l->table, heads[i]);
    int rc = list_all(l, c, err);
    if (rc < 0) {
        table_release(&l->table);
        return rc;
    }
    return output_table(l->r->out, &l->table, err);
}

int log_cmd_list(struct run *r, struct error *err)
{
    struct lister l = {.r = r};
    struct log_choice c = {0};
    int rc = log_source_open(&l.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&c, &l.s, r, err);
    if (rc == 0 && r->out->mode == OUTPUT_JSON) {
        l.json = output_json(r->out);
        json_begin_array(l.json);
        rc = list_all(&l, &c, err);
        json_end_array(l.json);
        output_end_json(r->out);
    } else if (rc == 0 && r->out->mode == OUTPUT_QUIET) {
        rc = list_all(&l, &c, err);
    } else if (rc == 0) {
        rc = list_table(&l, &c, err);
    }
    log_choice_release(&c);
    log_source_release(&l.s);
    return rc;
}
