/*
 * `hq log X show`: blocks in the order of time. A choice of few blocks is taken from
 * the index and sorted; else the whole log is read once from start to end.
 */
#include "cli/log_cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "base/u64map.h"
#include "cli/log_open.h"

#define SORT_MAX 500000u /* blocks that are sorted in memory */

struct show {
    struct output *out;
    struct log_source s;
    struct log_choice choice;
    int channel; /* -1: both */
    int job_width, task_width;
    struct outlog_ref *refs; /* the chosen blocks, unless there are too many */
    size_t n_refs, cap_refs;
    bool too_many;
    struct u64map
        newest; /* (job, task) to newest instance, where that is not the first */
    struct buf text;
};

static uint64_t task_key(uint32_t job, uint32_t task)
{
    return (uint64_t)job << 32 | task;
}

static int width_of(uint32_t v)
{
    char digits[16];
    return snprintf(digits, sizeof digits, "%u", v);
}

static bool wanted_type(const struct show *w, uint8_t type)
{
    if (type != OUTLOG_BLOCK_STDOUT && type != OUTLOG_BLOCK_STDERR)
        return false;
    if (w->channel < 0)
        return true;
    return (type == OUTLOG_BLOCK_STDERR) == (w->channel == OUTLOG_STDERR);
}

/* ---- printing ---------------------------------------------------------------------
 */

static void print_data(struct show *w, const struct outlog_entry *e,
                       const uint8_t *data, size_t n)
{
    if (n == 0)
        return;
    if (w->out->colour)
        output_printf(w->out, "\x1b[%dm", 41 + (int)(e->key.task % 6));
    output_printf(w->out, "%0*u.%0*u:%c>", w->job_width, e->key.job, w->task_width,
                  e->key.task, e->type == OUTLOG_BLOCK_STDERR ? '1' : '0');
    if (w->out->colour)
        output_puts(w->out, "\x1b[0m");
    output_puts(w->out, " ");
    buf_clear(&w->text);
    text_lossy(&w->text, (const char *)data, n);
    output_write(w->out, w->text.data, w->text.len);
    if (data[n - 1] != '\n')
        output_puts(w->out, "\n");
}

static int print_block(struct show *w, const struct outlog_ref *ref, struct error *err)
{
    const uint8_t *data;
    size_t n;
    int rc = outlog_read_block(w->s.reader, ref, &data, &n);
    if (rc == ERR_CORRUPT)
        return 0; /* told already */
    if (rc < 0)
        return error_nomem(err);
    print_data(w, &ref->e, data, n);
    return 0;
}

/* ---- few blocks: from the index ----------------------------------------------------
 */

static int collect(void *arg, const struct outlog_run *run, struct error *err)
{
    struct show *w = arg;
    if (run->newest && run->instance > 0 && !w->choice.all_instances &&
        u64map_set(&w->newest, task_key(run->job, run->task), run->instance) < 0)
        return error_nomem(err);
    for (size_t i = 0; i < run->n_refs && !w->too_many; i++) {
        if (!wanted_type(w, run->refs[i].e.type))
            continue;
        if (w->n_refs >= SORT_MAX) {
            w->too_many = true;
            break;
        }
        if (w->n_refs == w->cap_refs) {
            size_t cap = w->cap_refs ? w->cap_refs * 2 : 256;
            struct outlog_ref *grown = realloc(w->refs, cap * sizeof *grown);
            if (!grown)
                return error_nomem(err);
            w->refs = grown;
            w->cap_refs = cap;
        }
        w->refs[w->n_refs++] = run->refs[i];
    }
    return 0;
}

static int by_time(const void *pa, const void *pb)
{
    const struct outlog_ref *a = pa, *b = pb;
    if (a->e.time_us != b->e.time_us)
        return a->e.time_us < b->e.time_us ? -1 : 1;
    return outlog_key_cmp(&a->e.key, &b->e.key);
}

/* The order inside a run is that of seq, even if its worker's clock went backwards. */
static void mend_times(struct show *w)
{
    for (size_t i = 1; i < w->n_refs; i++) {
        struct outlog_entry *e = &w->refs[i].e;
        const struct outlog_entry *before = &w->refs[i - 1].e;
        if (e->key.job == before->key.job && e->key.task == before->key.task &&
            e->key.instance == before->key.instance)
            e->time_us = MAX(e->time_us, before->time_us);
    }
}

static int print_sorted(struct show *w, struct error *err)
{
    mend_times(w);
    if (w->n_refs)
        qsort(w->refs, w->n_refs, sizeof *w->refs, by_time);
    int rc = 0;
    for (size_t i = 0; i < w->n_refs && rc == 0; i++)
        rc = print_block(w, &w->refs[i], err);
    return rc;
}

/* ---- many blocks: one pass over the log --------------------------------------------
 */

static bool is_chosen(const struct show *w, const struct outlog_entry *e)
{
    uint64_t newest;
    if (!wanted_type(w, e->type))
        return false;
    if (w->choice.has_tasks && !idset_contains(&w->choice.tasks, e->key.task))
        return false;
    if (w->choice.all_instances)
        return true;
    if (!u64map_get(&w->newest, task_key(e->key.job, e->key.task), &newest))
        return true;
    return e->key.instance == newest;
}

static int print_scanned(struct show *w, struct error *err)
{
    struct outlog_block_filter filter = {
        .any_job = w->choice.any_job,
        .job = w->choice.job,
        .channel = w->channel,
        .verify = true,
    };
    struct outlog_blocks *it;
    struct outlog_ref ref;
    int rc = outlog_blocks_create(&it, w->s.reader, &filter, err);
    if (rc < 0)
        return rc;
    while ((rc = outlog_blocks_next(it, &ref, err)) == 1) {
        const uint8_t *data = is_chosen(w, &ref.e) ? outlog_blocks_data(it) : NULL;
        if (data)
            print_data(w, &ref.e, data, ref.e.output);
    }
    outlog_blocks_destroy(it);
    return rc;
}

static int show(struct show *w, struct error *err)
{
    /* Widths are those of the whole log, whatever is chosen. */
    struct outlog_counts counts;
    int rc = outlog_reader_counts(w->s.reader, &counts, err);
    if (rc < 0)
        return rc;
    w->job_width = width_of(counts.max_job);
    w->task_width = width_of(counts.max_task);
    rc = log_walk(&w->s, &w->choice, collect, w, err);
    if (rc < 0)
        return rc;
    return w->too_many ? print_scanned(w, err) : print_sorted(w, err);
}

int log_cmd_show(struct run *r, struct error *err)
{
    struct show w = {
        .out = r->out,
        .channel = -1,
        .newest = U64MAP_INIT,
        .text = BUF_INIT(BUF_MAX_DEFAULT),
    };
    const char *channel = args_str(r->args, "channel");
    if (channel)
        w.channel = strcmp(channel, "stderr") == 0 ? OUTLOG_STDERR : OUTLOG_STDOUT;
    int rc = log_source_open(&w.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&w.choice, &w.s, r, err);
    if (rc == 0)
        rc = show(&w, err);
    if (rc == 0)
        output_no_value(r->out);
    free(w.refs);
    u64map_release(&w.newest);
    buf_release(&w.text);
    log_choice_release(&w.choice);
    log_source_release(&w.s);
    return rc;
}
