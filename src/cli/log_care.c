/* `hq log X check`, `seal` and `repair`. */
#include "cli/log_cmd.h"

#include <stdlib.h>
#include <sys/random.h>
#include "base/clock.h"
#include "base/scratch_file.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/log_open.h"
#include "cli/session.h"
#include "outlog/check.h"
#include "outlog/repair.h"
#include "outlog/seal.h"

#define FINDINGS_MAX 1000u /* that are printed */

/* ---- check ------------------------------------------------------------------------
 */

struct findings {
    struct output *out;
    struct json *json; /* or NULL */
    uint64_t n;
};

static void on_finding(void *arg, const struct outlog_damage *d)
{
    struct findings *f = arg;
    if (f->n++ >= FINDINGS_MAX || f->out->mode == OUTPUT_QUIET)
        return;
    if (!f->json) {
        output_printf(f->out, "%s: %s at offset %llu (%llu bytes)\n", d->path, d->what,
                      (unsigned long long)d->offset, (unsigned long long)d->bytes);
        return;
    }
    json_begin_object(f->json);
    json_kuint(f->json, "bytes", d->bytes);
    json_kstr(f->json, "file", d->path);
    json_kuint(f->json, "offset", d->offset);
    json_kstr(f->json, "what", d->what);
    json_end_object(f->json);
}

static int check_table(struct output *o, const struct outlog_check_report *c,
                       struct error *err)
{
    struct table t;
    table_init(&t, TABLE_VERTICAL, 2, o->colour);
    table_pairf(&t, "Files", "%u", c->n_files);
    table_pairf(&t, "Extents", "%llu (%llu open)", (unsigned long long)c->n_extents,
                (unsigned long long)c->n_open_extents);
    table_pairf(&t, "Blocks", "%llu", (unsigned long long)c->n_blocks);
    table_pairf(&t, "Runs", "%llu (%llu unfinished)", (unsigned long long)c->n_runs,
                (unsigned long long)c->n_unfinished);
    table_pairf(&t, "Unfinished writes", "%llu", (unsigned long long)c->n_torn);
    table_pairf(&t, "Damage", "%llu (%llu bytes)", (unsigned long long)c->n_damages,
                (unsigned long long)c->damaged_bytes);
    table_pairf(&t, "Damaged indexes", "%llu", (unsigned long long)c->n_index_damages);
    table_pairf(&t, "Incomplete runs", "%llu", (unsigned long long)c->n_incomplete);
    table_pair(&t, "Result", outlog_check_clean(c) ? "good" : "damaged");
    return output_table(o, &t, err);
}

static void check_json(struct json *j, const struct outlog_check_report *c)
{
    json_kbool(j, "good", outlog_check_clean(c));
    json_kuint(j, "n_blocks", c->n_blocks);
    json_kuint(j, "n_damaged_bytes", c->damaged_bytes);
    json_kuint(j, "n_damages", c->n_damages);
    json_kuint(j, "n_extents", c->n_extents);
    json_kuint(j, "n_files", c->n_files);
    json_kuint(j, "n_incomplete", c->n_incomplete);
    json_kuint(j, "n_index_damages", c->n_index_damages);
    json_kuint(j, "n_open_extents", c->n_open_extents);
    json_kuint(j, "n_runs", c->n_runs);
    json_kuint(j, "n_torn", c->n_torn);
    json_kuint(j, "n_unfinished", c->n_unfinished);
}

int log_cmd_check(struct run *r, struct error *err)
{
    struct log_source s;
    struct outlog_check_report report;
    struct findings f = {.out = r->out};
    int rc = log_source_open(&s, r, err);
    if (rc < 0)
        return rc;
    if (r->out->mode == OUTPUT_JSON) {
        f.json = output_json(r->out);
        json_begin_object(f.json);
        json_key(f.json, "findings");
        json_begin_array(f.json);
    }
    rc = outlog_check(s.reader, on_finding, &f, &report, err);
    if (f.json) {
        json_end_array(f.json);
        if (rc == 0)
            check_json(f.json, &report);
        json_end_object(f.json);
        output_end_json(r->out);
    }
    if (rc == 0 && r->out->mode == OUTPUT_CLI) {
        if (f.n > FINDINGS_MAX)
            output_printf(r->out, "… and %llu more\n",
                          (unsigned long long)(f.n - FINDINGS_MAX));
        rc = check_table(r->out, &report, err);
    }
    if (rc == 0 && !outlog_check_clean(&report))
        r->status = 1;
    log_source_release(&s);
    return rc;
}

