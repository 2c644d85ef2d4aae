/*
 * What programs of batch systems print, and parameters of queues. The first byte of the
 * input chooses: bit 0 the batch system, bit 1 whether its program ended well, bit 2
 * the parameters instead. A NUL divides what came on the two channels.
 */
#include <stdlib.h>
#include <string.h>
#include "autoalloc/batch.h"
#include "wire/alloc_views.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_id(const struct batch_ops *ops, struct span out)
{
    struct error err = ERROR_INIT;
    char *id = NULL;
    if (ops->read_id(out, &id, &err) != 0) {
        HQ_ASSERT(!id && err.code == ERR_PARSE && err.text[0]);
        return;
    }
    HQ_ASSERT(*id && strlen(id) <= ALLOC_ID_MAX);
    for (const char *p = id; *p; p++)
        HQ_ASSERT((unsigned char)*p > ' ');
    free(id);
}

static void check_time(const struct batch_time *t)
{
    HQ_ASSERT(!t->known || (t->year >= 1970 && t->month >= 1 && t->month <= 12 &&
                            t->day >= 1 && t->hour >= 0 && t->second >= 0));
}

static void fuzz_status(const struct batch_ops *ops, const struct batch_answer *a)
{
    const char *ids[] = {"5.srv", "6"};
    size_t n = MIN(ARRAY_SIZE(ids), ops->ids_max);
    struct batch_status st[ARRAY_SIZE(ids)];
    struct error err = ERROR_INIT;
    memset(st, 0xff, sizeof st);
    if (ops->read_status(a, ids, n, st, &err) != 0) {
        HQ_ASSERT(err.code == ERR_PARSE && err.text[0]);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        HQ_ASSERT(st[i].state <= BATCH_ERROR);
        HQ_ASSERT(st[i].state != BATCH_ERROR || st[i].why[0]);
        check_time(&st[i].started);
        check_time(&st[i].ended);
    }
}

/* What is accepted comes back as the same bytes. */
static void fuzz_params(struct span in)
{
    struct cursor c = cursor_make(in.p, in.n);
    struct queue_view v, again;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT), b2 = BUF_INIT(BUF_MAX_DEFAULT);
    while (queue_view_get(&c, &v)) {
        buf_clear(&b);
        buf_clear(&b2);
        queue_view_put(&b, &v);
        struct cursor c2 = cursor_make(b.data, b.len);
        HQ_ASSERT(queue_view_get(&c2, &again) && c2.p == c2.end);
        queue_view_put(&b2, &again);
        HQ_ASSERT(b.len == b2.len && memcmp(b.data, b2.data, b.len) == 0);
        queue_view_release(&v);
        queue_view_release(&again);
    }
    c = cursor_make(in.p, in.n);
    struct allocation_view a;
    while (allocation_view_get(&c, &a))
        allocation_view_release(&a);
    buf_release(&b);
    buf_release(&b2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = BUF_INIT(1 << 20);
    if (size == 0)
        return 0;
    struct span in = {data + 1, size - 1};
    if (data[0] & 4) {
        fuzz_params(in);
        return 0;
    }
    const struct batch_ops *ops = data[0] & 1 ? &batch_pbs : &batch_slurm;
    const uint8_t *nul = in.n ? memchr(in.p, 0, in.n) : NULL;
    struct batch_answer a = {.ok = data[0] & 2, .out = in};
    if (nul) {
        a.out.n = (size_t)(nul - in.p);
        a.err = (struct span){nul + 1, in.n - a.out.n - 1};
    }
    fuzz_id(ops, a.out);
    fuzz_status(ops, &a);
    batch_describe("Exit code: 1", a.err, in, &text);
    HQ_ASSERT(!text.failed && !memchr(text.data, 0, text.len));
    buf_release(&text);
    return 0;
}
