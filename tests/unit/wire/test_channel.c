/* Handshake, frames and messages of a channel; both ends here, bytes by hand. */
#include "wire/channel.h"

#include <stdlib.h>
#include "test_main.h"

#define HELLO_BYTES 90
#define REPLY_BYTES 124
#define FINISH_BYTES 56
#define SEAL_BYTES 17
#define FINAL_BIT 0x80000000u

static const uint8_t key[CHANNEL_KEY_BYTES] = {1, 2, 3};
static const uint8_t other_key[CHANNEL_KEY_BYTES] = {1, 2, 4};

/* Both ends, and the bytes under way to each. */
struct pair {
    struct channel *a, *b; /* initiator, responder */
    struct buf to_a, to_b;
    struct error err;
};

static void pair_make(struct pair *p, enum channel_role role_a, const uint8_t *key_a,
                      enum channel_role role_b, const uint8_t *key_b)
{
    memset(p, 0, sizeof *p);
    p->a = channel_create(true, role_a, key_a);
    p->b = channel_create(false, role_b, key_b);
    CU_ASSERT_FATAL(p->a && p->b);
    buf_init(&p->to_a, BUF_MAX_DEFAULT);
    buf_init(&p->to_b, BUF_MAX_DEFAULT);
    channel_start(p->a, &p->to_b);
}

static void pair_drop(struct pair *p)
{
    channel_destroy(p->a);
    channel_destroy(p->b);
    buf_release(&p->to_a);
    buf_release(&p->to_b);
}

static int feed_a(struct pair *p)
{
    int rc = channel_input(p->a, p->to_a.data, p->to_a.len, &p->to_b, &p->err);
    buf_clear(&p->to_a);
    return rc;
}

static int feed_b(struct pair *p)
{
    int rc = channel_input(p->b, p->to_b.data, p->to_b.len, &p->to_a, &p->err);
    buf_clear(&p->to_b);
    return rc;
}

/* The first error of the handshake, 0 when both ends are open. */
static int shake(struct pair *p)
{
    int rc = feed_b(p);
    int rc_a = feed_a(p);
    if (rc == 0)
        rc = rc_a;
    return rc ? rc : feed_b(p);
}

static void pair_open(struct pair *p, const uint8_t *k)
{
    pair_make(p, ROLE_WORKER, k, ROLE_WORKER, k);
    CU_ASSERT_EQUAL_FATAL(shake(p), 0);
    CU_ASSERT(channel_established(p->a) && channel_established(p->b));
}

static void put_message(struct buf *batch, uint8_t type, const void *body, size_t n)
{
    buf_u8(batch, type);
    buf_bytes(batch, body, n);
}

static void send_text(struct channel *c, uint8_t type, const char *text,
                      struct buf *out)
{
    struct buf batch = BUF_INIT(BUF_MAX_DEFAULT);
    put_message(&batch, type, text, strlen(text));
    channel_seal(c, batch.data, batch.len, out);
    buf_release(&batch);
}

static bool next_is(struct channel *c, uint8_t type, const char *text)
{
    uint8_t got;
    struct span body;
    return channel_message(c, &got, &body) == 0 && got == type &&
           body.n == strlen(text) && (body.n == 0 || !memcmp(body.p, text, body.n));
}

static bool nothing_left(struct channel *c)
{
    uint8_t type;
    struct span body;
    bool none = channel_message(c, &type, &body) == ERR_TIMEOUT;
    channel_rewind(c);
    return none && channel_message(c, &type, &body) == ERR_TIMEOUT;
}

/* ---- handshake ------------------------------------------------------------------- */

