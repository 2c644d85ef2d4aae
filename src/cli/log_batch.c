#include "cli/log_batch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "topo/topo.h"

/* Content read at once; more where groups would else be unpacked again and again. */
#define PIECE_BYTES (32u << 20)
#define GROWTH 4u
/* Blocks that are gathered to see whether that is so. */
#define ITEMS_FEW 200000u
/* All together may take a share of the memory which we may use: batches are not all
 * that needs it. */
#define MEMORY_MAX (UINT64_C(2) << 30)
#define MEMORY_SHARE 16u
/* A thread is not worth it for less. */
#define THREAD_BYTES (1u << 20)
#define RANGES_PER_THREAD 4u
#define LARGE_PAGE (2u << 20)

struct log_item {
    bool is_mark;
    bool is_end;           /* a block of which the end record is wanted */
    uint64_t a, b;         /* mark; a block: a is where its content lies in the batch */
    struct outlog_ref ref; /* block */
    uint32_t n;            /* bytes that could be read */
};

void log_batch_init(struct log_batch *b, struct outlog_reader *reader,
                    const struct log_batch_events *events, void *arg)
{
    *b = (struct log_batch){
        .reader = reader, .events = events, .arg = arg, .piece = PIECE_BYTES};
    b->n_threads = parallel_width();
    b->items_max = ITEMS_FEW;
    buf_init(&b->data, (size_t)MEMORY_MAX + OUTLOG_PAYLOAD_MAX);
}

void log_batch_release(struct log_batch *b)
{
    for (uint32_t i = 0; i < PARALLEL_MAX; i++)
        outlog_reader_destroy(b->readers[i]);
    free(b->items);
    buf_release(&b->data);
}

/* Room for what the item may turn out to hold; an index may lie. */
static size_t room_for(const struct log_item *item)
{
    if (item->is_mark)
        return 0;
    if (item->is_end)
        return OUTLOG_END_BYTES;
    return item->ref.e.output <= OUTLOG_PAYLOAD_MAX ? item->ref.e.output : 0;
}

/* ---- by place -----------------------------------------------------------------------
 */

/* Blocks of a group in the order of giving out: the content of a group is at hand as a
 * whole. */
static int by_place(const void *pa, const void *pb)
{
    const struct log_item *a = *(struct log_item *const *)pa;
    const struct log_item *b = *(struct log_item *const *)pb;
    if (a->ref.file != b->ref.file)
        return a->ref.file < b->ref.file ? -1 : 1;
    if (a->ref.e.offset != b->ref.e.offset)
        return a->ref.e.offset < b->ref.e.offset ? -1 : 1;
    return a < b ? -1 : a > b;
}

static bool same_place(const struct log_item *a, const struct log_item *b)
{
    return a->ref.file == b->ref.file && a->ref.e.offset == b->ref.e.offset;
}

/* The blocks among items [from, to), malloc'd. */
static int sort_by_place(const struct log_batch *b, size_t from, size_t to,
                         struct log_item ***order, size_t *n, struct error *err)
{
    bool sorted = true;
    struct log_item **o = malloc((to - from + 1) * sizeof *o);
    if (!o)
        return error_nomem(err);
    *n = 0;
    for (size_t i = from; i < to; i++) {
        if (b->items[i].is_mark)
            continue;
        o[(*n)++] = &b->items[i];
        if (*n > 1 && sorted)
            sorted = by_place(&o[*n - 2], &o[*n - 1]) < 0;
    }
    if (!sorted)
        qsort(o, *n, sizeof *o, by_place);
    *order = o;
    return 0;
}

/* How many groups are unpacked when so many bytes are read at once. */
static size_t count_unpacked(struct log_item *const *order, size_t n, uint64_t piece)
{
    size_t count = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t here = order[i]->a / piece;
        if (order[i]->ref.e.grouped &&
            (i == 0 || here != last || !same_place(order[i - 1], order[i])))
            count++;
        last = here;
    }
    return count;
}

/* Whether reading pieces of that size costs little more than reading all at once. */
static bool piece_is_good(struct log_item *const *order, size_t n, uint64_t piece)
{
    size_t least = count_unpacked(order, n, UINT64_MAX);
    return count_unpacked(order, n, piece) <= least + least / 4;
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
    uint64_t base;           /* `a` of the first one */
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
    memcpy(h->w->b->data.data + (item->a - h->w->base), data, n);
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
        if (in_part >= part && !same_place(w->order[i - 1], w->order[i])) {
            *++r = (struct range){.from = i};
            w->n_ranges++;
            in_part = 0;
        }
        in_part += room_for(w->order[i]);
        r->to = i + 1;
    }
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

static int read_items(struct log_batch *b, size_t from, size_t to, size_t bytes,
                      struct error *err)
{
    struct work w = {.b = b, .base = UINT64_MAX};
    int rc = sort_by_place(b, from, to, &w.order, &w.n, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < w.n; i++)
        w.base = MIN(w.base, w.order[i]->a);
    buf_clear(&b->data);
    if (!buf_extend(&b->data, bytes))
        rc = error_nomem(err);
    else if (w.n > 0)
        rc = read_work(&w, bytes, err);
    free(w.order);
    return rc;
}

