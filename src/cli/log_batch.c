#include "cli/log_batch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "topo/topo.h"

#define BATCH_ITEMS 200000u
/* Bytes read at once; up to the larger number where most of what has to be unpacked
 * belongs to runs that are not in the batch, so that it is unpacked less often. That
 * may take a share of the memory which we may use: batches are not all that needs it.
 */
#define WINDOW_BYTES (32u << 20)
#define WINDOW_BYTES_MAX (256u << 20)
#define MEMORY_SHARE 16u
/* A thread is not worth it for less. */
#define THREAD_BYTES (1u << 20)
#define RANGES_PER_THREAD 4u

struct log_item {
    bool is_mark;
    bool is_end;           /* a block of which the end record is wanted */
    uint64_t a, b;         /* mark; a block: a is where its content lies in data */
    struct outlog_ref ref; /* block */
    uint32_t n;            /* bytes that could be read */
};

void log_batch_init(struct log_batch *b, struct outlog_reader *reader,
                    const struct log_batch_events *events, void *arg)
{
    *b = (struct log_batch){
        .reader = reader, .events = events, .arg = arg, .window = WINDOW_BYTES};
    b->n_threads = parallel_width();
    buf_init(&b->data, BUF_MAX_DEFAULT);
}

void log_batch_release(struct log_batch *b)
{
    for (uint32_t i = 0; i < PARALLEL_MAX; i++)
        outlog_reader_destroy(b->readers[i]);
    free(b->items);
    buf_release(&b->data);
}

/* ---- reading ------------------------------------------------------------------------
 */

/* Items that one thread reads in one go, and what it found damaged. */
struct range {
    size_t from, to;
    struct outlog_damage *damages;
    size_t n_damages, cap_damages;
};

struct work {
    struct log_batch *b;
    struct log_item **order; /* blocks by place */
    size_t n;
    struct range ranges[PARALLEL_MAX * RANGES_PER_THREAD + 1];
    size_t n_ranges;
    atomic_size_t next; /* range that nobody has taken */
    atomic_bool no_memory;
};

struct hand {
    struct work *w;
    struct outlog_reader *reader;
    struct range *range; /* at present */
};

static int by_place(const void *pa, const void *pb)
{
    const struct log_item *a = *(struct log_item *const *)pa;
    const struct log_item *b = *(struct log_item *const *)pb;
    if (a->ref.file != b->ref.file)
        return a->ref.file < b->ref.file ? -1 : 1;
    if (a->ref.e.offset != b->ref.e.offset)
        return a->ref.e.offset < b->ref.e.offset ? -1 : 1;
    return a->ref.e.inner < b->ref.e.inner ? -1 : a->ref.e.inner > b->ref.e.inner;
}

/* Room for what the item may turn out to hold; an index may lie. */
static size_t room_for(const struct log_item *item)
{
    if (item->is_end)
        return OUTLOG_END_BYTES;
    return item->ref.e.output <= OUTLOG_PAYLOAD_MAX ? item->ref.e.output : 0;
}

static void keep_damage(void *arg, const struct outlog_damage *d)
{
    struct hand *h = arg;
    struct range *r = h->range;
    if (r->n_damages == r->cap_damages) {
        size_t cap = r->cap_damages ? r->cap_damages * 2 : 16;
        struct outlog_damage *grown = realloc(r->damages, cap * sizeof *grown);
        if (!grown) {
            atomic_store(&h->w->no_memory, true);
            return;
        }
        r->damages = grown;
        r->cap_damages = cap;
    }
    r->damages[r->n_damages++] = *d;
}

static int read_item(struct hand *h, struct log_item *item)
{
    const uint8_t *data;
    size_t n;
    item->n = 0;
    int rc = item->is_end ? outlog_read_payload(h->reader, &item->ref, &data, &n)
                          : outlog_read_block(h->reader, &item->ref, &data, &n);
    if (rc == ERR_CORRUPT)
        return 0; /* told by the reader */
    if (rc < 0)
        return rc;
    if (item->is_end) {
        size_t skip = n >= OUTLOG_END_BYTES ? n - OUTLOG_END_BYTES : n;
        data += skip;
        n -= skip;
    }
    if (n == 0 || n > room_for(item))
        return 0;
    memcpy(h->w->b->data.data + item->a, data, n);
    item->n = (uint32_t)n;
    return 0;
}