static void test_handshake_and_messages(void)
{
    static const enum channel_role roles[] = {ROLE_CLIENT, ROLE_WORKER};
    const uint8_t *const keys[] = {key, NULL};
    for (size_t i = 0; i < 4; i++) {
        struct pair p;
        enum channel_role role = roles[i % 2];
        const uint8_t *k = keys[i / 2];
        pair_make(&p, role, k, role, k);
        CU_ASSERT_EQUAL(p.to_b.len, 4 + HELLO_BYTES);
        CU_ASSERT(!channel_established(p.a) && !channel_established(p.b));
        CU_ASSERT_EQUAL(feed_b(&p), 0);
        CU_ASSERT_EQUAL(p.to_a.len, 4 + REPLY_BYTES);
        CU_ASSERT_EQUAL(channel_established(p.b), k == NULL);
        CU_ASSERT_EQUAL(feed_a(&p), 0);
        CU_ASSERT(channel_established(p.a));
        CU_ASSERT_EQUAL(p.to_b.len, k ? 4 + FINISH_BYTES : 0);
        CU_ASSERT_EQUAL(feed_b(&p), 0);
        CU_ASSERT(channel_established(p.b));
        send_text(p.a, 7, "from a", &p.to_b);
        send_text(p.a, 8, "", &p.to_b);
        send_text(p.b, 9, "from b", &p.to_a);
        CU_ASSERT_EQUAL(feed_b(&p), 0);
        CU_ASSERT_EQUAL(feed_a(&p), 0);
        CU_ASSERT(next_is(p.b, 7, "from a") && next_is(p.b, 8, ""));
        CU_ASSERT(next_is(p.a, 9, "from b"));
        CU_ASSERT(nothing_left(p.a) && nothing_left(p.b));
        CU_ASSERT(!channel_finished(p.a) && !channel_finished(p.b));
        channel_finish(p.a, &p.to_b);
        CU_ASSERT_EQUAL(feed_b(&p), 0);
        CU_ASSERT(channel_finished(p.b) && !channel_finished(p.a));
        pair_drop(&p);
    }
    channel_destroy(NULL);
}

static void test_what_does_not_match(void)
{
    static const struct {
        enum channel_role role_a, role_b;
        const uint8_t *key_a, *key_b;
        const char *text;
    } cases[] = {
        {ROLE_CLIENT, ROLE_CLIENT, key, other_key, "Cannot verify challenge"},
        {ROLE_CLIENT, ROLE_WORKER, key, key,
         "Authentication failed: Expected peer role hq-server, got server"},
        {ROLE_WORKER, ROLE_CLIENT, key, key,
         "Authentication failed: Expected peer role server, got hq-server"},
        {ROLE_WORKER, ROLE_CLIENT, NULL, NULL,
         "Authentication failed: Expected peer role server, got hq-server"},
        {ROLE_CLIENT, ROLE_CLIENT, NULL, key,
         "Authentication failed: Peer requests authentication"},
        {ROLE_CLIENT, ROLE_CLIENT, key, NULL,
         "Authentication failed: Peer does not support authentication"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct pair p;
        pair_make(&p, cases[i].role_a, cases[i].key_a, cases[i].role_b, cases[i].key_b);
        CU_ASSERT_EQUAL(feed_b(&p), ERR_AUTH);
        CU_ASSERT_STRING_EQUAL(p.err.text, cases[i].text);
        p.err = (struct error)ERROR_INIT;
        CU_ASSERT_EQUAL(feed_a(&p), ERR_AUTH); /* the refusal tells why */
        CU_ASSERT_STRING_EQUAL(p.err.text, cases[i].text);
        CU_ASSERT(!channel_established(p.a) && !channel_established(p.b));
        /* Neither goes on. */
        CU_ASSERT_EQUAL(channel_input(p.a, "\1\0\0\0x", 5, &p.to_b, &p.err),
                        ERR_CLOSED);
        CU_ASSERT_EQUAL(channel_input(p.b, "\1\0\0\0x", 5, &p.to_a, &p.err),
                        ERR_CLOSED);
        pair_drop(&p);
    }
}

/* A server that does not hold the key cannot make the caller believe it does. */
static void test_server_without_the_key(void)
{
    struct pair p, q;
    pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, other_key);
    pair_make(&q, ROLE_CLIENT, other_key, ROLE_CLIENT, other_key);
    CU_ASSERT_EQUAL(feed_b(&q), 0); /* an answer made with another key */
    CU_ASSERT_EQUAL(channel_input(p.a, q.to_a.data, q.to_a.len, &p.to_b, &p.err),
                    ERR_AUTH);
    CU_ASSERT(!channel_established(p.a));
    pair_drop(&p);
    pair_drop(&q);
    /* An open server (all zeros) to a caller with a key. */
    pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
    uint8_t zeros[4 + REPLY_BYTES] = {REPLY_BYTES, 0, 0, 0, 0, 1, 0, ROLE_CLIENT};
    CU_ASSERT_NOT_EQUAL(channel_input(p.a, zeros, sizeof zeros, &p.to_b, &p.err), 0);
    CU_ASSERT(!channel_established(p.a));
    pair_drop(&p);
}

