/* How much is in a log, and its largest ids. */
#include "outlog/reader_impl.h"

void outlog_count_run(struct outlog_counts *c, const struct outlog_run *run)
{
    c->n_instances++;
    c->n_blocks += run->n_refs;
    c->max_job = MAX(c->max_job, run->job);
    c->max_task = MAX(c->max_task, run->task);
    uint64_t *bytes = run->newest ? c->bytes : c->superseded_bytes;
    bytes[0] += run->bytes[0];
    bytes[1] += run->bytes[1];
    if (!run->newest)
        return;
    c->n_tasks++;
    c->n_unfinished += run->finished ? 0 : 1;
}

/* One sealed file with nothing behind the seal: its counts are there already. */
static bool from_seal(struct outlog_reader *r, struct outlog_counts *c)
{
    if (r->n_files != 1 || !r->files[0]->sealed)
        return false;
    struct extent_list *tail = logfile_extents(r->files[0], true, NULL);
    if (!tail || tail->n > 0)
        return false;
    *c = r->files[0]->slot.counts;
    return true;
}

int outlog_reader_counts(struct outlog_reader *r, struct outlog_counts *c,
                         struct error *err)
{
    *c = (struct outlog_counts){0};
    if (from_seal(r, c))
        return 0;
    struct outlog_runs *it;
    int rc = outlog_runs_create(&it, r, err);
    if (rc < 0)
        return rc;
    struct outlog_run run;
    uint32_t job = 0;
    while ((rc = outlog_runs_next(it, &run, err)) == 1) {
        if (c->n_jobs == 0 || run.job != job)
            c->n_jobs++;
        job = run.job;
        outlog_count_run(c, &run);
    }
    outlog_runs_destroy(it);
    return rc;
}

static int extent_ids(struct logfile *f, struct extent_info *x, struct outlog_ids *ids,
                      struct error *err)
{
    if (extent_has_index(x)) {
        struct source s;
        struct outlog_key first = {0};
        bool made = source_init(&s, SOURCE_INDEX, f, x, &first);
        bool good = made && source_largest_ids(&s, ids);
        source_release(&s);
        if (good || !made)
            return made ? 0 : error_nomem(err);
    }
    int rc = extent_scan(f, x, err);
    for (size_t i = 0; i < x->n_entries && rc == 0; i++) {
        ids->job = MAX(ids->job, x->entries[i].key.job);
        ids->task = MAX(ids->task, x->entries[i].key.task);
    }
    return rc;
}

int outlog_reader_largest_ids(struct outlog_reader *r, struct outlog_ids *ids,
                              struct error *err)
{
    *ids = (struct outlog_ids){0};
    int rc = 0;
    for (size_t i = 0; i < r->n_files && rc == 0; i++) {
        struct logfile *f = r->files[i];
        struct extent_list *l = logfile_extents(f, f->sealed, err);
        if (!l)
            return ERR_NOMEM;
        if (f->sealed) {
            ids->job = MAX(ids->job, f->slot.counts.max_job);
            ids->task = MAX(ids->task, f->slot.counts.max_task);
        }
        for (size_t k = 0; k < l->n && rc == 0; k++)
            rc = extent_ids(f, &l->items[k], ids, err);
    }
    return rc;
}
