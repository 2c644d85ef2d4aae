/* The test vectors of docs/protocol.md. */
#include "document.h"
#include "wire/channel.h"
#include "wire/lists.h"
#include "wire/messages.h"

struct ends {
    struct channel *a, *b; /* initiator, responder */
    struct buf to_a, to_b;
};

static void make(struct ends *e, const uint8_t *key_a, const uint8_t *key_b)
{
    uint8_t seed_a[32], seed_b[32];
    memset(seed_a, 0x11, sizeof seed_a);
    memset(seed_b, 0x22, sizeof seed_b);
    e->a = channel_create(true, ROLE_WORKER, key_a);
    e->b = channel_create(false, ROLE_WORKER, key_b);
    CU_ASSERT_FATAL(e->a && e->b);
    channel_fix_randomness(e->a, seed_a);
    channel_fix_randomness(e->b, seed_b);
    buf_init(&e->to_a, BUF_MAX_DEFAULT);
    buf_init(&e->to_b, BUF_MAX_DEFAULT);
    channel_start(e->a, &e->to_b);
}

static void drop(struct ends *e)
{
    channel_destroy(e->a);
    channel_destroy(e->b);
    buf_release(&e->to_a);
    buf_release(&e->to_b);
}

static void fill_key(uint8_t key[CHANNEL_KEY_BYTES])
{
    for (uint8_t i = 0; i < CHANNEL_KEY_BYTES; i++)
        key[i] = i;
}

/* Feeds `bytes` and checks them against the document. */
static void pass(struct document *d, const char *name, struct channel *to,
                 struct buf *bytes, struct buf *answer)
{
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(channel_input(to, bytes->data, bytes->len, answer, &err), 0);
    document_check_buf(d, name, bytes);
}

static void put_ack(struct channel *c, struct buf *out)
{
    struct buf batch = BUF_INIT(BUF_MAX_DEFAULT);
    struct msg_TASKS_ACK m = {.seq = 5};
    msg_put_TASKS_ACK(&batch, &m);
    CU_ASSERT(batch.len == 3 && memcmp(batch.data, "\x2a\1\5", 3) == 0);
    channel_seal(c, batch.data, batch.len, out);
    buf_release(&batch);
}

static void check_sealed(struct document *d)
{
    uint8_t key[CHANNEL_KEY_BYTES];
    struct ends e;
    struct buf batch = BUF_INIT(BUF_MAX_DEFAULT);
    fill_key(key);
    make(&e, key, key);
    pass(d, "hello", e.b, &e.to_b, &e.to_a);
    pass(d, "reply", e.a, &e.to_a, &e.to_b);
    pass(d, "finish", e.b, &e.to_b, &e.to_a);
    put_ack(e.b, &e.to_a);
    pass(d, "sealed-ack", e.a, &e.to_a, &e.to_b);
    struct msg_WORKER_HEARTBEAT m = {.sent_us = 1770000000000000};
    msg_put_WORKER_HEARTBEAT(&batch, &m);
    channel_seal(e.a, batch.data, batch.len, &e.to_b);
    pass(d, "sealed-heartbeat", e.b, &e.to_b, &e.to_a);
    channel_finish(e.a, &e.to_b);
    pass(d, "sealed-final", e.b, &e.to_b, &e.to_a);
    CU_ASSERT(channel_finished(e.b));
    buf_release(&batch);
    drop(&e);
}

static void check_open(struct document *d)
{
    struct ends e;
    make(&e, NULL, NULL);
    pass(d, "open-hello", e.b, &e.to_b, &e.to_a);
    pass(d, "open-reply", e.a, &e.to_a, &e.to_b);
    put_ack(e.b, &e.to_a);
    pass(d, "open-ack", e.a, &e.to_a, &e.to_b);
    channel_finish(e.b, &e.to_a);
    pass(d, "open-final", e.a, &e.to_a, &e.to_b);
    drop(&e);
}

static void check_refusals(struct document *d)
{
    uint8_t key[CHANNEL_KEY_BYTES], other[CHANNEL_KEY_BYTES] = {1};
    struct error err = ERROR_INIT;
    struct ends e;
    fill_key(key);
    make(&e, key, key);
    put_u16(e.to_b.data + 8, 2);
    put_u16(e.to_b.data + 10, 9);
    CU_ASSERT_EQUAL(channel_input(e.b, e.to_b.data, e.to_b.len, &e.to_a, &err),
                    ERR_VERSION);
    document_check_buf(d, "refusal-version", &e.to_a);
    drop(&e);
    make(&e, other, key);
    CU_ASSERT_EQUAL(channel_input(e.b, e.to_b.data, e.to_b.len, &e.to_a, &err),
                    ERR_AUTH);
    document_check_buf(d, "refusal-key", &e.to_a);
    drop(&e);
}

static void check_messages(struct document *d)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT), blob = BUF_INIT(BUF_MAX_DEFAULT);
    struct assigned_run run = {.job = 1, .slot = 10, .count = 3, .priority = -1};
    assigned_run_put(&blob, &run);
    struct msg_TASKS_ASSIGN assign = {
        .class_id = 3, .grants = 2, .runs = span_buf(&blob)};
    msg_put_TASKS_ASSIGN(&b, &assign);
    document_check_buf(d, "message-assign", &b);
    struct selector jobs = {.kind = SELECT_IDS, .ids = IDSET_INIT};
    CU_ASSERT_EQUAL(idset_add(&jobs.ids, 1, 3, 1), 0);
    CU_ASSERT_EQUAL(idset_add(&jobs.ids, 7, 1, 1), 0);
    buf_clear(&blob);
    selector_put(&blob, &jobs);
    struct msg_REQ_JOB_CANCEL cancel = {
        .jobs = span_buf(&blob), .reason = span_str("no"), .has_reason = true};
    msg_put_REQ_JOB_CANCEL(&b, &cancel);
    document_check_buf(d, "message-cancel", &b);
    struct msg_RSP_ERROR error = {.code = ERR_NOT_FOUND,
                                  .message = span_str("Job 9 not found")};
    msg_put_RSP_ERROR(&b, &error);
    document_check_buf(d, "message-error", &b);
    selector_release(&jobs);
    buf_release(&blob);
    buf_release(&b);
}

static void test_vectors(void)
{
    struct document d;
    document_open(&d, "../../docs/protocol.md");
    check_sealed(&d);
    check_open(&d);
    check_refusals(&d);
    check_messages(&d);
    document_close(&d);
}

TEST_MAIN("vectors of the protocol", TEST(test_vectors))