static void test_versions(void)
{
    static const struct {
        uint16_t min, max;
        int rc;
    } cases[] = {{2, 9, ERR_VERSION},
                 {0, 0, ERR_VERSION},
                 {UINT16_MAX, UINT16_MAX, ERR_VERSION}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct pair p;
        char want[128];
        pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
        put_u16(p.to_b.data + 8, cases[i].min);
        put_u16(p.to_b.data + 10, cases[i].max);
        (void)snprintf(
            want, sizeof want,
            "protocol version mismatch: the peer speaks %u to %u, the server "
            "1 to 1",
            cases[i].min, cases[i].max);
        CU_ASSERT_EQUAL(feed_b(&p), cases[i].rc);
        CU_ASSERT_STRING_EQUAL(p.err.text, want);
        CU_ASSERT_EQUAL(feed_a(&p), cases[i].rc);
        CU_ASSERT_STRING_EQUAL(p.err.text, want);
        pair_drop(&p);
    }
    /* A newer peer that still speaks ours is welcome: open channels have no MAC. */
    struct pair p;
    pair_make(&p, ROLE_CLIENT, NULL, ROLE_CLIENT, NULL);
    put_u16(p.to_b.data + 10, 7);
    CU_ASSERT_EQUAL(feed_b(&p), 0);
    CU_ASSERT_EQUAL(get_u16(p.to_a.data + 5), 1);
    put_u16(p.to_a.data + 5, 3); /* a server that chooses what was not offered */
    CU_ASSERT_EQUAL(feed_a(&p), ERR_VERSION);
    pair_drop(&p);
    /* With a key the versions are under the MAC. */
    pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
    put_u16(p.to_b.data + 10, 7);
    CU_ASSERT_EQUAL(feed_b(&p), ERR_AUTH);
    pair_drop(&p);
}

static void test_refusals_are_harmless(void)
{
    struct pair p;
    static const uint8_t escape[] = {7, 0, 0, 0, 9, 'a', 0x1b, '[', 0xc3, 0, 'b'};
    pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
    CU_ASSERT_EQUAL(channel_input(p.a, escape, sizeof escape, &p.to_b, &p.err),
                    ERR_AUTH);
    CU_ASSERT_STRING_EQUAL(p.err.text, "a?[??b");
    pair_drop(&p);
    pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
    CU_ASSERT_EQUAL(channel_input(p.a, "\1\0\0\0\11", 5, &p.to_b, &p.err), ERR_AUTH);
    CU_ASSERT_STRING_EQUAL(p.err.text, "the server refused the connection");
    pair_drop(&p);
    for (uint8_t code = 1; code < 255; code++) {
        uint8_t refusal[] = {2, 0, 0, 0, code, 'x'};
        pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
        int rc = channel_input(p.a, refusal, sizeof refusal, &p.to_b, &p.err);
        CU_ASSERT_EQUAL(rc, code == 8 || code == 9 ? -(int)code : ERR_CORRUPT);
        pair_drop(&p);
    }
}

/* Each byte of each handshake message changed, one at a time: never established. */
static void test_flipped_handshakes(void)
{
    static const size_t sizes[] = {HELLO_BYTES, REPLY_BYTES, FINISH_BYTES};
    for (size_t step = 0; step < 3; step++)
        for (size_t at = 0; at < 4 + sizes[step]; at++) {
            struct pair p;
            pair_make(&p, ROLE_WORKER, key, ROLE_WORKER, key);
            if (step >= 1)
                CU_ASSERT_EQUAL_FATAL(feed_b(&p), 0);
            if (step >= 2)
                CU_ASSERT_EQUAL_FATAL(feed_a(&p), 0);
            struct buf *under_way = step == 1 ? &p.to_a : &p.to_b;
            CU_ASSERT_EQUAL(under_way->len, 4 + sizes[step]);
            under_way->data[at] ^= 0x40;
            if (step == 1) {
                (void)feed_a(&p);
                CU_ASSERT(!channel_established(p.a));
            } else {
                (void)feed_b(&p);
                (void)feed_a(&p);
                (void)feed_b(&p);
                CU_ASSERT(!channel_established(p.b));
            }
            pair_drop(&p);
        }
}