static void read_ranges(void *arg)
{
    struct hand *h = arg;
    struct work *w = h->w;
    size_t next;
    while ((next = atomic_fetch_add(&w->next, 1)) < w->n_ranges) {
        h->range = &w->ranges[next];
        for (size_t i = h->range->from; i < h->range->to; i++)
            if (atomic_load(&w->no_memory))
                return;
            else if (read_item(h, w->order[i]) < 0)
                atomic_store(&w->no_memory, true);
    }
}

/* Ranges end where another group begins, so that none is unpacked twice. */
static void cut_ranges(struct work *w, size_t n_ranges, size_t bytes)
{
    size_t part = bytes / n_ranges + 1, in_part = 0;
    struct range *r = &w->ranges[0];
    w->n_ranges = 1;
    for (size_t i = 0; i < w->n; i++) {
        const struct outlog_ref *ref = &w->order[i]->ref;
        const struct outlog_ref *before = i ? &w->order[i - 1]->ref : ref;
        bool same = ref->file == before->file && ref->e.offset == before->e.offset;
        if (in_part >= part && !same) {
            *++r = (struct range){.from = i};
            w->n_ranges++;
            in_part = 0;
        }
        in_part += room_for(w->order[i]);
        r->to = i + 1;
    }
}

/* Where the content of each block goes: in the order of giving out. */
static size_t lay_out(struct log_batch *b)
{
    size_t at = 0;
    for (size_t i = 0; i < b->n_items; i++) {
        struct log_item *item = &b->items[i];
        if (item->is_mark)
            continue;
        item->a = at;
        at += room_for(item);
    }
    return at;
}

static int sort_by_place(struct work *w, struct error *err)
{
    struct log_batch *b = w->b;
    bool sorted = true;
    w->order = malloc((b->n_items + 1) * sizeof(void *));
    if (!w->order)
        return error_nomem(err);
    for (size_t i = 0; i < b->n_items; i++) {
        if (b->items[i].is_mark)
            continue;
        w->order[w->n++] = &b->items[i];
        if (w->n > 1 && sorted)
            sorted = by_place(&w->order[w->n - 2], &w->order[w->n - 1]) <= 0;
    }
    if (!sorted)
        qsort(w->order, w->n, sizeof(void *), by_place);
    return 0;
}

static int make_readers(struct log_batch *b, uint32_t n, struct error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        int rc =
            b->readers[i] ? 0 : outlog_reader_share(&b->readers[i], b->reader, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void tell_damages(struct work *w)
{
    for (size_t i = 0; i < w->n_ranges; i++) {
        for (size_t k = 0; k < w->ranges[i].n_damages; k++)
            outlog_reader_damage(w->b->reader, &w->ranges[i].damages[k]);
        free(w->ranges[i].damages);
    }
}

static uint64_t count_unpacked(const struct log_batch *b)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < PARALLEL_MAX; i++)
        if (b->readers[i]) {
            struct outlog_reader_stats stats;
            outlog_reader_get_stats(b->readers[i], &stats);
            sum += stats.bytes_unpacked;
        }
    return sum;
}

static int read_work(struct work *w, size_t bytes, struct error *err)
{
    struct log_batch *b = w->b;
    struct hand hands[PARALLEL_MAX];
    uint32_t n = (uint32_t)MIN((size_t)b->n_threads, bytes / THREAD_BYTES + 1);
    int rc = make_readers(b, n, err);
    if (rc < 0)
        return rc;
    cut_ranges(w, n > 1 ? n * RANGES_PER_THREAD : 1, bytes);
    for (uint32_t i = 0; i < n; i++) {
        struct hand *h = &hands[i];
        *h = (struct hand){.w = w, .reader = b->readers[i]};
        outlog_reader_on_damage(h->reader, keep_damage, h);
    }
    parallel_run(read_ranges, hands, sizeof *hands, n);
    for (uint32_t i = 0; i < n; i++)
        outlog_reader_on_damage(hands[i].reader, NULL, NULL);
    tell_damages(w);
    return atomic_load(&w->no_memory) ? error_nomem(err) : 0;
}

