#include "outlog/cap.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/text.h"

void cap_init(struct output_cap *c, uint64_t limit, bool keep_tail)
{
    *c = (struct output_cap){.limit = limit, .head = limit ? limit : UINT64_MAX};
    if (limit && keep_tail) {
        c->tail = (size_t)MIN(limit / 4, CAP_TAIL_BYTES);
        c->head = limit - OUTLOG_N_CHANNELS * c->tail;
    }
}

void cap_release(struct output_cap *c)
{
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++)
        free(c->tails[i].mem);
}

void cap_job_full(struct output_cap *c, uint64_t used, uint64_t limit)
{
    if (c->head <= used)
        return; /* at its own limit already */
    c->head = used;
    c->tail = 0;
    c->limit = limit;
    c->of_job = true;
}

uint64_t cap_room(const struct output_cap *c, uint64_t used)
{
    return c->head > used ? c->head - used : 0;
}

static void ring_add(struct cap_tail *t, size_t size, const uint8_t *p, size_t n)
{
    if (n > size) {
        p += n - size;
        n = size;
    }
    size_t first = MIN(n, size - t->at);
    memcpy(t->mem + t->at, p, first);
    memcpy(t->mem, p + first, n - first);
    t->at = (t->at + n) % size;
    t->n = MIN(t->n + n, size);
}

void cap_drop(struct output_cap *c, enum outlog_channel channel, const uint8_t *p,
              size_t n)
{
    struct cap_tail *t = &c->tails[channel];
    c->dropped[channel] += n;
    if (c->tail && !t->mem)
        t->mem = malloc(c->tail); /* without it the end is left out, too */
    if (c->tail && t->mem)
        ring_add(t, c->tail, p, n);
}

bool cap_was_hit(const struct output_cap *c)
{
    return c->dropped[OUTLOG_STDOUT] || c->dropped[OUTLOG_STDERR];
}

/* The notice, without the bytes of the ring. */
static size_t notice(const struct output_cap *c, enum outlog_channel channel,
                     char text[CAP_NOTICE_BYTES])
{
    struct buf limit = BUF_INIT(64);
    text_print_size(&limit, c->limit);
    int n = snprintf(
        text, CAP_NOTICE_BYTES,
        "\n[hq: %llu bytes of output are left out here, the limit is %s a %s]\n",
        (unsigned long long)(c->dropped[channel] - c->tails[channel].n),
        buf_cstr(&limit), c->of_job ? "job" : "task");
    buf_release(&limit);
    return (size_t)n;
}

size_t cap_rest(const struct output_cap *c, enum outlog_channel channel)
{
    char text[CAP_NOTICE_BYTES];
    const struct cap_tail *t = &c->tails[channel];
    if (c->dropped[channel] == 0)
        return 0;
    /* What was remembered in full needs no notice. */
    return t->n + (c->dropped[channel] > t->n ? notice(c, channel, text) : 0);
}

void cap_put_rest(const struct output_cap *c, enum outlog_channel channel, uint8_t *to)
{
    char text[CAP_NOTICE_BYTES];
    const struct cap_tail *t = &c->tails[channel];
    if (c->dropped[channel] > t->n) {
        size_t n = notice(c, channel, text);
        memcpy(to, text, n);
        to += n;
    }
    if (t->n == 0)
        return;
    size_t first = t->n < c->tail ? 0 : t->at; /* the oldest byte of a full ring */
    memcpy(to, t->mem + first, t->n - first);
    memcpy(to + (t->n - first), t->mem, first);
}
