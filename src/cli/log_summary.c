/* `hq log X summary`, `jobs` and `list`. */
#include "cli/log_cmd.h"

#include <string.h>
#include "base/table.h"
#include "base/text.h"
#include "cli/log_open.h"
#include "cli/session.h"

static void sizes_row(struct table *t, const char *label, const uint64_t bytes[2])
{
    struct buf text = BUF_INIT(256);
    text_print_size(&text, bytes[OUTLOG_STDOUT]);
    buf_puts(&text, " / ");
    text_print_size(&text, bytes[OUTLOG_STDERR]);
    table_pair(t, label, buf_cstr(&text));
    buf_release(&text);
}

static int summary_table(struct output *o, const char *path, uint32_t n_files,
                         const struct outlog_counts *c, struct error *err)
{
    struct table t;
    table_init(&t, TABLE_VERTICAL, 2, o->colour);
    table_pair(&t, "Path", path);
    table_pairf(&t, "Files", "%u", n_files);
    table_pairf(&t, "Jobs", "%llu", (unsigned long long)c->n_jobs);
    table_pairf(&t, "Tasks", "%llu", (unsigned long long)c->n_tasks);
    table_pairf(&t, "Opened streams", "%llu", (unsigned long long)c->n_unfinished);
    sizes_row(&t, "Stdout/stderr size", c->bytes);
    table_pairf(&t, "Superseded streams", "%llu",
                (unsigned long long)(c->n_instances - c->n_tasks));
    sizes_row(&t, "Superseded stdout/stderr size", c->superseded_bytes);
    return output_table(o, &t, err);
}

static void summary_json(struct output *o, const char *path, uint32_t n_files,
                         const struct outlog_counts *c)
{
    struct json *j = output_json(o);
    json_begin_object(j);
    json_kstr(j, "filename", path);
    json_key(j, "summary");
    json_begin_object(j);
    json_kuint(j, "n_files", n_files);
    json_kuint(j, "n_jobs", c->n_jobs);
    json_kuint(j, "n_opened", c->n_unfinished);
    json_kuint(j, "n_streams", c->n_instances);
    json_kuint(j, "n_superseded", c->n_instances - c->n_tasks);
    json_kuint(j, "n_tasks", c->n_tasks);
    json_kuint(j, "stderr_size", c->bytes[OUTLOG_STDERR]);
    json_kuint(j, "stdout_size", c->bytes[OUTLOG_STDOUT]);
    json_kuint(j, "superseded_stderr_size", c->superseded_bytes[OUTLOG_STDERR]);
    json_kuint(j, "superseded_stdout_size", c->superseded_bytes[OUTLOG_STDOUT]);
    json_end_object(j);
    json_end_object(j);
    output_end_json(o);
}

int log_cmd_summary(struct run *r, struct error *err)
{
    struct log_source s;
    struct outlog_counts c;
    int rc = log_source_open(&s, r, err);
    if (rc == 0)
        rc = outlog_reader_counts(s.reader, &c, err);
    if (rc == 0) {
        struct outlog_reader_stats stats;
        outlog_reader_get_stats(s.reader, &stats);
        if (r->out->mode == OUTPUT_JSON)
            summary_json(r->out, s.shown, stats.n_files, &c);
        else if (r->out->mode == OUTPUT_CLI)
            rc = summary_table(r->out, s.shown, stats.n_files, &c, err);
    }
    log_source_release(&s);
    return rc;
}

/* ---- jobs -------------------------------------------------------------------------
 */

struct job_printer {
    struct output *out;
    bool any;
    uint32_t last;
};

static int print_job(void *arg, const struct outlog_run *run, struct error *err UNUSED)
{
    struct job_printer *p = arg;
    if (!p->any || p->last != run->job)
        output_printf(p->out, "%u\n", run->job);
    p->any = true;
    p->last = run->job;
    return 0;
}

int log_cmd_jobs(struct run *r, struct error *err)
{
    struct log_source s;
    struct log_choice all = {.any_job = true};
    struct job_printer p = {.out = r->out};
    int rc = log_source_open(&s, r, err);
    if (rc == 0)
        rc = log_walk(&s, &all, print_job, &p, err);
    if (rc == 0)
        output_no_value(r->out);
    log_source_release(&s);
    return rc;
}

/* ---- list -------------------------------------------------------------------------
 */

struct lister {
    struct run *r;
    struct log_source s;
    struct table table;
    struct json *json;
};

