#include "cli/log_find.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_MAX (32u << 20) /* bytes of lines that the threads keep */
/* When half of at least so many bytes must be read again a thread calls it off. */
#define SEEN_MIN (16u << 20)

/* A block that ends with a beginning of the text. */
struct open_end {
    uint32_t instance, seq; /* seq: of the run's block seen last */
    uint8_t type;
    uint64_t ends; /* of log_match_in */
};

/* Such a block, or one that begins inside of the text behind one that was perhaps
 * passed over. */
struct left_end {
    uint64_t key;
    struct open_end o;
    bool inside;
    uint32_t file, inner; /* where it lies, if so: */
    uint64_t offset;
};

/* What one thread looks at. */
struct find_part {
    struct log_find *f;
    struct outlog_reader *reader;
    uint32_t number;
    struct u64map found; /* (job, task) to 1 + index of its hit, 0: to be read again */
    struct log_hit *hits;
    size_t n_hits, cap_hits;
    struct buf lines;
    struct u64map open; /* (job, task) to the end of its last block */
    struct open_end *ends;
    size_t n_ends, cap_ends;
    struct outlog_block_filter filter;
    struct left_end *insides;
    size_t n_insides, cap_insides;
    uint64_t seen, again; /* bytes looked at; of blocks that must be read again */
    int rc;
    struct error err;
};

static uint64_t task_key(const struct outlog_key *k)
{
    return (uint64_t)k->job << 32 | k->task;
}

void log_find_init(struct log_find *f, struct log_source *s, const struct log_choice *c,
                   const struct log_match *m, bool keep_lines)
{
    *f = (struct log_find){.s = s,
                           .choice = c,
                           .match = m,
                           .keep_lines = keep_lines,
                           .found = U64MAP_INIT,
                           .lock = PTHREAD_MUTEX_INITIALIZER};
}

void log_find_release(struct log_find *f)
{
    for (size_t i = 0; i < f->n_parts; i++) {
        struct find_part *p = &f->parts[i];
        outlog_reader_destroy(p->reader);
        u64map_release(&p->found);
        u64map_release(&p->open);
        buf_release(&p->lines);
        free(p->hits);
        free(p->ends);
        free(p->insides);
    }
    free(f->parts);
    u64map_release(&f->found);
    f->parts = NULL;
    f->n_parts = 0;
}

static void on_damage(void *arg, const struct outlog_damage *d)
{
    struct log_find *f = arg;
    (void)pthread_mutex_lock(&f->lock);
    outlog_reader_damage(f->s->reader, d);
    f->forgetful = log_source_know(f->s, d) < 0 || f->forgetful;
    (void)pthread_mutex_unlock(&f->lock);
}

/* ---- lines -------------------------------------------------------------------------
 */

static struct log_hit *add_hit(struct find_part *p, const struct outlog_entry *e)
{
    if (p->n_hits == p->cap_hits) {
        size_t cap = p->cap_hits ? p->cap_hits * 2 : 64;
        struct log_hit *grown = realloc(p->hits, cap * sizeof *grown);
        if (!grown)
            return NULL;
        p->hits = grown;
        p->cap_hits = cap;
    }
    struct log_hit *h = &p->hits[p->n_hits++];
    *h = (struct log_hit){.e = *e, .at = p->lines.len};
    return h;
}

/* Keeps the lines found in a block that is a whole run. */
static int keep_lines(struct find_part *p, const struct outlog_entry *e,
                      const uint8_t *data)
{
    const uint8_t *end = data + e->output;
    struct log_hit *h = add_hit(p, e);
    if (!h)
        return error_nomem(&p->err);
    for (const uint8_t *feed; data < end; data = feed + 1) {
        feed = memchr(data, '\n', (size_t)(end - data));
        feed = feed ? feed : end;
        if (!log_match_line(p->f->match, data, (size_t)(feed - data)))
            continue;
        h->n_lines++;
        if (!p->f->keep_lines)
            continue;
        buf_append(&p->lines, data, (size_t)(feed - data));
        buf_puts(&p->lines, "\n");
    }
    h->n = p->lines.len - h->at;
    if (h->n_lines == 0)
        p->n_hits--;
    return p->lines.failed ? error_nomem(&p->err) : 0;
}

/* A task that comes twice is read again. */
static int note(struct find_part *p, const struct outlog_entry *e, uint64_t value)
{
    uint64_t old, key = task_key(&e->key);
    if (u64map_get(&p->found, key, &old))
        value = 0;
    return u64map_set(&p->found, key, value) < 0 ? error_nomem(&p->err) : 0;
}

