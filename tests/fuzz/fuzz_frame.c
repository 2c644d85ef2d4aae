/*
 * Channels fed with foreign bytes. First byte of the input: bit 0 with a key, bit 1 the
 * initiator is fed (else the responder), bit 2 after a whole handshake, bit 3 what
 * follows is sealed by the true peer and then damaged instead of raw, bits 4 to 7 the
 * size of the pieces that arrive. Without the key nobody may get to an open channel,
 * nor a message into one.
 */
#include <stdlib.h>
#include <string.h>
#include "wire/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEYED = 1, FEED_INITIATOR = 2, ESTABLISHED = 4, DAMAGED = 8 };

static const uint8_t key[CHANNEL_KEY_BYTES] = {7, 7, 7};

struct ends {
    struct channel *fed, *peer;
    struct buf from_fed, from_peer;
};

static void start(struct ends *e, uint8_t mode)
{
    static const uint8_t seeds[2][32] = {{1}, {2}};
    const uint8_t *k = mode & KEYED ? key : NULL;
    bool initiator = (mode & FEED_INITIATOR) != 0;
    e->fed = channel_create(initiator, ROLE_WORKER, k);
    e->peer = channel_create(!initiator, ROLE_WORKER, k);
    HQ_ASSERT(e->fed && e->peer);
    channel_fix_randomness(e->fed, seeds[0]);
    channel_fix_randomness(e->peer, seeds[1]);
    buf_init(&e->from_fed, BUF_MAX_DEFAULT);
    buf_init(&e->from_peer, BUF_MAX_DEFAULT);
    channel_start(initiator ? e->fed : e->peer,
                  initiator ? &e->from_fed : &e->from_peer);
}

static void pass_on(struct channel *to, struct buf *bytes, struct buf *answers)
{
    struct error err = ERROR_INIT;
    HQ_ASSERT(channel_input(to, bytes->data, bytes->len, answers, &err) == 0);
    buf_clear(bytes);
}

static void shake_hands(struct ends *e)
{
    for (int i = 0; i < 3; i++) {
        pass_on(e->fed, &e->from_peer, &e->from_fed);
        pass_on(e->peer, &e->from_fed, &e->from_peer);
    }
    HQ_ASSERT(channel_established(e->fed) && channel_established(e->peer));
}

/* Messages that are handed out; their bytes are touched. */
static size_t take_messages(struct channel *c)
{
    uint8_t type;
    struct span body;
    size_t n = 0;
    unsigned sum = 0;
    int rc;
    while ((rc = channel_message(c, &type, &body)) == 0) {
        for (size_t i = 0; i < body.n; i++)
            sum += body.p[i];
        n++;
    }
    HQ_ASSERT(sum != UINT32_MAX);
    if (rc == ERR_TIMEOUT)
        channel_rewind(c);
    return n;
}

static int feed(struct ends *e, const uint8_t *p, size_t n, size_t piece,
                size_t *messages)
{
    struct error err = ERROR_INIT;
    int rc = 0;
    while (n > 0 && rc == 0) {
        size_t part = MIN(n, piece);
        rc = channel_input(e->fed, p, part, &e->from_fed, &err);
        HQ_ASSERT((rc != 0) == (err.text[0] != '\0'));
        *messages += take_messages(e->fed);
        p += part;
        n -= part;
    }
    return rc;
}

static void feed_damaged(struct ends *e, const uint8_t *p, size_t n, size_t piece,
                         bool keyed)
{
    size_t messages = 0;
    if (n < 3)
        return;
    size_t where = get_u16(p);
    uint8_t flip = p[2];
    struct buf batch = BUF_INIT(BUF_MAX_DEFAULT), frames = BUF_INIT(BUF_MAX_DEFAULT);
    buf_u8(&batch, 1);
    buf_bytes(&batch, p + 3, n - 3);
    channel_seal(e->peer, batch.data, batch.len, &frames);
    channel_finish(e->peer, &frames);
    frames.data[where % frames.len] ^= flip;
    int rc = feed(e, frames.data, frames.len, piece, &messages);
    if (flip == 0)
        HQ_ASSERT(rc == 0 && messages == 1 && channel_finished(e->fed));
    else if (keyed)
        HQ_ASSERT(!channel_finished(e->fed));
    buf_release(&batch);
    buf_release(&frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ends e;
    if (size < 1)
        return 0;
    uint8_t mode = data[0];
    bool keyed = (mode & KEYED) != 0;
    size_t piece = mode >> 4 == 15 ? size + 100 : (size_t)1 + (mode >> 4) * 7u;
    start(&e, mode);
    if (mode & ESTABLISHED)
        shake_hands(&e);
    if ((mode & ESTABLISHED) && (mode & DAMAGED)) {
        feed_damaged(&e, data + 1, size - 1, piece, keyed);
    } else {
        size_t messages = 0;
        int rc = feed(&e, data + 1, size - 1, piece, &messages);
        if (keyed)
            HQ_ASSERT(messages == 0 &&
                      ((mode & ESTABLISHED) || !channel_established(e.fed)));
        if (rc == 0 && channel_established(e.fed)) {
            buf_clear(&e.from_fed);
            channel_seal(e.fed, "\1\0", 2, &e.from_fed);
            channel_finish(e.fed, &e.from_fed);
            HQ_ASSERT(e.from_fed.len > 0);
        }
    }
    channel_destroy(e.fed);
    channel_destroy(e.peer);
    buf_release(&e.from_fed);
    buf_release(&e.from_peer);
    return 0;
}
