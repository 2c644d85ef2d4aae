/* Tasks that hold a text, in a packed log: over the borders of blocks and of groups,
 * most of which hold no byte that makes the text rare. */
#include "cli/log_find.h"

#include "../outlog/logs.h"

#define N_TASKS 24u
#define N_BLOCKS 40u
#define BLOCK_MAX 12000u
#define TEXT "se Q~e"

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16) % below;
}

struct printed {
    struct buf bytes;
    size_t given; /* of them, as blocks */
    uint32_t seq;
    size_t borders[N_BLOCKS]; /* where blocks end */
};

/* Lines of letters, cut into blocks of all sizes; now and then the text or a part of it
 * lies over a border. */
static void make_output(struct printed *o, uint32_t task)
{
    static const char *const parts[] = {"se Q~", "e Q~e", "Q~e", "se ", "~", TEXT};
    buf_init(&o->bytes, BUF_MAX_DEFAULT);
    size_t at = 0;
    for (size_t i = 0; i < N_BLOCKS; i++)
        o->borders[i] = at += draw(4) ? 1 + draw(BLOCK_MAX) : 1 + draw(3);
    while (o->bytes.len < at)
        buf_printf(&o->bytes, "%s%c", draw(3) ? "se" : "tea s", draw(9) ? ' ' : '\n');
    o->bytes.len = at;
    if (task % 3 == 2)
        return;
    const char *part = task % 3 == 0 ? TEXT : parts[draw(ARRAY_SIZE(parts))];
    size_t n = strlen(part), border = o->borders[draw(N_BLOCKS - 1)];
    size_t from = border > n ? border - draw((uint32_t)n + 1) : 0;
    memcpy(o->bytes.data + MIN(from, at - n), part, n);
}

static void put_block(struct maker *m, struct printed *o, uint32_t task)
{
    struct outlog_block b = {.type = OUTLOG_BLOCK_STDOUT, .job = 1, .task = task};
    b.seq = o->seq;
    b.stored = (uint32_t)(o->borders[o->seq] - o->given);
    maker_block(m, b, o->bytes.data + o->given);
    o->given = o->borders[o->seq++];
}

static void make_log(const char *path, struct printed *outputs)
{
    struct lease_book book;
    struct maker m;
    book_init(&book);
    maker_open(&m, &book, 1, path, true);
    for (uint32_t task = 0; task < N_TASKS; task++)
        make_output(&outputs[task], task);
    for (uint32_t left = N_TASKS * N_BLOCKS; left > 0; left--) {
        uint32_t task = draw(N_TASKS);
        while (outputs[task].seq == N_BLOCKS)
            task = (task + 1) % N_TASKS;
        put_block(&m, &outputs[task], task);
    }
    maker_close(&m, true);
    lease_book_release(&book);
}

static bool holds(const struct printed *o, const char *text)
{
    return memmem(o->bytes.data, o->bytes.len, text, strlen(text)) != NULL;
}

/* Bytes that were unpacked. */
static uint64_t check_text(const char *path, const struct printed *outputs,
                           const char *text, const char *pattern)
{
    struct error err = ERROR_INIT;
    struct log_source s = {.known = U64MAP_INIT};
    struct log_choice choice = {.any_job = true, .channel = -1, .until_us = UINT64_MAX};
    struct log_match m;
    struct log_find f;
    struct outlog_reader_stats stats;
    uint64_t *keys;
    size_t n, at = 0;
    bool fold = strcmp(text, pattern) != 0;
    CU_ASSERT_EQUAL_FATAL(outlog_reader_open(&s.reader, path, NULL, &err), 0);
    CU_ASSERT_EQUAL_FATAL(log_match_init(&m, pattern, false, fold, &err), 0);
    log_find_init(&f, &s, &choice, &m, true);
    CU_ASSERT_EQUAL_FATAL(log_find_tasks(&f, &keys, &n, &err), 0);
    for (uint32_t task = 0; task < N_TASKS; task++) {
        uint64_t key = UINT64_C(1) << 32 | task;
        bool found = at < n && keys[at] == key;
        at += found;
        if (holds(&outputs[task], text) && !found)
            CU_FAIL("a task was not found");
        if (task % 3 == 2 && found && !holds(&outputs[task], text))
            CU_FAIL("a task was found that holds nothing like it");
    }
    log_find_release(&f);
    outlog_reader_get_stats(s.reader, &stats);
    free(keys);
    log_match_release(&m);
    outlog_reader_destroy(s.reader);
    return stats.bytes_unpacked;
}

static void test_texts(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct printed outputs[N_TASKS];
        struct rig r;
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        memset(outputs, 0, sizeof outputs);
        rig_init(&r, "AbC123");
        make_log(r.path, outputs);
        uint64_t all = check_text(r.path, outputs, "tea", "tea");
        (void)check_text(r.path, outputs, TEXT, TEXT);
        (void)check_text(r.path, outputs, TEXT, "SE q~E");
        (void)check_text(r.path, outputs, "Q~", "Q~");
        (void)check_text(r.path, outputs, "~", "~");
        CU_ASSERT(check_text(r.path, outputs, "se |", "se |") < all);
        for (uint32_t task = 0; task < N_TASKS; task++)
            buf_release(&outputs[task].bytes);
        rig_release(&r);
    }
}

TEST_MAIN("log_find", TEST(test_texts))