static int look_at(struct find_part *p, const struct outlog_entry *e,
                   const uint8_t *data)
{
    bool whole = e->key.seq == 0 && e->flags & OUTLOG_FLAG_END;
    size_t before = p->n_hits;
    if (!whole || p->lines.len > KEPT_MAX / p->f->n_parts) {
        p->again += e->output;
        return note(p, e, 0);
    }
    int rc = keep_lines(p, e, data);
    return rc < 0 || p->n_hits == before ? rc : note(p, e, p->n_hits);
}

/* ---- texts that go over the border of blocks ----------------------------------------
 */

static int open_end(struct find_part *p, const struct outlog_entry *e, uint64_t ends)
{
    if (p->n_ends == p->cap_ends) {
        size_t cap = p->cap_ends ? p->cap_ends * 2 : 64;
        struct open_end *grown = realloc(p->ends, cap * sizeof *grown);
        if (!grown)
            return error_nomem(&p->err);
        p->ends = grown;
        p->cap_ends = cap;
    }
    p->ends[p->n_ends] = (struct open_end){e->key.instance, e->key.seq, e->type, ends};
    return u64map_set(&p->open, task_key(&e->key), p->n_ends++) < 0
               ? error_nomem(&p->err)
               : 0;
}

/* Whether the text begun in an earlier block of the task goes on in this one. */
static int go_on(struct find_part *p, struct outlog_blocks *it,
                 const struct outlog_entry *e)
{
    uint64_t at, key = task_key(&e->key);
    if (p->open.n == 0 || !u64map_get(&p->open, key, &at))
        return 0;
    struct open_end *o = &p->ends[at];
    bool next = e->key.instance == o->instance && e->key.seq == o->seq + 1;
    bool end = (e->flags & OUTLOG_FLAG_END) != 0;
    if (next && e->type != o->type && !end) {
        o->seq++;
        return 0;
    }
    (void)u64map_remove(&p->open, key);
    if (next && e->type != o->type)
        return 0; /* the last one of its run */
    const uint8_t *data = next ? outlog_blocks_data(it) : NULL;
    if (data && !log_match_goes_on(p->f->match, o->ends, data, e->output))
        return 0;
    return note(p, e, 0);
}

static int keep_inside(struct find_part *p, const struct outlog_ref *ref)
{
    const struct outlog_entry *e = &ref->e;
    if (p->n_insides == p->cap_insides) {
        size_t cap = p->cap_insides ? p->cap_insides * 2 : 64;
        struct left_end *grown = realloc(p->insides, cap * sizeof *grown);
        if (!grown)
            return error_nomem(&p->err);
        p->insides = grown;
        p->cap_insides = cap;
    }
    p->insides[p->n_insides++] =
        (struct left_end){.key = task_key(&e->key),
                          .o = {.instance = e->key.instance, .type = e->type},
                          .inside = true,
                          .file = ref->file,
                          .inner = e->inner,
                          .offset = e->offset};
    return 0;
}

static int look_in(struct find_part *p, struct outlog_blocks *it,
                   const struct outlog_ref *ref, struct buf *fold)
{
    const struct outlog_entry *e = &ref->e;
    const struct log_choice *c = p->f->choice;
    uint64_t ends;
    if (!log_choice_has_id(c, &e->key))
        return 0;
    int rc = go_on(p, it, e);
    if (rc < 0 || e->output == 0 || !log_choice_has_block(c, e))
        return rc;
    const uint8_t *data = outlog_blocks_data(it);
    if (!data)
        return 0;
    p->seen += e->output;
    if (log_match_in(p->f->match, data, e->output, fold, &ends))
        return look_at(p, e, data);
    if (p->filter.may_skip && log_match_begins_inside(p->f->match, data, e->output) &&
        (rc = keep_inside(p, ref)) < 0)
        return rc;
    if (p->filter.may_skip)
        ends = log_match_ends_rare(p->f->match, ends);
    return ends && !(e->flags & OUTLOG_FLAG_END) ? open_end(p, e, ends) : 0;
}

static int look(struct find_part *p, struct outlog_blocks *it, struct buf *fold)
{
    struct outlog_ref ref;
    int rc;
    while ((rc = outlog_blocks_next(it, &ref, &p->err)) == 1) {
        if ((rc = look_in(p, it, &ref, fold)) < 0)
            return rc;
        if (p->seen >= SEEN_MIN && p->again >= p->seen / 2)
            p->f->pointless = true;
        if (p->f->pointless)
            return 0;
    }
    return rc;
}