/* On a login node a user often gets little. */
static uint64_t window_max(void)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_AS, &limit);
    uint64_t memory = MIN(topo_memory(), (uint64_t)limit.rlim_cur);
    return MIN(memory / MEMORY_SHARE, (uint64_t)WINDOW_BYTES_MAX);
}

/* unpacked: bytes for each one that was wanted. */
static void widen(struct log_batch *b, uint64_t unpacked)
{
    if (unpacked < 2 || b->window == WINDOW_BYTES_MAX)
        return;
    uint64_t most = window_max(), window = MIN(4 * b->window, most);
    if (window <= b->window)
        return;
    if (buf_reserve(&b->data, (size_t)window - b->data.len))
        b->window = window;
    b->data.failed = false; /* it goes on as it was */
}

static int read_items(struct log_batch *b, struct error *err)
{
    struct work w = {.b = b};
    size_t bytes = lay_out(b);
    uint64_t before = count_unpacked(b);
    int rc = sort_by_place(&w, err);
    if (rc == 0 && !buf_extend(&b->data, bytes))
        rc = error_nomem(err);
    if (rc == 0 && w.n > 0)
        rc = read_work(&w, bytes, err);
    free(w.order);
    if (rc == 0 && b->bytes >= b->window)
        widen(b, (count_unpacked(b) - before) / MAX(bytes, (size_t)1));
    return rc;
}

/* ---- gathering and giving out -------------------------------------------------------
 */

int log_batch_flush(struct log_batch *b, struct error *err)
{
    buf_clear(&b->data);
    int rc = read_items(b, err);
    for (size_t i = 0; i < b->n_items && rc == 0; i++) {
        const struct log_item *item = &b->items[i];
        struct outlog_end end;
        if (item->is_mark)
            b->events->on_mark(b->arg, item->a, item->b);
        else if (item->is_end)
            b->events->on_end(
                b->arg,
                outlog_end_decode(b->data.data + item->a, item->n, &end) ? &end : NULL);
        else if (item->n)
            b->events->on_data(b->arg, &item->ref.e, b->data.data + item->a, item->n);
    }
    b->n_items = 0;
    b->bytes = 0;
    return rc;
}

/* Room for one more; gives out what is there when it is enough. */
static struct log_item *push(struct log_batch *b, struct error *err)
{
    if (b->n_items >= BATCH_ITEMS || b->bytes >= b->window)
        if (log_batch_flush(b, err) < 0)
            return NULL;
    if (b->n_items == b->cap_items) {
        size_t cap = b->cap_items ? b->cap_items * 2 : 256;
        struct log_item *grown = realloc(b->items, cap * sizeof *grown);
        if (!grown) {
            error_nomem(err);
            return NULL;
        }
        b->items = grown;
        b->cap_items = cap;
    }
    struct log_item *item = &b->items[b->n_items++];
    *item = (struct log_item){0};
    return item;
}

int log_batch_mark(struct log_batch *b, uint64_t a, uint64_t c, struct error *err)
{
    struct log_item *item = push(b, err);
    if (!item)
        return err->code;
    item->is_mark = true;
    item->a = a;
    item->b = c;
    return 0;
}

int log_batch_add(struct log_batch *b, const struct outlog_ref *ref, struct error *err)
{
    struct log_item *item = push(b, err);
    if (!item)
        return err->code;
    item->ref = *ref;
    b->bytes += ref->e.output;
    return 0;
}

int log_batch_add_end(struct log_batch *b, const struct outlog_ref *ref,
                      struct error *err)
{
    struct log_item *item = push(b, err);
    if (!item)
        return err->code;
    item->ref = *ref;
    item->is_end = true;
    return 0;
}
