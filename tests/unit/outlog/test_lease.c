/* The lease book: space is never given out twice, whatever happens in between. */
#include <stdlib.h>
#include "outlog/lease.h"
#include "test_main.h"

static struct outlog_uid uid_of(uint8_t x)
{
    struct outlog_uid uid;
    memset(uid.b, x, sizeof uid.b);
    return uid;
}

static struct outlog_lease grant(struct lease_book *b, uint32_t worker, uint64_t *mark)
{
    struct outlog_lease lease;
    bool first;
    uint64_t m = 0;
    CU_ASSERT_EQUAL_FATAL(lease_book_grant(b, worker, &lease, &first, &m), 0);
    if (first) {
        CU_ASSERT(m > *mark);
        *mark = m;
    }
    CU_ASSERT(lease.offset + lease.length <= *mark); /* journaled before it leaves */
    return lease;
}

static void test_sizes(void)
{
    struct lease_book b;
    uint64_t mark = 0;
    lease_book_init(&b, uid_of(1), "AbC123", 5, 4096);
    struct outlog_lease l = grant(&b, 1, &mark);
    CU_ASSERT(l.offset == 12288 && l.length == 65536);
    CU_ASSERT(mark <= 4u << 20); /* a tiny log stays tiny after a restart */
    static const uint64_t want[] = {1, 2, 4, 8, 16, 16, 16};
    uint64_t at = 1u << 20;
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        l = grant(&b, 1, &mark);
        CU_ASSERT_EQUAL(l.offset, at);
        CU_ASSERT_EQUAL(l.length, want[i] << 20);
        at += l.length;
    }
    l = grant(&b, 2, &mark); /* another worker begins small */
    CU_ASSERT_EQUAL(l.length, 1u << 20);
    CU_ASSERT_EQUAL(b.n_open, 9);
    lease_book_end(&b, 2, l.id);
    lease_book_end(&b, 2, l.id);
    CU_ASSERT_EQUAL(b.n_open, 8);
    lease_book_worker_lost(&b, 1);
    CU_ASSERT_EQUAL(b.n_open, 0);
    lease_book_release(&b);
}

static void test_alignment(void)
{
    static const struct {
        uint64_t block;
        uint8_t log2;
    } cases[] = {
        {0, 20}, {512, 20}, {1u << 20, 20}, {(1u << 20) + 1, 21}, {16u << 20, 24}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct lease_book b;
        uint64_t mark = 0;
        lease_book_init(&b, uid_of(1), "AbC123", 5, cases[i].block);
        CU_ASSERT_EQUAL(b.ident.align_log2, cases[i].log2);
        (void)grant(&b, 1, &mark);
        for (int k = 0; k < 6; k++) {
            struct outlog_lease l = grant(&b, 1, &mark);
            CU_ASSERT_EQUAL(l.offset % (UINT64_C(1) << cases[i].log2), 0);
            CU_ASSERT_EQUAL(l.length % (UINT64_C(1) << cases[i].log2), 0);
        }
        lease_book_release(&b);
    }
}

/* Restarts at any time, from the journaled mark alone: extents never overlap. */
static void test_never_twice(void)
{
    struct lease_book b;
    uint64_t mark = 0, end = 0, seed = 7;
    lease_book_init(&b, uid_of(1), "AbC123", 5, 4096);
    for (int i = 0; i < 5000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t dice = (uint32_t)(seed >> 40) % 100;
        if (dice < 2) {
            struct outlog_ident ident = b.ident;
            lease_book_release(&b);
            lease_book_restore(&b, &ident, mark);
        } else if (dice < 4) {
            lease_book_worker_lost(&b, 1 + (uint32_t)(seed >> 33) % 5);
        } else if (dice < 5) {
            uint64_t m = mark;
            if (lease_book_reserve(&b, end + (seed >> 42), &m))
                mark = m;
            CU_ASSERT(b.next <= mark);
        } else {
            struct outlog_lease l = grant(&b, 1 + (uint32_t)(seed >> 33) % 5, &mark);
            CU_ASSERT(l.offset >= end);
            end = l.offset + l.length;
        }
    }
    lease_book_release(&b);
}