static void run_part(void *arg)
{
    struct find_part *p = arg;
    p->filter = (struct outlog_block_filter){.any_job = true,
                                             .channel = p->f->choice->channel,
                                             .verify = true,
                                             .in_place = true,
                                             .part = p->number,
                                             .n_parts = (uint32_t)p->f->n_parts};
    p->filter.may_skip = log_match_rare(p->f->match, p->filter.unless);
    struct buf fold = BUF_INIT(BUF_MAX_DEFAULT);
    struct outlog_blocks *it = NULL;
    outlog_reader_on_damage(p->reader, on_damage, p->f);
    p->rc = outlog_blocks_create(&it, p->reader, &p->filter, &p->err);
    if (p->rc == 0)
        p->rc = look(p, it, &fold);
    outlog_blocks_destroy(it);
    buf_release(&fold);
}

static int make_parts(struct log_find *f, size_t n, struct error *err)
{
    f->parts = calloc(n, sizeof *f->parts);
    if (!f->parts)
        return error_nomem(err);
    f->n_parts = n;
    int rc = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct find_part *p = &f->parts[i];
        *p = (struct find_part){.f = f,
                                .number = i,
                                .found = U64MAP_INIT,
                                .open = U64MAP_INIT,
                                .lines = BUF_INIT(2 * (size_t)KEPT_MAX),
                                .err = ERROR_INIT};
        if (rc == 0)
            rc = outlog_reader_share(&p->reader, f->s->reader, err);
    }
    return rc;
}

/* ---- ends that no thread saw going on: the block behind or in front is in another's
 * part, or was passed over ------------------------------------------------------------
 */

struct left_ends {
    struct log_find *f;
    struct left_end *items; /* by key */
    size_t n;
    struct buf fold;
};

static int left_cmp(const void *pa, const void *pb)
{
    const struct left_end *a = pa, *b = pb;
    return a->key < b->key ? -1 : a->key > b->key;
}

/* Unless its task is read again anyway. */
static void take_left(struct left_ends *l, const struct left_end *e)
{
    uint64_t found;
    if (!u64map_get(&l->f->found, e->key, &found) || found)
        l->items[l->n++] = *e;
}

static int gather_left(struct left_ends *l, struct error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < l->f->n_parts; i++)
        n += l->f->parts[i].open.n + l->f->parts[i].n_insides;
    l->items = malloc((n + 1) * sizeof *l->items);
    if (!l->items)
        return error_nomem(err);
    for (size_t i = 0; i < l->f->n_parts; i++) {
        const struct find_part *p = &l->f->parts[i];
        size_t pos = 0;
        uint64_t key, at;
        while (u64map_next(&p->open, &pos, &key, &at))
            take_left(l, &(struct left_end){.key = key, .o = p->ends[at]});
        for (size_t k = 0; k < p->n_insides; k++)
            take_left(l, &p->insides[k]);
    }
    qsort(l->items, l->n, sizeof *l->items, left_cmp);
    return 0;
}

/* The block of the channel behind the one with that end; NULL: it was the last. */
static const struct outlog_ref *block_behind(const struct outlog_run *run,
                                             const struct open_end *o)
{
    for (size_t i = 0; i < run->n_refs; i++)
        if (run->refs[i].e.key.seq > o->seq && run->refs[i].e.type == o->type)
            return &run->refs[i];
    return NULL;
}

static bool end_goes_on(const struct left_ends *l, const struct outlog_run *run,
                        const struct open_end *o)
{
    const struct outlog_ref *ref = block_behind(run, o);
    const uint8_t *data;
    size_t n;
    return ref && outlog_read_block(l->f->s->reader, ref, &data, &n) == 0 &&
           log_match_goes_on(l->f->match, o->ends, data, n);
}

/* The block of the channel in front of the one that begins inside of the text. */
static const struct outlog_ref *block_before(const struct outlog_run *run,
                                             const struct left_end *e)
{
    const struct outlog_ref *before = NULL;
    for (size_t i = 0; i < run->n_refs; i++) {
        const struct outlog_ref *ref = &run->refs[i];
        if (ref->file == e->file && ref->e.offset == e->offset &&
            ref->e.inner == e->inner)
            return before;
        if (ref->e.type == e->o.type)
            before = ref;
    }
    return NULL;
}

static bool begun_before(const struct left_ends *l, const struct outlog_run *run,
                         const struct left_end *e, struct buf *fold)
{
    const struct outlog_ref *before = block_before(run, e);
    struct open_end end = {.type = e->o.type};
    const uint8_t *data;
    size_t n;
    if (!before || outlog_read_block(l->f->s->reader, before, &data, &n) != 0)
        return false;
    end.seq = before->e.key.seq;
    /* In a short block the text may only go on. */
    return n < l->f->match->n || log_match_in(l->f->match, data, n, fold, &end.ends) ||
           (end.ends && end_goes_on(l, run, &end));
}