/* What was heard of one connection opens no other one. */
static void test_replays(void)
{
    struct pair p, q;
    struct buf hello = BUF_INIT(BUF_MAX_DEFAULT), finish = BUF_INIT(BUF_MAX_DEFAULT);
    pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
    buf_append(&hello, p.to_b.data, p.to_b.len);
    CU_ASSERT_EQUAL(feed_b(&p), 0);
    CU_ASSERT_EQUAL(feed_a(&p), 0);
    send_text(p.a, 1, "secret", &p.to_b);
    buf_append(&finish, p.to_b.data, p.to_b.len);
    CU_ASSERT_EQUAL(feed_b(&p), 0);

    pair_make(&q, ROLE_CLIENT, key, ROLE_CLIENT, key);
    CU_ASSERT_EQUAL(channel_input(q.b, hello.data, hello.len, &q.to_a, &q.err), 0);
    CU_ASSERT_EQUAL(channel_input(q.b, finish.data, finish.len, &q.to_a, &q.err),
                    ERR_AUTH);
    CU_ASSERT(!channel_established(q.b));
    pair_drop(&q);
    /* Nor does an answer from before satisfy a new caller. */
    pair_make(&q, ROLE_CLIENT, key, ROLE_CLIENT, key);
    struct pair r;
    pair_make(&r, ROLE_CLIENT, key, ROLE_CLIENT, key);
    CU_ASSERT_EQUAL(feed_b(&r), 0);
    CU_ASSERT_EQUAL(channel_input(q.a, r.to_a.data, r.to_a.len, &q.to_b, &q.err),
                    ERR_AUTH);
    pair_drop(&r);
    pair_drop(&q);
    pair_drop(&p);
    buf_release(&hello);
    buf_release(&finish);
}

/* A caller's own bytes sent back to it. */
static void test_reflection(void)
{
    struct pair p;
    pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
    buf_append(&p.to_a, p.to_b.data, p.to_b.len);
    CU_ASSERT_NOT_EQUAL(feed_a(&p), 0);
    pair_drop(&p);
    pair_open(&p, key);
    send_text(p.a, 1, "x", &p.to_a);
    CU_ASSERT_EQUAL(feed_a(&p), ERR_CORRUPT);
    pair_drop(&p);
}

static void test_weak_ephemeral_key(void)
{
    /* Low order: the shared secret would be known to all. Needs the key to get there.
     */
    struct pair p, q;
    pair_make(&p, ROLE_CLIENT, NULL, ROLE_CLIENT, NULL);
    memset(p.to_b.data + 4 + 42, 0, 32);
    CU_ASSERT_EQUAL(feed_b(&p), 0); /* an open channel uses none */
    pair_drop(&p);
    pair_make(&q, ROLE_CLIENT, key, ROLE_CLIENT, key);
    CU_ASSERT_EQUAL(feed_b(&q), 0);
    memset(q.to_a.data + 4 + 36, 0, 32);
    CU_ASSERT_EQUAL(feed_a(&q), ERR_AUTH);
    CU_ASSERT(!channel_established(q.a));
    pair_drop(&q);
}

/* ---- frames ---------------------------------------------------------------------- */

static void feed_bytewise(struct channel *c, struct buf *bytes, struct buf *out)
{
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < bytes->len; i++)
        CU_ASSERT_EQUAL(channel_input(c, bytes->data + i, 1, out, &err), 0);
    buf_clear(bytes);
}

static void test_byte_by_byte(void)
{
    const uint8_t *const keys[] = {key, NULL};
    for (size_t i = 0; i < 2; i++) {
        struct pair p;
        pair_make(&p, ROLE_WORKER, keys[i], ROLE_WORKER, keys[i]);
        feed_bytewise(p.b, &p.to_b, &p.to_a);
        feed_bytewise(p.a, &p.to_a, &p.to_b);
        send_text(p.a, 5, "behind the finish", &p.to_b);
        send_text(p.a, 6, "and more", &p.to_b);
        channel_finish(p.a, &p.to_b);
        feed_bytewise(p.b, &p.to_b, &p.to_a);
        CU_ASSERT(next_is(p.b, 5, "behind the finish") && next_is(p.b, 6, "and more"));
        CU_ASSERT(channel_finished(p.b));
        pair_drop(&p);
    }
}

