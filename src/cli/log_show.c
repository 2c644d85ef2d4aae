/*
 * `hq log X show`: blocks in the order of time, or task by task. A choice of few blocks
 * is taken from the index and sorted by time; else the whole log is read once from
 * start to end.
 */
#include "cli/log_cmd.h"

#include <stdlib.h>
#include <string.h>
#include "base/u64map.h"
#include "cli/log_batch.h"
#include "cli/log_choice.h"
#include "cli/log_follow.h"
#include "cli/log_print.h"

#define SORT_MAX 500000u /* blocks that are sorted in memory */

struct show {
    struct log_source s;
    struct log_choice choice;
    struct log_printer printer;
    struct log_match match;
    bool by_task, following;
    struct log_follow follow;
    struct log_batch batch;
    struct error *err; /* for what goes wrong in printing it */
    int rc;
    struct outlog_key last;  /* printed, by task */
    struct outlog_ref *refs; /* the chosen blocks, unless there are too many */
    size_t n_refs, cap_refs;
    bool too_many;
    bool listed; /* `newest` holds all chosen tasks */
    /* (job, task) to the instance shown, where that is not the first */
    struct u64map newest;
};

static uint64_t task_key(uint32_t job, uint32_t task)
{
    return (uint64_t)job << 32 | task;
}

/* ---- few blocks: from the index ----------------------------------------------------
 */

