/* `hq log X summary` and `jobs`. */
#include "cli/log_cmd.h"

#include <string.h>
#include "base/table.h"
#include "base/text.h"
#include "cli/log_choice.h"
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
            summary_json(r->out, log_source_path(&s), stats.n_files, &c);
        else if (r->out->mode == OUTPUT_CLI)
            rc = summary_table(r->out, log_source_path(&s), stats.n_files, &c, err);
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
    struct log_choice all = {.any_job = true, .until_us = UINT64_MAX};
    struct job_printer p = {.out = r->out};
    int rc = log_source_open(&s, r, err);
    if (rc == 0)
        rc = log_walk(&s, &all, print_job, &p, err);
    if (rc == 0)
        output_no_value(r->out);
    log_source_release(&s);
    return rc;
}