/* All cuts of a stream into two pieces, the handshake included. */
static void test_any_cut(void)
{
    uint8_t seed_a[32] = {1}, seed_b[32] = {2};
    for (size_t cut = 0;; cut++) {
        struct pair p;
        memset(&p, 0, sizeof p);
        p.a = channel_create(true, ROLE_CLIENT, key);
        p.b = channel_create(false, ROLE_CLIENT, key);
        channel_fix_randomness(p.a, seed_a);
        channel_fix_randomness(p.b, seed_b);
        buf_init(&p.to_a, BUF_MAX_DEFAULT);
        buf_init(&p.to_b, BUF_MAX_DEFAULT);
        struct buf all = BUF_INIT(BUF_MAX_DEFAULT);
        channel_start(p.a, &all);
        /* The responder's answer does not depend on when it arrives. */
        struct channel *twin = channel_create(false, ROLE_CLIENT, key);
        channel_fix_randomness(twin, seed_b);
        CU_ASSERT_EQUAL(channel_input(twin, all.data, all.len, &p.to_a, &p.err), 0);
        channel_destroy(twin);
        CU_ASSERT_EQUAL(channel_input(p.a, p.to_a.data, p.to_a.len, &all, &p.err), 0);
        send_text(p.a, 3, "three", &all);
        buf_clear(&p.to_a);
        bool last = cut > all.len;
        size_t first = last ? all.len : cut;
        CU_ASSERT_EQUAL(channel_input(p.b, all.data, first, &p.to_a, &p.err), 0);
        CU_ASSERT_EQUAL(
            channel_input(p.b, all.data + first, all.len - first, &p.to_a, &p.err), 0);
        CU_ASSERT(next_is(p.b, 3, "three"));
        buf_release(&all);
        pair_drop(&p);
        if (last)
            break;
    }
}

static void test_truncation(void)
{
    struct pair p;
    pair_open(&p, key);
    send_text(p.a, 1, "whole", &p.to_b);
    size_t first = p.to_b.len;
    send_text(p.a, 2, "cut", &p.to_b);
    CU_ASSERT_EQUAL(channel_input(p.b, p.to_b.data, first, &p.to_a, &p.err), 0);
    CU_ASSERT(next_is(p.b, 1, "whole"));
    for (size_t n = first; n < p.to_b.len - 1; n++) {
        CU_ASSERT_EQUAL(channel_input(p.b, p.to_b.data + n, 1, &p.to_a, &p.err), 0);
        CU_ASSERT(nothing_left(p.b));
    }
    CU_ASSERT(!channel_finished(p.b)); /* end of file now is a cut connection */
    pair_drop(&p);
}

static void test_altered_frames(void)
{
    for (size_t at = 0; at < 4 + SEAL_BYTES + 7; at++) {
        struct pair p;
        pair_open(&p, key);
        send_text(p.a, 1, "first", &p.to_b);
        CU_ASSERT_EQUAL(p.to_b.len, 4 + SEAL_BYTES + 7);
        p.to_b.data[at] ^= 1;
        int rc = feed_b(&p);
        /* A longer length only waits for more. */
        CU_ASSERT(rc == ERR_CORRUPT || rc == ERR_TOO_BIG || (rc == 0 && at < 4));
        CU_ASSERT(nothing_left(p.b));
        if (rc != 0)
            CU_ASSERT(!channel_established(p.b));
        pair_drop(&p);
    }
}

/* Dropped, repeated, swapped and inserted frames. */
static void test_order_of_frames(void)
{
    static const int orders[][3] = {
        {1, -1}, {0, 0, -1}, {1, 0, -1}, {0, 2, -1}, {2, -1}};
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
        struct pair p;
        struct buf frames[3];
        pair_open(&p, key);
        for (size_t f = 0; f < 3; f++) {
            buf_init(&frames[f], BUF_MAX_DEFAULT);
            if (f < 2)
                send_text(p.a, (uint8_t)f, "x", &frames[f]);
            else
                channel_finish(p.a, &frames[f]);
        }
        int rc = 0;
        for (size_t k = 0; k < 3 && orders[i][k] >= 0 && rc == 0; k++) {
            const struct buf *frame = &frames[orders[i][k]];
            rc = channel_input(p.b, frame->data, frame->len, &p.to_a, &p.err);
        }
        CU_ASSERT_EQUAL(rc, ERR_CORRUPT);
        CU_ASSERT(!channel_finished(p.b));
        for (size_t f = 0; f < 3; f++)
            buf_release(&frames[f]);
        pair_drop(&p);
    }
}

