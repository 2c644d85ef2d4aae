/*
 * Following a log: blocks behind those that the reader knew when following began. Open
 * extents are read on from where they ended; new ones are looked for behind them and in
 * the holes between, since extents are not begun in the order of their places.
 */
#include "outlog/reader_impl.h"

#include <stdlib.h>
#include <sys/stat.h>
#include "base/list.h"
#include "base/strmap.h"

/* Bytes in front of a block that stay unreadable for so long are taken for damage;
 * before, they may still be on their way to the file. */
#define GRACE_US UINT64_C(2000000)
/* Output given out in one go. */
#define ROUND_BYTES (32u << 20)
#define FOLLOW_WINDOW (256u << 10)

struct grown {
    struct extent_info x;
    uint64_t pos;      /* what lies in front was given out */
    uint64_t stuck_us; /* since when nothing goes on behind pos; 0: it does */
    bool done;
};

struct followed {
    struct logfile *f;
    struct grown *items; /* ascending by offset */
    size_t n, cap;
    uint64_t low; /* all extents in front are done */
};

struct news {
    struct outlog_ref ref;
    uint64_t due_us;  /* its time, but never before that of the block in front */
    size_t order, at; /* at: where its bytes lie in data */
    uint64_t extent;  /* that it is from */
    bool out;         /* given out */
};

/*
 * The blocks of one run may lie in several extents that are open at once, and grow
 * between the looks at two of them. So a block waits for those in front of it.
 */
struct awaited {
    struct list_node node;
    struct outlog_key key; /* of its next block */
    uint64_t since_us;     /* when a later one was met; 0: none */
};

struct outlog_follow {
    struct outlog_reader *r;
    struct followed *files; /* one a file of the reader */
    struct news *news;      /* the first ones were met before and wait */
    size_t n_news, n_waiting, cap_news;
    struct buf data;
    struct strmap *runs; /* those that are not over: struct awaited, also in … */
    struct list awaited;
};

/* ---- extents -----------------------------------------------------------------------
 */

static uint64_t end_of(const struct logfile *f, const struct extent_info *x)
{
    return logfile_align_up(f, x->x.offset + x->x.length);
}

static struct grown *insert(struct followed *w, size_t at, const struct extent_info *x)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 16;
        struct grown *grown = realloc(w->items, cap * sizeof *grown);
        if (!grown)
            return NULL;
        w->items = grown;
        w->cap = cap;
    }
    memmove(w->items + at + 1, w->items + at, (w->n - at) * sizeof *w->items);
    w->n++;
    w->items[at] = (struct grown){.x = *x};
    w->items[at].x.entries = NULL;
    w->items[at].x.n_entries = 0;
    return &w->items[at];
}

static int look_for_extents(struct followed *w, struct error *err)
{
    struct logfile *f = w->f;
    uint64_t pos = w->low;
    for (size_t i = 0; pos < f->size;) {
        if (i < w->n && w->items[i].x.x.offset <= pos) {
            pos = MAX(pos, end_of(f, &w->items[i].x));
            i++;
            continue;
        }
        uint64_t data = logfile_next_data(f, pos);
        if (data >= f->size)
            return 0;
        uint64_t begin = MAX(pos, logfile_align_down(f, data));
        if (begin > pos) { /* a hole; what is known behind it comes first */
            pos = begin;
            continue;
        }
        struct extent_info x;
        if (!logfile_extent_at(f, pos, &x)) {
            pos = logfile_align_up(f, pos + 1);
            continue;
        }
        struct grown *g = insert(w, i, &x);
        if (!g)
            return error_nomem(err);
        g->done = x.x.kind != OUTLOG_EXTENT_DATA;
    }
    return 0;
}

/* Forgets extents at the beginning that are done. */
static void drop_done(struct followed *w)
{
    size_t n = 0;
    while (n < w->n && w->items[n].done && w->items[n].x.x.offset <= w->low) {
        w->low = MAX(w->low, end_of(w->f, &w->items[n].x));
        n++;
    }
    if (n == 0)
        return;
    memmove(w->items, w->items + n, (w->n - n) * sizeof *w->items);
    w->n -= n;
}

/* ---- blocks ------------------------------------------------------------------------
 */

static int keep_block(struct outlog_follow *t, const struct logfile *f, struct scan *s,
                      uint64_t extent, uint64_t *due_us, struct error *err)
{
    if (t->n_news == t->cap_news) {
        size_t cap = t->cap_news ? t->cap_news * 2 : 256;
        struct news *grown = realloc(t->news, cap * sizeof *grown);
        if (!grown)
            return error_nomem(err);
        t->news = grown;
        t->cap_news = cap;
    }
    *due_us = MAX(*due_us, s->e.time_us);
    t->news[t->n_news] = (struct news){.ref = {s->e, f->number},
                                       .due_us = *due_us,
                                       .order = t->n_news,
                                       .at = t->data.len,
                                       .extent = extent};
    const uint8_t *data = s->e.output ? scan_data(s) : NULL;
    if (s->e.output && !data)
        return 0; /* cannot be read any more */
    buf_append(&t->data, data, s->e.output);
    t->n_news++;
    return t->data.failed ? error_nomem(err) : 0;
}