static int collect(void *arg, const struct outlog_run *run, struct error *err)
{
    struct show *w = arg;
    if (run->newest && (run->instance > 0 || w->listed) && !w->choice.all_instances &&
        u64map_set(&w->newest, task_key(run->job, run->task), run->instance) < 0)
        return error_nomem(err);
    for (size_t i = 0; i < run->n_refs && !w->too_many; i++) {
        if (!log_choice_has_block(&w->choice, &run->refs[i].e))
            continue;
        bool may_scan = !(w->listed && w->choice.all_instances) && !w->following;
        if (w->n_refs >= SORT_MAX && may_scan) {
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

static void print_block(void *arg, const struct outlog_entry *e, const uint8_t *data,
                        size_t n)
{
    struct show *w = arg;
    if (w->rc == 0)
        w->rc = log_printer_block(&w->printer, e, data, n, w->err);
}

static const struct log_batch_events time_events = {.on_data = print_block};

static int print_sorted(struct show *w, struct error *err)
{
    mend_times(w);
    if (w->n_refs)
        qsort(w->refs, w->n_refs, sizeof *w->refs, by_time);
    w->err = err;
    log_batch_init(&w->batch, w->s.reader, &time_events, w);
    int rc = 0;
    for (size_t i = 0; i < w->n_refs && rc == 0 && w->rc == 0; i++)
        rc = log_batch_add(&w->batch, &w->refs[i], err);
    if (rc == 0)
        rc = log_batch_flush(&w->batch, err);
    log_batch_release(&w->batch);
    return rc < 0 ? rc : w->rc;
}

/* ---- many blocks: one pass over the log --------------------------------------------
 */

static bool is_shown(const struct show *w, const struct outlog_entry *e)
{
    uint64_t newest;
    if (!log_choice_has_block(&w->choice, e) || !log_choice_has_id(&w->choice, &e->key))
        return false;
    if (w->choice.all_instances)
        return true;
    if (!u64map_get(&w->newest, task_key(e->key.job, e->key.task), &newest))
        return !w->listed;
    return e->key.instance == newest;
}

static int print_scanned(struct show *w, struct error *err)
{
    struct outlog_block_filter filter = {
        .any_job = true, .channel = w->choice.channel, .verify = true};
    struct outlog_blocks *it;
    struct outlog_ref ref;
    int rc = outlog_blocks_create(&it, w->s.reader, &filter, err);
    if (rc < 0)
        return rc;
    while ((rc = outlog_blocks_next(it, &ref, err)) == 1) {
        const uint8_t *data = is_shown(w, &ref.e) ? outlog_blocks_data(it) : NULL;
        if (data)
            rc = log_printer_block(&w->printer, &ref.e, data, ref.e.output, err);
        if (rc < 0)
            break;
    }
    outlog_blocks_destroy(it);
    return rc;
}

static int show_by_time(struct show *w, struct error *err)
{
    w->listed = log_choice_by_run(&w->choice);
    int rc = log_walk(&w->s, &w->choice, collect, w, err);
    if (rc < 0)
        return rc;
    return w->too_many ? print_scanned(w, err) : print_sorted(w, err);
}

/* ---- by task -----------------------------------------------------------------------
 */

static bool same_run(const struct outlog_key *a, const struct outlog_key *b)
{
    return a->job == b->job && a->task == b->task && a->instance == b->instance;
}

static void on_block(void *arg, const struct outlog_entry *e, const uint8_t *data,
                     size_t n)
{
    struct show *w = arg;
    if (w->rc == 0 && !same_run(&w->last, &e->key))
        w->rc = log_printer_finish(&w->printer, w->err);
    w->last = e->key;
    print_block(w, e, data, n);
}

static const struct log_batch_events task_events = {.on_data = on_block};

static int add_blocks(void *arg, const struct outlog_run *run, struct error *err)
{
    struct show *w = arg;
    int rc = w->rc;
    for (size_t i = 0; i < run->n_refs && rc == 0; i++)
        if (log_choice_has_block(&w->choice, &run->refs[i].e))
            rc = log_batch_add(&w->batch, &run->refs[i], err);
    return rc;
}

static int show_by_task(struct show *w, struct error *err)
{
    w->err = err;
    log_batch_init(&w->batch, w->s.reader, &task_events, w);
    int rc = log_walk(&w->s, &w->choice, add_blocks, w, err);
    if (rc == 0)
        rc = log_batch_flush(&w->batch, err);
    log_batch_release(&w->batch);
    return rc < 0 ? rc : w->rc;
}

/* ---- following ---------------------------------------------------------------------
 */

static int print_new(void *arg, const struct outlog_entry *e, const uint8_t *data,
                     size_t n, struct error *err)
{
    struct show *w = arg;
    return log_printer_block(&w->printer, e, data, n, err);
}

static int show(struct show *w, const struct run *r, struct error *err)
{
    int rc = 0;
    w->following = w->s.follow;
    if (w->following)
        rc = log_follow_begin(&w->follow, r, &w->s, &w->choice, err);
    if (rc == 0)
        rc = w->by_task ? show_by_task(w, err) : show_by_time(w, err);
    if (rc == 0 && w->following)
        rc = log_follow_run(&w->follow, print_new, w, err);
    if (w->following)
        log_follow_release(&w->follow);
    return rc;
}

/* ---- the command --------------------------------------------------------------------
 */

static int read_options(struct show *w, const struct run *r, struct error *err)
{
    const struct args *a = r->args;
    struct log_printer *p = &w->printer;
    if (!args_declared(a, "lines"))
        return 0; /* the older spelling has none of these */
    p->lines = args_flag(a, "lines") || args_given(a, "grep");
    p->times = args_flag(a, "timestamps");
    w->by_task = strcmp(args_str(a, "order"), "task") == 0;
    if (!args_given(a, "grep"))
        return 0;
    p->match = &w->match;
    return log_match_init(&w->match, args_str(a, "grep"), false, false, err);
}

int log_cmd_show(struct run *r, struct error *err)
{
    struct show w = {.newest = U64MAP_INIT};
    int rc = log_source_open(&w.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&w.choice, &w.s, r, err);
    if (rc == 0)
        rc = log_printer_init(&w.printer, r->out, &w.s, err);
    if (rc == 0)
        rc = read_options(&w, r, err);
    if (rc == 0)
        rc = show(&w, r, err);
    if (rc == 0)
        rc = log_printer_finish(&w.printer, err);
    if (rc == 0)
        output_no_value(r->out);
    free(w.refs);
    u64map_release(&w.newest);
    log_match_release(&w.match);
    log_printer_release(&w.printer);
    log_choice_release(&w.choice);
    log_source_release(&w.s);
    return rc;
}