static void test_nothing_follows_the_final_frame(void)
{
    const uint8_t *const keys[] = {key, NULL};
    for (size_t i = 0; i < 2; i++) {
        struct pair p;
        pair_open(&p, keys[i]);
        channel_finish(p.a, &p.to_b);
        CU_ASSERT_EQUAL(feed_b(&p), 0);
        CU_ASSERT(channel_finished(p.b));
        send_text(p.a, 1, "x", &p.to_b);
        CU_ASSERT_EQUAL(feed_b(&p), ERR_CORRUPT);
        CU_ASSERT(nothing_left(p.b));
        pair_drop(&p);
    }
}

static void test_oversize_frames(void)
{
    static const struct {
        bool open; /* the channel is established */
        bool keyed;
        uint32_t length;
        int rc;
    } cases[] = {
        {false, true, CHANNEL_HANDSHAKE_MAX + 1, ERR_TOO_BIG},
        {false, false, CHANNEL_HANDSHAKE_MAX + 1, ERR_TOO_BIG},
        {false, true, UINT32_MAX, ERR_TOO_BIG},
        {false, false, FINAL_BIT, ERR_TOO_BIG},
        {false, true, CHANNEL_HANDSHAKE_MAX, 0}, /* waits for the rest */
        {true, true, CHANNEL_FRAME_MAX + SEAL_BYTES + 1, ERR_TOO_BIG},
        {true, true, CHANNEL_FRAME_MAX + SEAL_BYTES, 0},
        {true, true, FINAL_BIT, ERR_TOO_BIG},
        {true, false, CHANNEL_FRAME_MAX + 1, ERR_TOO_BIG},
        {true, false, CHANNEL_FRAME_MAX, 0},
        {true, false, FINAL_BIT | CHANNEL_FRAME_MAX, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (size_t step = 1; step <= 4; step += 3) {
            struct pair p;
            uint8_t length[4];
            const uint8_t *k = cases[i].keyed ? key : NULL;
            if (cases[i].open)
                pair_open(&p, k);
            else
                pair_make(&p, ROLE_CLIENT, k, ROLE_CLIENT, k);
            put_u32(length, cases[i].length);
            int rc = 0;
            for (size_t at = 0; at < 4 && rc == 0; at += step)
                rc = channel_input(p.b, length + at, step, &p.to_a, &p.err);
            CU_ASSERT_EQUAL(rc, cases[i].rc);
            CU_ASSERT_EQUAL(p.to_a.len, 0);
            pair_drop(&p);
        }
}

static void test_not_our_protocol(void)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n",
                                        "SSH-2.0-OpenSSH\r\n"};
    struct pair p;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
        CU_ASSERT_NOT_EQUAL(
            channel_input(p.b, texts[i], strlen(texts[i]), &p.to_a, &p.err), 0);
        CU_ASSERT_EQUAL(p.to_a.len, 0); /* strangers learn nothing */
        pair_drop(&p);
    }
    /* A hello with bytes missing or too many. */
    for (int delta = -1; delta <= 1; delta += 2) {
        pair_make(&p, ROLE_CLIENT, key, ROLE_CLIENT, key);
        buf_u8(&p.to_b, 0);
        p.to_b.len = (size_t)((int)(4 + HELLO_BYTES) + delta);
        put_u32(p.to_b.data, (uint32_t)((int)HELLO_BYTES + delta));
        CU_ASSERT_EQUAL(feed_b(&p), ERR_CORRUPT);
        pair_drop(&p);
    }
}

/* ---- messages -------------------------------------------------------------------- */

static void test_big_messages(void)
{
    static const size_t sizes[] = {127, 128, CHANNEL_FRAME_MAX - 4, CHANNEL_FRAME_MAX,
                                   CHANNEL_FRAME_MAX * 5 + 123};
    const uint8_t *const keys[] = {key, NULL};
    for (size_t i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
        struct pair p;
        size_t n = sizes[i / 2];
        uint8_t *body = malloc(n);
        struct buf batch = BUF_INIT(BUF_MAX_DEFAULT);
        CU_ASSERT_PTR_NOT_NULL_FATAL(body);
        for (size_t k = 0; k < n; k++)
            body[k] = (uint8_t)(k * 7 + k / 251);
        pair_open(&p, keys[i % 2]);
        put_message(&batch, 1, "before", 6);
        put_message(&batch, 2, body, n);
        put_message(&batch, 3, "behind", 6);
        channel_seal(p.a, batch.data, batch.len, &p.to_b);
        /* In pieces that fit no frame. */
        struct error err = ERROR_INIT;
        for (size_t at = 0; at < p.to_b.len; at += 100003) {
            size_t part = MIN(p.to_b.len - at, (size_t)100003);
            CU_ASSERT_EQUAL(channel_input(p.b, p.to_b.data + at, part, &p.to_a, &err),
                            0);
        }
        uint8_t type;
        struct span got;
        CU_ASSERT(next_is(p.b, 1, "before"));
        channel_rewind(p.b);
        CU_ASSERT_EQUAL(channel_message(p.b, &type, &got), 0);
        CU_ASSERT(type == 2 && got.n == n && memcmp(got.p, body, n) == 0);
        CU_ASSERT(next_is(p.b, 3, "behind") && nothing_left(p.b));
        buf_release(&batch);
        free(body);
        pair_drop(&p);
    }
}

