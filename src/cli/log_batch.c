#include "cli/log_batch.h"

#include <stdlib.h>

#define BATCH_BYTES (64u << 20)
#define BATCH_ITEMS 400000u

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
    *b = (struct log_batch){.reader = reader, .events = events, .arg = arg};
    buf_init(&b->data, BUF_MAX_DEFAULT);
}

void log_batch_release(struct log_batch *b)
{
    free(b->items);
    buf_release(&b->data);
}

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

static int read_item(struct log_batch *b, struct log_item *item, struct error *err)
{
    const uint8_t *data;
    size_t n;
    item->n = 0;
    int rc = item->is_end ? outlog_read_payload(b->reader, &item->ref, &data, &n)
                          : outlog_read_block(b->reader, &item->ref, &data, &n);
    if (rc == ERR_CORRUPT)
        return 0; /* told by the reader */
    if (rc < 0)
        return error_nomem(err);
    if (item->is_end) {
        size_t skip = n >= OUTLOG_END_BYTES ? n - OUTLOG_END_BYTES : n;
        data += skip;
        n -= skip;
    }
    item->a = b->data.len;
    item->n = (uint32_t)n;
    buf_append(&b->data, data, n);
    return b->data.failed ? error_nomem(err) : 0;
}

static int read_items(struct log_batch *b, struct error *err)
{
    struct log_item **order = malloc((b->n_items + 1) * sizeof(void *));
    size_t n = 0;
    if (!order)
        return error_nomem(err);
    for (size_t i = 0; i < b->n_items; i++)
        if (!b->items[i].is_mark)
            order[n++] = &b->items[i];
    qsort(order, n, sizeof(void *), by_place);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = read_item(b, order[i], err);
    free(order);
    return rc;
}

int log_batch_flush(struct log_batch *b, struct error *err)
{
    buf_clear(&b->data);
    int rc = buf_reserve(&b->data, 1) ? read_items(b, err) : error_nomem(err);
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

static struct log_item *push(struct log_batch *b, struct error *err)
{
    if (b->n_items >= BATCH_ITEMS || b->bytes >= BATCH_BYTES)
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