static int check_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct left_ends *l = arg;
    struct left_end want = {.key = task_key(&run->refs[0].e.key)};
    const struct left_end *e = bsearch(&want, l->items, l->n, sizeof want, left_cmp);
    if (!e)
        return 0;
    while (e > l->items && e[-1].key == want.key)
        e--;
    for (; e < l->items + l->n && e->key == want.key; e++)
        if (e->o.instance == run->instance &&
            (e->inside ? begun_before(l, run, e, &l->fold)
                       : end_goes_on(l, run, &e->o)) &&
            u64map_set(&l->f->found, want.key, 0) < 0)
            return error_nomem(err);
    return 0;
}

static int check_left(struct log_find *f, struct error *err)
{
    struct left_ends l = {.f = f, .fold = BUF_INIT(BUF_MAX_DEFAULT)};
    int rc = gather_left(&l, err);
    uint64_t *keys = rc == 0 ? malloc((l.n + 1) * sizeof *keys) : NULL;
    if (rc == 0 && !keys)
        rc = error_nomem(err);
    size_t n = 0;
    for (size_t i = 0; rc == 0 && i < l.n; i++)
        if (n == 0 || keys[n - 1] != l.items[i].key)
            keys[n++] = l.items[i].key;
    if (rc == 0)
        rc = log_find_walk(f, keys, n, check_run, &l, err);
    free(keys);
    free(l.items);
    buf_release(&l.fold);
    return rc;
}

/* ---- all together ------------------------------------------------------------------
 */

/* What all parts have found. */
static int gather(struct log_find *f, struct error *err)
{
    for (size_t i = 0; i < f->n_parts; i++) {
        const struct find_part *p = &f->parts[i];
        size_t pos = 0;
        uint64_t key, value, old;
        if (p->rc < 0) {
            *err = p->err;
            return p->rc;
        }
        while (u64map_next(&p->found, &pos, &key, &value)) {
            value = value && !u64map_get(&f->found, key, &old)
                        ? (uint64_t)i << 32 | value
                        : 0;
            if (u64map_set(&f->found, key, value) < 0)
                return error_nomem(err);
        }
    }
    return 0;
}

static int key_cmp(const void *pa, const void *pb)
{
    const uint64_t *a = pa, *b = pb;
    return *a < *b ? -1 : *a > *b;
}

static int list_found(const struct log_find *f, uint64_t **keys, size_t *n,
                      struct error *err)
{
    size_t pos = 0;
    uint64_t value;
    *keys = malloc((f->found.n + 1) * sizeof **keys);
    if (!*keys)
        return error_nomem(err);
    for (*n = 0; *n < f->found.n; (*n)++)
        (void)u64map_next(&f->found, &pos, &(*keys)[*n], &value);
    qsort(*keys, *n, sizeof **keys, key_cmp);
    return 0;
}

int log_find_tasks(struct log_find *f, uint64_t **keys, size_t *n, struct error *err)
{
    int rc = make_parts(f, parallel_width(), err);
    *keys = NULL;
    if (rc == 0) {
        parallel_run(run_part, f->parts, sizeof *f->parts, f->n_parts);
        if (f->pointless)
            return 0;
        rc = f->forgetful ? error_nomem(err) : gather(f, err);
    }
    if (rc == 0)
        rc = check_left(f, err);
    return rc < 0 ? rc : list_found(f, keys, n, err);
}

const struct log_hit *log_find_lines(const struct log_find *f, uint64_t hit,
                                     const uint8_t **lines)
{
    const struct find_part *p = &f->parts[hit >> 32];
    const struct log_hit *h = &p->hits[(uint32_t)hit - 1];
    *lines = h->n ? p->lines.data + h->at : NULL;
    return h;
}

uint64_t log_find_hit(const struct log_find *f, const struct outlog_run *run)
{
    uint64_t hit;
    const uint8_t *lines;
    if (run->n_refs != 1 ||
        !u64map_get(&f->found, task_key(&run->refs[0].e.key), &hit) || !hit)
        return 0;
    return log_find_lines(f, hit, &lines)->e.key.instance == run->instance ? hit : 0;
}

/* Job by job. */
int log_find_walk(const struct log_find *f, const uint64_t *keys, size_t n,
                  log_run_fn fn, void *arg, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0;) {
        struct log_choice c = *f->choice;
        uint32_t job = (uint32_t)(keys[i] >> 32);
        c.any_job = false;
        c.jobs = (struct idset)IDSET_INIT;
        c.has_tasks = true;
        c.tasks = (struct idset)IDSET_INIT;
        rc = idset_add(&c.jobs, job, 1, 1);
        for (; i < n && keys[i] >> 32 == job && rc == 0; i++)
            rc = idset_add(&c.tasks, (uint32_t)keys[i], 1, 1);
        rc = rc < 0 ? error_nomem(err) : log_walk(f->s, &c, fn, arg, err);
        idset_release(&c.jobs);
        idset_release(&c.tasks);
    }
    return rc;
}
