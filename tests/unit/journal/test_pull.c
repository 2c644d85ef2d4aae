/* A journal read from pieces of its bytes. */
#include "journal/pull.h"
#include "rig.h"

#define N_EVENTS 9

static void make_file(struct rig *r, struct buf *file)
{
    struct error err = ERROR_INIT;
    rig_make(r);
    rig_open(r);
    for (unsigned i = 0; i < N_EVENTS; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "event %u %.*s", i, (int)(i * 5),
                       "................................................");
        (void)rig_append(r, text);
    }
    rig_close(r);
    buf_init(file, BUF_MAX_DEFAULT);
    CU_ASSERT_EQUAL_FATAL(path_read_file(r->path, file, &err), 0);
}

/* Takes what is there; the events so far go to *n. */
static int take(struct journal_pull *p, unsigned *n, struct error *err)
{
    struct span payload;
    int rc;
    while ((rc = journal_pull_next(p, &payload, err)) == 1) {
        char want[16];
        int length = snprintf(want, sizeof want, "event %u ", *n);
        struct cursor c = cursor_make(payload.p, payload.n);
        struct span event = cursor_bytes(&c);
        CU_ASSERT(event.n >= (size_t)length &&
                  memcmp(event.p, want, (size_t)length) == 0);
        ++*n;
    }
    return rc;
}

static int add(struct journal_pull *p, const struct buf *file, size_t from, size_t to,
               struct error *err)
{
    return journal_pull_add(p, from, (struct span){file->data + from, to - from}, err);
}

static void test_pieces_of_any_size(void)
{
    struct rig r;
    struct buf file;
    make_file(&r, &file);
    for (size_t piece = 1; piece <= file.len; piece += piece < 100 ? 1 : 37) {
        struct journal_pull p;
        struct error err = ERROR_INIT;
        unsigned n = 0;
        journal_pull_init(&p);
        for (size_t at = 0; at < file.len; at += piece) {
            CU_ASSERT_EQUAL(add(&p, &file, at, MIN(at + piece, file.len), &err), 0);
            CU_ASSERT_EQUAL(take(&p, &n, &err), 0);
        }
        CU_ASSERT_EQUAL(n, N_EVENTS);
        journal_pull_release(&p);
    }
    buf_release(&file);
    rig_drop(&r);
}

/* As after a pruning: the next record comes from another place. */
static void test_goes_on_elsewhere(void)
{
    struct rig r;
    struct buf file;
    struct journal_pull p;
    struct error err = ERROR_INIT;
    make_file(&r, &file);
    size_t first = JOURNAL_FRAME_SIZE + get_u32(file.data + JOURNAL_HEADER_SIZE);
    size_t second = JOURNAL_HEADER_SIZE + first;
    size_t third = second + JOURNAL_FRAME_SIZE + (size_t)get_u32(file.data + second);
    unsigned n = 0;
    journal_pull_init(&p);
    CU_ASSERT_EQUAL(add(&p, &file, 0, second, &err), 0);
    CU_ASSERT_EQUAL(take(&p, &n, &err), 0);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT_EQUAL(add(&p, &file, third, file.len, &err), 0);
    n = 2;
    CU_ASSERT_EQUAL(take(&p, &n, &err), 0);
    CU_ASSERT_EQUAL(n, N_EVENTS);
    journal_pull_release(&p);

    journal_pull_init(&p); /* but not in the middle of one */
    CU_ASSERT_EQUAL(add(&p, &file, 0, second + 3, &err), 0);
    n = 0;
    CU_ASSERT_EQUAL(take(&p, &n, &err), 0);
    CU_ASSERT_EQUAL(add(&p, &file, third, file.len, &err), ERR_CORRUPT);
    journal_pull_release(&p);
    buf_release(&file);
    rig_drop(&r);
}

static void test_damage(void)
{
    struct rig r;
    struct buf file;
    make_file(&r, &file);
    for (size_t at = 0; at < file.len; at++) {
        struct journal_pull p;
        struct error err = ERROR_INIT;
        unsigned n = 0;
        if (at >= 8 && at < 12)
            continue; /* another version, which is refused as such */
        file.data[at] ^= 0x40;
        journal_pull_init(&p);
        int rc = add(&p, &file, 0, file.len, &err);
        if (rc == 0)
            rc = take(&p, &n, &err);
        /* A longer header than it is leaves it waiting for more. */
        CU_ASSERT(rc == ERR_CORRUPT || (rc == 0 && n == 0 && at < 16));
        CU_ASSERT(n < N_EVENTS);
        journal_pull_release(&p);
        file.data[at] ^= 0x40;
    }
    buf_release(&file);
    rig_drop(&r);
}

TEST_MAIN("pull", TEST(test_pieces_of_any_size), TEST(test_goes_on_elsewhere),
          TEST(test_damage))