/* Whether damage is to be waited for, as a write may be under way. */
static bool wait_for(struct grown *g, uint64_t now_us)
{
    if (g->stuck_us == 0)
        g->stuck_us = now_us;
    return now_us - g->stuck_us < GRACE_US;
}

/* What waits of an extent. */
static size_t waiting_bytes(const struct outlog_follow *t, const struct followed *w,
                            const struct grown *g)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_waiting; i++)
        if (t->news[i].extent == g->x.x.offset && t->news[i].ref.file == w->f->number)
            n += t->news[i].ref.e.output;
    return n;
}

/* Reads on in one extent, until `share` bytes of it are there: what its blocks wait for
 * lies in another one. */
static int read_on(struct outlog_follow *t, struct followed *w, struct grown *g,
                   size_t share, uint64_t now_us, struct error *err)
{
    struct scan s;
    size_t most = t->data.len + share, waiting = waiting_bytes(t, w, g);
    if (waiting >= share)
        return 0;
    most = MIN(most - waiting, 2 * (size_t)ROUND_BYTES);
    struct extent_info fresh;
    if (!g->x.closed && logfile_extent_at(w->f, g->x.x.offset, &fresh) &&
        fresh.closed) {
        g->x.closed = true;
        g->x.close = fresh.close;
    }
    if (!scan_init(&s, w->f, &g->x, true, FOLLOW_WINDOW)) {
        scan_release(&s);
        return error_nomem(err);
    }
    int rc = 0;
    uint64_t due_us = 0;
    bool go_on = true;
    s.pos = MAX(s.pos, g->pos);
    while (rc == 0 && go_on) {
        bool between = s.inner >= s.group.len;
        if (between)
            g->pos = s.pos;
        if (between && t->data.len >= most)
            break;
        switch (scan_next(&s)) {
        case SCAN_BLOCK:
            g->stuck_us = 0;
            rc = keep_block(t, w->f, &s, g->x.x.offset, &due_us, err);
            break;
        case SCAN_DAMAGE:
            go_on = between ? !wait_for(g, now_us) : true;
            if (go_on)
                logfile_damage(w->f, s.damage_at, s.damage_bytes, s.damage_what);
            break;
        case SCAN_TORN:
            go_on = false;
            break;
        case SCAN_END:
            g->done = g->x.closed;
            go_on = false;
            break;
        }
    }
    scan_release(&s);
    return rc;
}

static int read_file(struct outlog_follow *t, struct followed *w, uint64_t now_us,
                     struct error *err)
{
    struct stat st;
    if (w->f->hqs || fstat(w->f->fd, &st) != 0)
        return 0;
    w->f->size = MAX(w->f->size, (uint64_t)st.st_size);
    int rc = look_for_extents(w, err);
    size_t n_open = 1;
    for (size_t i = 0; i < w->n; i++)
        n_open += !w->items[i].done;
    for (size_t i = 0; i < w->n && rc == 0; i++)
        if (!w->items[i].done)
            rc = read_on(t, w, &w->items[i], ROUND_BYTES / n_open, now_us, err);
    drop_done(w);
    return rc;
}

/* ---- the order of a run -------------------------------------------------------------
 */