/* Message heads that lie; on an open channel, whose frames are easily written. */
static void test_message_heads(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        int rc;
    } cases[] = {
        {"", 0, ERR_TIMEOUT},
        {"\1", 1, ERR_TIMEOUT},
        {"\1\x80", 2, ERR_TIMEOUT},
        {"\1\5four", 6, ERR_TIMEOUT},
        {"\1\0", 2, 0},
        {"\1\x81\0x", 4, 0},
        {"\1\x80\x80\x80\x80\x04", 6, ERR_TIMEOUT}, /* exactly the largest */
        {"\1\x81\x80\x80\x80\x04", 6, ERR_TOO_BIG},
        {"\1\xff\xff\xff\xff\x7f", 6, ERR_TOO_BIG},
        {"\1\x80\x80\x80\x80\x80", 6, ERR_TIMEOUT},
        {"\1\x80\x80\x80\x80\x80\0", 7, ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct pair p;
        uint8_t type;
        struct span body;
        pair_open(&p, NULL);
        channel_seal(p.a, cases[i].bytes, cases[i].n, &p.to_b);
        CU_ASSERT_EQUAL(feed_b(&p), 0);
        CU_ASSERT_EQUAL(channel_message(p.b, &type, &body), cases[i].rc);
        pair_drop(&p);
    }
}

static void test_keys(void)
{
    uint8_t k[CHANNEL_KEY_BYTES], same[CHANNEL_KEY_BYTES];
    struct buf hex = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    channel_random(k, sizeof k);
    channel_key_print(k, &hex);
    CU_ASSERT_EQUAL(hex.len, 64);
    CU_ASSERT_EQUAL(channel_key_parse(buf_cstr(&hex), same, &err), 0);
    CU_ASSERT_EQUAL(memcmp(k, same, sizeof k), 0);
    buf_puts(&hex, "0");
    CU_ASSERT_EQUAL(channel_key_parse(buf_cstr(&hex), same, &err), ERR_PARSE);
    hex.len = 62;
    hex.data[62] = 0;
    CU_ASSERT_EQUAL(channel_key_parse(buf_cstr(&hex), same, &err), ERR_PARSE);
    hex.data[10] = 'g';
    CU_ASSERT_EQUAL(channel_key_parse(buf_cstr(&hex), same, &err), ERR_PARSE);
    CU_ASSERT_EQUAL(channel_key_parse("", same, &err), ERR_PARSE);
    CU_ASSERT_EQUAL(memcmp(k, same, sizeof k), 0); /* failed calls change nothing */
    buf_release(&hex);
    CU_ASSERT_STRING_EQUAL(channel_server_name(ROLE_CLIENT), "hq-server");
    CU_ASSERT_STRING_EQUAL(channel_server_name(ROLE_WORKER), "server");
    CU_ASSERT_STRING_EQUAL(channel_peer_name(ROLE_CLIENT), "hq-client");
    CU_ASSERT_STRING_EQUAL(channel_peer_name(ROLE_WORKER), "worker");
}

TEST_MAIN("channel", TEST(test_handshake_and_messages), TEST(test_what_does_not_match),
          TEST(test_server_without_the_key), TEST(test_versions),
          TEST(test_refusals_are_harmless), TEST(test_flipped_handshakes),
          TEST(test_replays), TEST(test_reflection), TEST(test_weak_ephemeral_key),
          TEST(test_byte_by_byte), TEST(test_any_cut), TEST(test_truncation),
          TEST(test_altered_frames), TEST(test_order_of_frames),
          TEST(test_nothing_follows_the_final_frame), TEST(test_oversize_frames),
          TEST(test_not_our_protocol), TEST(test_big_messages),
          TEST(test_message_heads), TEST(test_keys))