/* ---- giving out ---------------------------------------------------------------------
 */

static void give_out(const struct log_batch *b, size_t from, size_t to)
{
    const uint8_t *p = b->data.data;
    for (size_t i = from; i < to; i++) {
        const struct log_item *item = &b->items[i];
        struct outlog_end end;
        if (item->is_mark)
            b->events->on_mark(b->arg, item->a, item->b);
        else if (item->is_end)
            b->events->on_end(b->arg,
                              outlog_end_decode(p, item->n, &end) ? &end : NULL);
        else if (item->n)
            b->events->on_data(b->arg, &item->ref.e, p, item->n);
        p += room_for(item);
    }
}

static int read_pieces(struct log_batch *b, uint64_t piece, struct error *err)
{
    int rc = 0;
    for (size_t from = 0, to; from < b->n_items && rc == 0; from = to) {
        uint64_t number = UINT64_MAX;
        size_t bytes = 0;
        for (to = from; to < b->n_items; to++) {
            const struct log_item *item = &b->items[to];
            if (item->is_mark)
                continue;
            if (number != UINT64_MAX && item->a / piece != number)
                break;
            number = item->a / piece;
            bytes += room_for(item);
        }
        rc = read_items(b, from, to, bytes, err);
        if (rc == 0)
            give_out(b, from, to);
    }
    return rc;
}

/* All of it will be written to: page by page that costs as much as unpacking. */
static void use_large_pages(const struct buf *b)
{
    uintptr_t begin =
        ((uintptr_t)b->data + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)b->data + b->cap) & ~(uintptr_t)(LARGE_PAGE - 1);
    if (end > begin)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

/* As large as is good, and as there is memory for. */
static int choose_piece(struct log_batch *b, uint64_t *piece, struct error *err)
{
    struct log_item **order;
    size_t n;
    int rc = sort_by_place(b, 0, b->n_items, &order, &n, err);
    if (rc < 0)
        return rc;
    *piece = b->piece;
    while (*piece < b->bytes && !piece_is_good(order, n, *piece))
        *piece *= GROWTH;
    free(order);
    buf_clear(&b->data);
    while (*piece > b->piece &&
           !buf_reserve(&b->data, (size_t)MIN(*piece + b->largest, b->bytes)))
        *piece /= GROWTH;
    b->data.failed = false; /* it goes on as it was */
    if (*piece > b->piece)
        use_large_pages(&b->data);
    return 0;
}

int log_batch_flush(struct log_batch *b, struct error *err)
{
    uint64_t piece = b->piece;
    int rc = b->bytes > piece ? choose_piece(b, &piece, err) : 0;
    if (rc == 0)
        rc = read_pieces(b, piece, err);
    b->n_items = 0;
    b->bytes = 0;
    return rc;
}

/* ---- gathering ----------------------------------------------------------------------
 */

/* On a login node a user often gets little. */
static uint64_t memory_max(void)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_AS, &limit);
    uint64_t memory = MIN(topo_memory(), (uint64_t)limit.rlim_cur);
    return MIN(memory / MEMORY_SHARE, MEMORY_MAX);
}

/* Each with its place in an order. */
static uint64_t memory_of(size_t n_items)
{
    return n_items * (uint64_t)(sizeof(struct log_item) + sizeof(struct log_item *));
}

/* Many small blocks: more are gathered where a part of them would have needed nearly as
 * many groups. */
static int gather_more(struct log_batch *b, bool *more, struct error *err)
{
    struct log_item **order;
    size_t n;
    *more = false;
    if (memory_of(GROWTH * b->n_items) + GROWTH * b->bytes > b->memory)
        return 0;
    int rc = sort_by_place(b, 0, b->n_items, &order, &n, err);
    if (rc < 0)
        return rc;
    *more = !piece_is_good(order, n, b->bytes / GROWTH + 1);
    if (*more)
        b->items_max *= GROWTH;
    free(order);
    return 0;
}

/* Gives out what is there when it is enough. */
static int make_room(struct log_batch *b, struct error *err)
{
    bool more = false;
    if (b->n_items < b->items_max && b->bytes < b->piece)
        return 0;
    if (!b->memory)
        b->memory = memory_max();
    bool full = b->bytes + memory_of(b->n_items) >= b->memory;
    if (!full && b->n_items < b->items_max)
        return 0;
    int rc = full ? 0 : gather_more(b, &more, err);
    return rc < 0 || more ? rc : log_batch_flush(b, err);
}

static struct log_item *push(struct log_batch *b, struct error *err)
{
    if (make_room(b, err) < 0)
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
    *item = (struct log_item){.a = b->bytes};
    return item;
}

static void count_item(struct log_batch *b, const struct log_item *item)
{
    b->bytes += room_for(item);
    b->largest = MAX(b->largest, room_for(item));
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
    count_item(b, item);
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
    count_item(b, item);
    return 0;
}