static int by_due(const void *pa, const void *pb)
{
    const struct news *a = pa, *b = pb;
    if (a->due_us != b->due_us)
        return a->due_us < b->due_us ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static int by_place(const void *pa, const void *pb)
{
    const struct news *a = pa, *b = pb;
    return a->order < b->order ? -1 : 1;
}

#define RUN_KEY_BYTES 12u

static void run_key(const struct outlog_key *k, char text[RUN_KEY_BYTES])
{
    memcpy(text, (uint32_t[]){k->job, k->task, k->instance}, RUN_KEY_BYTES);
}

static void run_forget(struct outlog_follow *t, struct awaited *a)
{
    char key[RUN_KEY_BYTES];
    run_key(&a->key, key);
    (void)strmap_remove(t->runs, key, sizeof key);
    list_remove(&a->node);
    free(a);
}

static struct awaited *run_add(struct outlog_follow *t, const struct outlog_key *k)
{
    char key[RUN_KEY_BYTES];
    struct awaited *a = calloc(1, sizeof *a);
    run_key(k, key);
    if (!a || strmap_add(t->runs, key, sizeof key, a) < 0) {
        free(a);
        return NULL;
    }
    a->key = *k;
    list_push_back(&t->awaited, &a->node);
    return a;
}

/* Whether it is the block's turn. One that waited too long for another gets it. */
static bool has_turn(struct awaited *a, const struct outlog_key *k, uint64_t now_us)
{
    if (!a || k->seq <= a->key.seq)
        return true;
    if (a->since_us == 0)
        a->since_us = now_us;
    return now_us - a->since_us >= GRACE_US;
}

static int give_out(struct outlog_follow *t, struct news *n, uint64_t now_us,
                    outlog_follow_fn fn, void *arg, struct error *err)
{
    const struct outlog_entry *e = &n->ref.e;
    char key[RUN_KEY_BYTES];
    run_key(&e->key, key);
    struct awaited *a = strmap_get(t->runs, key, sizeof key);
    if (!has_turn(a, &e->key, now_us))
        return 0;
    n->out = true;
    bool over = e->flags & OUTLOG_FLAG_END;
    if (!a && !over && !(a = run_add(t, &e->key)))
        return error_nomem(err);
    if (a) {
        a->key.seq = MAX(a->key.seq, e->key.seq + 1);
        a->since_us = 0;
    }
    if (a && over)
        run_forget(t, a);
    return fn(arg, &n->ref, t->data.data + n->at, err);
}

/* Those that wait stay, in front. */
static void keep_waiting(struct outlog_follow *t)
{
    size_t n = 0, len = 0;
    for (size_t i = 0; i < t->n_news; i++)
        if (!t->news[i].out)
            t->news[n++] = t->news[i];
    t->n_news = t->n_waiting = n;
    if (n > 0)
        qsort(t->news, n, sizeof *t->news, by_place);
    for (size_t i = 0; i < n; i++) {
        struct news *x = &t->news[i];
        memmove(t->data.data + len, t->data.data + x->at, x->ref.e.output);
        x->at = len;
        x->order = i;
        len += x->ref.e.output;
    }
    t->data.len = len;
}

/* ---- the calls ---------------------------------------------------------------------
 */

static int begin_file(struct followed *w, struct logfile *f, struct error *err)
{
    w->f = f;
    w->low = f->sealed ? MAX(f->slot.covered_end, (uint64_t)OUTLOG_DATA_START)
                       : OUTLOG_DATA_START;
    if (f->hqs)
        return 0;
    /* The reader's own list, so that both know the same blocks. */
    struct extent_list *l = logfile_extents(f, true, err);
    if (!l)
        return ERR_NOMEM;
    for (size_t i = 0; i < l->n; i++) {
        struct extent_info *x = &l->items[i];
        if (x->headerless)
            continue;
        int rc = x->closed ? 0 : extent_scan(f, x, err);
        struct grown *g = rc == 0 ? insert(w, w->n, x) : NULL;
        if (!g)
            return rc < 0 ? rc : error_nomem(err);
        g->done = x->closed;
        g->pos = x->scanned_end;
    }
    drop_done(w);
    return 0;
}

int outlog_follow_create(struct outlog_follow **out, struct outlog_reader *r,
                         struct error *err)
{
    struct outlog_follow *t = calloc(1, sizeof *t);
    if (!t)
        return error_nomem(err);
    t->r = r;
    list_init(&t->awaited);
    t->runs = strmap_create();
    buf_init(&t->data, 2 * ROUND_BYTES + 2 * OUTLOG_GROUP_RAW_MAX + OUTLOG_PAYLOAD_MAX);
    t->files = calloc(r->n_files + 1, sizeof *t->files);
    int rc = t->files && t->runs ? 0 : error_nomem(err);
    for (size_t i = 0; i < r->n_files && rc == 0; i++)
        rc = begin_file(&t->files[i], r->files[i], err);
    if (rc < 0) {
        outlog_follow_destroy(t);
        return rc;
    }
    *out = t;
    return 0;
}

void outlog_follow_destroy(struct outlog_follow *t)
{
    if (!t)
        return;
    for (size_t i = 0; t->files && i < t->r->n_files; i++)
        free(t->files[i].items);
    free(t->files);
    LIST_FOR_EACH_SAFE(&t->awaited, node, next)
    run_forget(t, CONTAINER_OF(node, struct awaited, node));
    strmap_destroy(t->runs);
    free(t->news);
    buf_release(&t->data);
    free(t);
}

bool outlog_follow_waits(const struct outlog_follow *t)
{
    return t->n_waiting > 0;
}

int outlog_follow_poll(struct outlog_follow *t, uint64_t now_us, outlog_follow_fn fn,
                       void *arg, struct error *err)
{
    size_t n_before = t->n_news;
    int rc = buf_reserve(&t->data, 1) ? 0 : error_nomem(err);
    for (size_t i = 0; i < t->r->n_files && rc == 0; i++)
        rc = read_file(t, &t->files[i], now_us, err);
    bool news = t->n_news > n_before;
    if (rc == 0 && t->n_news)
        qsort(t->news, t->n_news, sizeof *t->news, by_due);
    for (size_t i = 0; i < t->n_news && rc == 0; i++)
        rc = give_out(t, &t->news[i], now_us, fn, arg, err);
    keep_waiting(t);
    return rc < 0 ? rc : news || t->n_news < n_before;
}