static void test_journal_is_rare(void)
{
    struct lease_book b;
    uint64_t mark = 0, marks = 0, last = 0;
    lease_book_init(&b, uid_of(1), "AbC123", 5, 4096);
    for (int i = 0; i < 10000; i++) {
        (void)grant(&b, 1 + (uint32_t)i % 8, &mark);
        marks += mark != last;
        last = mark;
    }
    CU_ASSERT(marks < 800); /* 160 GB of log */
    lease_book_release(&b);
}

static void test_replace(void)
{
    struct lease_book b;
    struct outlog_probe foreign = {.file_bytes = 5000, .has_ident = true};
    struct outlog_probe none = {0};
    struct outlog_probe ours = {.file_bytes = 90000000, .has_ident = true};
    uint64_t mark = 0;
    lease_book_init(&b, uid_of(1), "AbC123", 5, 4096);
    foreign.ident.uid = uid_of(9);
    ours.ident = b.ident;
    CU_ASSERT_FALSE(lease_book_open(&b, 1, &none, true));
    CU_ASSERT_FALSE(lease_book_open(&b, 1, &foreign, false));
    CU_ASSERT_TRUE(lease_book_open(&b, 2, &foreign, true));
    CU_ASSERT_FALSE(lease_book_open(&b, 3, &foreign, true)); /* one alone may */
    lease_book_worker_lost(&b, 2);
    CU_ASSERT_TRUE(lease_book_open(&b, 3, &foreign, true));
    (void)grant(&b, 3, &mark);
    lease_book_worker_lost(&b, 3);
    CU_ASSERT_FALSE(lease_book_open(&b, 4, &foreign, true)); /* it was done */
    CU_ASSERT_FALSE(lease_book_open(&b, 4, &ours, true));
    CU_ASSERT(grant(&b, 4, &mark).offset >= 90000000);
    lease_book_release(&b);
}

/* The journal is lost, the file is there: go on behind it. */
static void test_take_over(void)
{
    struct lease_book b;
    struct outlog_probe found = {.file_bytes = 3500000, .has_ident = true};
    uint64_t mark = 0;
    lease_book_init(&b, uid_of(1), "AbC123", 5, 4096);
    found.ident = b.ident;
    lease_book_create(&b, &found, uid_of(2), "AbC123", 9);
    CU_ASSERT_EQUAL(b.ident.uid.b[0], 1);
    CU_ASSERT_EQUAL(grant(&b, 1, &mark).offset, 4u << 20);
    CU_ASSERT(mark > 4u << 20);
    lease_book_release(&b);
    lease_book_create(&b, &found, uid_of(2), "other1", 9);
    CU_ASSERT_EQUAL(b.ident.uid.b[0], 2);
    mark = 0;
    CU_ASSERT_EQUAL(grant(&b, 1, &mark).offset, 12288);
    lease_book_release(&b);
}

static void test_codecs(void)
{
    struct buf raw = BUF_INIT(1000);
    struct outlog_probe p = {
        .file_bytes = 1234567, .block_bytes = 4096, .has_ident = true};
    struct outlog_probe q;
    p.ident = (struct outlog_ident){.created_us = 77, .align_log2 = 22};
    p.ident.uid = uid_of(3);
    (void)snprintf(p.ident.server_uid, sizeof p.ident.server_uid, "AbC123");
    lease_probe_encode(&p, &raw);
    struct cursor c = cursor_make(raw.data, raw.len);
    CU_ASSERT_TRUE(lease_probe_decode(&q, &c));
    CU_ASSERT_EQUAL(cursor_left(&c), 0);
    CU_ASSERT_EQUAL(q.file_bytes, 1234567);
    CU_ASSERT_EQUAL(q.ident.align_log2, 22);
    CU_ASSERT_STRING_EQUAL(q.ident.server_uid, "AbC123");
    for (size_t n = 0; n < raw.len; n++) {
        c = cursor_make(raw.data, n);
        CU_ASSERT_FALSE(lease_probe_decode(&q, &c));
    }
    buf_release(&raw);
}

TEST_MAIN("lease", TEST(test_sizes), TEST(test_alignment), TEST(test_never_twice),
          TEST(test_journal_is_rare), TEST(test_replace), TEST(test_take_over),
          TEST(test_codecs))