/* The end record and where the run was written, as far as they can be read. */
static void run_details(struct lister *l, const struct outlog_run *run,
                        struct outlog_end *end, struct outlog_origin *origin)
{
    *end = (struct outlog_end){0};
    *origin = (struct outlog_origin){.rank = -1};
    const struct outlog_ref *last = &run->refs[run->n_refs - 1];
    (void)outlog_read_origin(l->s.reader, last, origin);
    for (size_t i = run->n_refs; i-- > 0;)
        if (run->refs[i].e.flags & OUTLOG_FLAG_END) {
            if (outlog_read_end(l->s.reader, &run->refs[i], end) < 0)
                *end = (struct outlog_end){0};
            return;
        }
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

static int list_row(void *arg, const struct outlog_run *run, struct error *err UNUSED)
{
    struct lister *l = arg;
    struct outlog_end end;
    struct outlog_origin origin;
    run_details(l, run, &end, &origin);
    struct buf text = BUF_INIT(4096);
    table_cellf(&l->table, "%u", run->job);
    table_cellf(&l->table, "%u", run->task);
    table_cellf(&l->table, "%u", run->instance);
    table_cellf(&l->table, "%s%s%s", outlog_state_words[run->state],
                run->cut ? ", cut" : "", run->newest ? "" : ", superseded");
    print_exit(&end, &text);
    table_cell(&l->table, buf_cstr(&text));
    for (int c = 0; c < OUTLOG_N_CHANNELS; c++) {
        buf_clear(&text);
        text_print_size(&text, run->bytes[c]);
        table_cell(&l->table, buf_cstr(&text));
    }
    table_cell(&l->table, origin.host);
    buf_release(&text);
    return 0;
}

static void json_time_or_null(struct json *j, const char *key, uint64_t us)
{
    if (us)
        json_time(j, key, us);
    else
        json_knull(j, key);
}

static int list_json(void *arg, const struct outlog_run *run, struct error *err UNUSED)
{
    struct lister *l = arg;
    struct json *j = l->json;
    struct outlog_end end;
    struct outlog_origin origin;
    run_details(l, run, &end, &origin);
    json_begin_object(j);
    json_kbool(j, "cut", run->cut);
    json_time_or_null(j, "end", end.end_us);
    if (end.state == OUTLOG_UNFINISHED || end.signal)
        json_knull(j, "exit_code");
    else
        json_kint(j, "exit_code", end.exit_code);
    json_kbool(j, "finished", run->finished);
    json_kstr(j, "host", origin.host);
    json_kuint(j, "instance", run->instance);
    json_kuint(j, "job", run->job);
    if (origin.rank >= 0)
        json_kint(j, "rank", origin.rank);
    else
        json_knull(j, "rank");
    if (end.signal)
        json_kuint(j, "signal", end.signal);
    else
        json_knull(j, "signal");
    json_time_or_null(j, "start", end.start_us);
    json_kstr(j, "state", outlog_state_words[run->state]);
    json_kuint(j, "stderr_size", run->bytes[OUTLOG_STDERR]);
    json_kuint(j, "stdout_size", run->bytes[OUTLOG_STDOUT]);
    json_kbool(j, "superseded", !run->newest);
    json_kuint(j, "task", run->task);
    json_kuint(j, "worker", origin.worker);
    json_end_object(j);
    return 0;
}

static int list_quiet(void *arg, const struct outlog_run *run, struct error *err UNUSED)
{
    struct lister *l = arg;
    output_printf(l->r->out, "%u %u %s\n", run->job, run->task,
                  outlog_state_words[run->state]);
    return 0;
}

static int list_table(struct lister *l, const struct log_choice *c, struct error *err)
{
    static const char *const heads[] = {"Job",  "Task",   "Instance", "State",
                                        "Exit", "Stdout", "Stderr",   "Host"};
    table_init(&l->table, TABLE_HORIZONTAL, ARRAY_SIZE(heads), l->r->out->colour);
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        table_head(&l->table, heads[i]);
    int rc = log_walk(&l->s, c, list_row, l, err);
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
        rc = log_walk(&l.s, &c, list_json, &l, err);
        json_end_array(l.json);
        output_end_json(r->out);
    } else if (rc == 0 && r->out->mode == OUTPUT_QUIET) {
        rc = log_walk(&l.s, &c, list_quiet, &l, err);
    } else if (rc == 0) {
        rc = list_table(&l, &c, err);
    }
    log_choice_release(&c);
    log_source_release(&l.s);
    return rc;
}