/* ---- seal -------------------------------------------------------------------------
 */

static void sealed_json(struct json *j, const char *path,
                        const struct outlog_seal_result *result)
{
    json_begin_object(j);
    json_kstr(j, "file", path);
    json_kuint(j, "index_size", result->index_bytes);
    json_kuint(j, "n_blocks", result->n_blocks);
    json_kuint(j, "n_tasks", result->n_tasks);
    json_end_object(j);
}

static void tell_sealed(struct output *o, const char *path,
                        const struct outlog_seal_result *result)
{
    struct buf size = BUF_INIT(64);
    text_print_size(&size, result->index_bytes);
    output_printf(o, "%s: %llu tasks, %llu blocks, index of %s\n", path,
                  (unsigned long long)result->n_tasks,
                  (unsigned long long)result->n_blocks, buf_cstr(&size));
    buf_release(&size);
}

/* One file after another; those in front of one that fails stay sealed. */
static int seal_files(struct run *r, const struct log_source *s,
                      struct outlog_seal_result *results, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < outlog_reader_n_files(s->reader) && rc == 0; i++) {
        const char *path = outlog_reader_path(s->reader, i);
        struct outlog_seal_options o = {.now_us = clock_real_us()};
        rc = outlog_seal(path, &o, &results[i], err);
        if (rc < 0)
            error_prefix(err, "'%s': ", path);
        else if (r->out->mode == OUTPUT_CLI)
            tell_sealed(r->out, path, &results[i]);
    }
    return rc;
}

int log_cmd_seal(struct run *r, struct error *err)
{
    struct log_source s;
    struct outlog_seal_result *results = NULL;
    int rc = log_source_open(&s, r, err);
    size_t n = rc == 0 ? outlog_reader_n_files(s.reader) : 0;
    if (rc == 0 && !(results = calloc(n + 1, sizeof *results)))
        rc = error_nomem(err);
    if (rc == 0)
        rc = seal_files(r, &s, results, err);
    if (rc == 0 && r->out->mode == OUTPUT_JSON) {
        struct json *j = output_json(r->out);
        json_begin_array(j);
        for (size_t i = 0; i < n; i++)
            sealed_json(j, outlog_reader_path(s.reader, i), &results[i]);
        json_end_array(j);
        output_end_json(r->out);
    }
    free(results);
    log_source_release(&s);
    return rc;
}

/* ---- repair -----------------------------------------------------------------------
 */

static void tell_repaired(struct output *o, const struct outlog_repair_result *result)
{
    if (o->mode == OUTPUT_JSON) {
        struct json *j = output_json(o);
        json_begin_object(j);
        json_kuint(j, "n_blocks", result->n_blocks);
        json_kuint(j, "n_dropped", result->n_dropped);
        json_end_object(j);
        output_end_json(o);
    } else if (o->mode == OUTPUT_CLI) {
        output_printf(o, "%llu blocks copied", (unsigned long long)result->n_blocks);
        if (result->n_dropped)
            output_printf(o, ", %llu superseded ones left out",
                          (unsigned long long)result->n_dropped);
        output_puts(o, "\n");
    }
}

int log_cmd_repair(struct run *r, struct error *err)
{
    struct log_source s;
    struct outlog_repair_result result;
    struct outlog_repair_options o = {
        .now_us = clock_real_us(),
        .drop_superseded = args_flag(r->args, "drop-superseded"),
        .compress = args_flag(r->args, "compress"),
        .on_created = scratch_file_guard,
    };
    if (getrandom(o.uid.b, sizeof o.uid.b, 0) != (ssize_t)sizeof o.uid.b)
        return error_sys(err, "cannot get random bytes");
    int rc = log_source_open(&s, r, err);
    if (rc == 0)
        rc = outlog_repair(s.reader, args_str(r->args, "NEW"), &o, &result, err);
    scratch_file_release();
    if (rc == 0)
        tell_repaired(r->out, &result);
    log_source_release(&s);
    return rc;
}
