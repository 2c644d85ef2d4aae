/* Runs in the order of (job, task, instance): all sources merged by key. */
#include "outlog/reader_impl.h"

#include <stdlib.h>
#include "base/heap.h"

struct outlog_runs {
    struct outlog_reader *r;
    struct source *sources;
    size_t n_sources, cap_sources;
    struct heap heap;       /* those with a current entry, by its key */
    struct outlog_key from; /* entries below were asked to be left out */
    bool skip_last;         /* … and those up to `last` were given out already */
    struct outlog_key last;
    struct outlog_ref *refs;
    size_t n_refs, cap_refs;
    size_t taken; /* refs of the runs already given out */
};

/* ---- sources ----------------------------------------------------------------------
 */

static void release_sources(struct outlog_runs *it)
{
    for (size_t i = 0; i < it->n_sources; i++)
        source_release(&it->sources[i]);
    it->n_sources = it->heap.len = 0;
}

static int add_source(struct outlog_runs *it, enum source_kind kind, struct logfile *f,
                      struct extent_info *x, struct error *err)
{
    if (it->n_sources == it->cap_sources) {
        size_t cap = it->cap_sources ? it->cap_sources * 2 : 16;
        struct source *grown = realloc(it->sources, cap * sizeof *grown);
        if (!grown)
            return error_nomem(err);
        it->sources = grown;
        it->cap_sources = cap;
    }
    if (!source_init(&it->sources[it->n_sources++], kind, f, x, &it->from))
        return error_nomem(err);
    return 0;
}

static int add_file_sources(struct outlog_runs *it, struct logfile *f,
                            struct error *err)
{
    bool tree = f->sealed && !f->seal_bad;
    struct extent_list *l = logfile_extents(f, tree, err);
    if (!l)
        return ERR_NOMEM;
    int rc = tree ? add_source(it, SOURCE_TREE, f, NULL, err) : 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        struct extent_info *x = &l->items[i];
        bool index = extent_has_index(x);
        if (!index)
            rc = extent_scan(f, x, err);
        if (rc == 0)
            rc = add_source(it, index ? SOURCE_INDEX : SOURCE_ARRAY, f, x, err);
    }
    return rc;
}

/* Moves a source to its next wanted entry. */
static bool advance(struct outlog_runs *it, struct source *s)
{
    while (source_next(s)) {
        if (outlog_key_cmp(&s->e.key, &it->from) < 0)
            continue;
        if (it->skip_last && outlog_key_cmp(&s->e.key, &it->last) <= 0)
            continue;
        return true;
    }
    return false;
}

static struct heap_item item_of(struct source *s)
{
    const struct outlog_key *k = &s->e.key;
    return (struct heap_item){.high = (uint64_t)k->job << 32 | k->task,
                              .low = (uint64_t)k->instance << 32 | k->seq,
                              .payload = (uintptr_t)s};
}

/* The source with the smallest entry; NULL: all are at their end. */
static struct source *first(const struct outlog_runs *it)
{
    const struct heap_item *top = heap_peek(&it->heap);
    return top ? (struct source *)(uintptr_t)top->payload : NULL;
}

/*
 * Sets all sources to it->from. A source that turns out to be damaged marks its index
 * as bad; then everything is set up again without it. Ends, since each round loses one.
 */
static int start(struct outlog_runs *it, struct error *err)
{
    for (;;) {
        release_sources(it);
        for (size_t i = 0; i < it->r->n_files; i++) {
            int rc = add_file_sources(it, it->r->files[i], err);
            if (rc < 0)
                return rc;
        }
        bool bad = false;
        for (size_t i = 0; i < it->n_sources; i++) {
            struct source *s = &it->sources[i];
            if (advance(it, s) && heap_push(&it->heap, item_of(s)) < 0)
                return error_nomem(err);
            bad = bad || s->bad;
        }
        if (!bad)
            return 0;
    }
}

/* The source with the smallest entry goes on. */
static int move_on(struct outlog_runs *it, struct error *err)
{
    struct heap_item item;
    struct source *s = first(it);
    bool more = advance(it, s);
    if (s->bad)
        return start(it, err);
    if (more)
        heap_replace_top(&it->heap, item_of(s));
    else
        (void)heap_pop(&it->heap, &item);
    return 0;
}

