#include "cli/log_export.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/log_cmd.h"

#define RUNS_MAX 50000u /* described at once */

/* Marks between the blocks of the runs. */
#define MARK_RUN 0u     /* b: index of the run */
#define MARK_CHANNEL 1u /* b: enum outlog_channel, begins */
#define MARK_CLOSE 2u   /* the channel ends */
#define MARK_END 3u     /* the run ends */

void export_fail(struct exporter *x, int rc)
{
    if (x->rc == 0)
        x->rc = rc;
}

static void on_mark(void *arg, uint64_t a, uint64_t b)
{
    struct exporter *x = arg;
    if (x->rc < 0)
        return;
    switch (a) {
    case MARK_RUN:
        x->present = (size_t)b;
        x->ops->begin_run(x, &x->runs[b]);
        x->end = (struct outlog_end){0};
        break;
    case MARK_CHANNEL:
        x->ops->begin_channel(x, &x->runs[x->present], (enum outlog_channel)b);
        break;
    case MARK_CLOSE:
        x->ops->end_channel(x);
        break;
    default:
        x->ops->end_run(x);
    }
}

static void on_data(void *arg, const struct outlog_entry *e, const uint8_t *p, size_t n)
{
    struct exporter *x = arg;
    if (x->rc == 0)
        x->ops->put_data(x, e, p, n);
}

static void on_end(void *arg, const struct outlog_end *end)
{
    struct exporter *x = arg;
    if (end)
        x->end = *end;
}

static const struct log_batch_events events = {
    .on_mark = on_mark, .on_data = on_data, .on_end = on_end};

static int add_channel(struct exporter *x, const struct outlog_run *run,
                       enum outlog_channel channel, struct error *err)
{
    uint8_t type = channel == OUTLOG_STDOUT ? OUTLOG_BLOCK_STDOUT : OUTLOG_BLOCK_STDERR;
    int rc = log_batch_mark(&x->batch, MARK_CHANNEL, channel, err);
    for (size_t i = 0; i < run->n_refs && rc == 0; i++)
        if (run->refs[i].e.type == type &&
            log_choice_has_block(&x->choice, &run->refs[i].e))
            rc = log_batch_add(&x->batch, &run->refs[i], err);
    return rc < 0 ? rc : log_batch_mark(&x->batch, MARK_CLOSE, 0, err);
}

static int describe(struct exporter *x, const struct outlog_run *run, struct error *err)
{
    if (x->n_runs >= RUNS_MAX) {
        int rc = log_batch_flush(&x->batch, err);
        if (rc < 0)
            return rc;
        x->n_runs = 0;
    }
    if (x->n_runs == x->cap_runs) {
        size_t cap = x->cap_runs ? x->cap_runs * 2 : 256;
        struct export_run *grown = realloc(x->runs, cap * sizeof *grown);
        if (!grown)
            return error_nomem(err);
        x->runs = grown;
        x->cap_runs = cap;
    }
    struct export_run *r = &x->runs[x->n_runs++];
    *r = (struct export_run){
        .job = run->job,
        .task = run->task,
        .instance = run->instance,
        .finished = run->finished,
        .newest = run->newest,
        .cut = run->cut,
        .state = run->state,
        .last_us = run->last_us,
    };
    for (size_t i = 0; i < run->n_refs; i++) {
        const struct outlog_entry *e = &run->refs[i].e;
        if (log_choice_has_block(&x->choice, e))
            r->bytes[e->type == OUTLOG_BLOCK_STDERR ? OUTLOG_STDERR : OUTLOG_STDOUT] +=
                e->output;
    }
    const struct outlog_ref *last = &run->refs[run->n_refs - 1];
    if (!x->ops->whole_runs)
        return 0;
    r->has_origin = outlog_read_origin(x->s.reader, last, &r->origin);
    return run->finished ? log_batch_add_end(&x->batch, last, err) : 0;
}

static int add_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct exporter *x = arg;
    int rc = x->rc < 0 ? x->rc : describe(x, run, err);
    if (rc == 0)
        rc = log_batch_mark(&x->batch, MARK_RUN, x->n_runs - 1, err);
    if (rc == 0)
        rc = add_channel(x, run, OUTLOG_STDERR, err);
    if (rc == 0)
        rc = add_channel(x, run, OUTLOG_STDOUT, err);
    return rc < 0 ? rc : log_batch_mark(&x->batch, MARK_END, 0, err);
}

static int existing(void *arg UNUSED, const struct outlog_run *run UNUSED,
                    struct error *err UNUSED)
{
    return 0;
}

static int export(struct exporter *x, struct error *err)
{
    /* Nothing comes out unless all that was named is there. */
    int rc = log_walk(&x->s, &x->choice, existing, x, err);
    if (rc == 0)
        rc = x->ops->begin(x, err);
    if (rc < 0)
        return rc;
    log_batch_init(&x->batch, x->s.reader, &events, x);
    rc = log_walk(&x->s, &x->choice, add_run, x, err);
    if (rc == 0)
        rc = log_batch_flush(&x->batch, err);
    log_batch_release(&x->batch);
    if (rc == 0)
        rc = x->rc;
    return rc < 0 ? rc : x->ops->finish(x, err);
}

struct form {
    const char *name;
    const struct export_ops *ops;
    const char *to; /* what --to names; NULL: it goes to standard output */
};

static const struct form *choose_form(const struct args *a)
{
    static const struct form forms[] = {{"json", &export_json, NULL},
                                        {"jsonl", &export_jsonl, NULL},
                                        {"dir", &export_files, "DIR"},
                                        {"tar", &export_tar, NULL},
                                        {"sqlite", &export_sqlite, "FILE"}};
    const char *name = args_declared(a, "format") ? args_str(a, "format") : "json";
    for (size_t i = 1; i < ARRAY_SIZE(forms); i++)
        if (strcmp(name, forms[i].name) == 0)
            return &forms[i];
    return &forms[0];
}

static int read_to(struct exporter *x, const struct form *form, const struct args *a,
                   struct error *err)
{
    if (args_declared(a, "to"))
        x->to = args_str(a, "to");
    if (form->to && !x->to)
        return error_set(err, ERR_INVALID, "--format %s needs --to %s", form->name,
                         form->to);
    if (!form->to && x->to)
        return error_set(err, ERR_INVALID,
                         "--format %s goes to standard output and takes no --to",
                         form->name);
    return 0;
}

int log_cmd_export(struct run *r, struct error *err)
{
    const struct form *form = choose_form(r->args);
    struct exporter x = {.out = r->out,
                         .err = err,
                         .fd = -1,
                         .ops = form->ops,
                         .text = BUF_INIT(BUF_MAX_DEFAULT),
                         .path = BUF_INIT(BUF_MAX_DEFAULT)};
    int rc = read_to(&x, form, r->args, err);
    if (rc == 0)
        rc = log_source_open(&x.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&x.choice, &x.s, r, err);
    x.with_job = x.choice.any_job;
    if (rc == 0)
        rc = log_choice_settle_job(&x.choice, &x.s, err);
    x.choice.must_exist = !x.choice.any_job;
    if (rc == 0)
        rc = export(&x, err);
    if (rc == 0)
        output_no_value(r->out);
    if (x.ops->release)
        x.ops->release(&x);
    if (x.fd >= 0)
        (void)close(x.fd);
    free(x.runs);
    buf_release(&x.text);
    buf_release(&x.path);
    log_choice_release(&x.choice);
    log_source_release(&x.s);
    return rc;
}