/* The smallest entry; 1, 0 at the end, negative. */
static int next_entry(struct outlog_runs *it, struct outlog_ref *ref, struct error *err)
{
    const struct source *s = first(it);
    if (!s)
        return 0;
    ref->e = s->e;
    ref->file = s->f->number;
    it->skip_last = true;
    it->last = ref->e.key;
    int rc = move_on(it, err);
    /* The same block again: copies of one file are read together. */
    while (rc == 0 && (s = first(it)) && outlog_key_cmp(&s->e.key, &it->last) <= 0)
        rc = move_on(it, err);
    return rc < 0 ? rc : 1;
}

/* ---- runs -------------------------------------------------------------------------
 */

static bool push_ref(struct outlog_runs *it, const struct outlog_ref *ref)
{
    if (it->n_refs == it->cap_refs) {
        size_t cap = it->cap_refs ? it->cap_refs * 2 : 64;
        struct outlog_ref *grown = realloc(it->refs, cap * sizeof *grown);
        if (!grown)
            return false;
        it->refs = grown;
        it->cap_refs = cap;
    }
    it->refs[it->n_refs++] = *ref;
    return true;
}

static bool same_task(const struct outlog_key *a, const struct outlog_key *b)
{
    return a->job == b->job && a->task == b->task;
}

/* All entries of the next task into it->refs. The entry behind stays in the heap. */
static int gather(struct outlog_runs *it, struct error *err)
{
    it->n_refs = it->taken = 0;
    for (;;) {
        const struct source *s = first(it);
        if (it->n_refs && s && !same_task(&s->e.key, &it->refs[0].e.key))
            return 1;
        struct outlog_ref ref;
        int rc = next_entry(it, &ref, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            return it->n_refs ? 1 : 0;
        if (!push_ref(it, &ref))
            return error_nomem(err);
    }
}

static void describe(struct outlog_runs *it, struct outlog_run *run)
{
    const struct outlog_ref *refs = it->refs + it->taken;
    size_t left = it->n_refs - it->taken, n = 1;
    while (n < left && refs[n].e.key.instance == refs[0].e.key.instance)
        n++;
    *run = (struct outlog_run){
        .job = refs[0].e.key.job,
        .task = refs[0].e.key.task,
        .instance = refs[0].e.key.instance,
        .newest = n == left,
        .first_us = refs[0].e.time_us,
        .last_us = refs[0].e.time_us,
        .refs = refs,
        .n_refs = n,
    };
    for (size_t i = 0; i < n; i++) {
        const struct outlog_entry *e = &refs[i].e;
        run->first_us = MIN(run->first_us, e->time_us);
        run->last_us = MAX(run->last_us, e->time_us);
        run->gaps = run->gaps || e->key.seq != i;
        if (e->type == OUTLOG_BLOCK_STDOUT)
            run->bytes[OUTLOG_STDOUT] += e->output;
        if (e->type == OUTLOG_BLOCK_STDERR)
            run->bytes[OUTLOG_STDERR] += e->output;
        if (e->flags & OUTLOG_FLAG_END) {
            run->finished = true;
            run->cut = (e->flags & OUTLOG_FLAG_CUT) != 0;
            run->state = (enum outlog_state)e->state;
        }
    }
    it->taken += n;
}

int outlog_runs_create(struct outlog_runs **out, struct outlog_reader *r,
                       struct error *err)
{
    struct outlog_runs *it = calloc(1, sizeof *it);
    if (!it)
        return error_nomem(err);
    it->r = r;
    *out = it;
    return 0;
}

void outlog_runs_destroy(struct outlog_runs *it)
{
    if (!it)
        return;
    release_sources(it);
    free(it->sources);
    heap_release(&it->heap);
    free(it->refs);
    free(it);
}

int outlog_runs_seek(struct outlog_runs *it, uint32_t job, uint32_t task,
                     struct error *err)
{
    it->from = (struct outlog_key){job, task, 0, 0};
    it->skip_last = false;
    it->n_refs = it->taken = 0;
    return start(it, err);
}

int outlog_runs_next(struct outlog_runs *it, struct outlog_run *run, struct error *err)
{
    if (it->n_sources == 0 && it->n_refs == 0) {
        int rc = start(it, err);
        if (rc < 0)
            return rc;
    }
    if (it->taken >= it->n_refs) {
        int rc = gather(it, err);
        if (rc <= 0)
            return rc;
    }
    describe(it, run);
    return 1;
}
