/* Limits of output: what is kept, what is said about the rest. */
#include "outlog/cap.h"
#include "rig.h"

#define LIMIT 1000u
#define TAIL (LIMIT / 4)

static char letter(size_t i)
{
    return (char)('a' + i % 26);
}

/* Prints n bytes of the alphabet in pieces. */
static void print_letters(struct rig *r, struct rig_task *t, enum outlog_channel ch,
                          size_t from, size_t n, size_t piece)
{
    char text[4096];
    while (n > 0) {
        size_t k = MIN(MIN(n, piece), sizeof text);
        for (size_t i = 0; i < k; i++)
            text[i] = letter(from + i);
        rig_print(r, t, ch, text, k);
        from += k;
        n -= k;
    }
}

struct kept {
    struct buf text[OUTLOG_N_CHANNELS];
    bool cut;
};

/* The one run of the log. */
static void read_kept(const char *path, struct kept *kept)
{
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct outlog_end end;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    CU_ASSERT_EQUAL_FATAL(outlog_runs_next(it, &run, &err), 1);
    CU_ASSERT(run.finished && !run.gaps);
    kept->cut = run.cut;
    CU_ASSERT_EQUAL(outlog_read_end(reader, &run.refs[run.n_refs - 1], &end), 0);
    for (enum outlog_channel ch = 0; ch < OUTLOG_N_CHANNELS; ch++) {
        buf_init(&kept->text[ch], 1 << 26);
        rig_output(reader, &run, ch, &kept->text[ch]);
        CU_ASSERT_EQUAL(end.bytes[ch], kept->text[ch].len);
    }
    CU_ASSERT_EQUAL(damage.n, 0);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
}

static bool is_letters(const char *p, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != letter(from + i))
            return false;
    return true;
}

/* head bytes, a notice of `dropped`, and the last `tail` of n bytes. */
static void check_channel(const struct buf *got, size_t n, size_t head, size_t dropped,
                          size_t tail, const char *unit)
{
    struct buf text = BUF_INIT(1 << 20);
    const char *p = got->len ? (const char *)got->data : "";
    CU_ASSERT_FATAL(got->len >= head + tail);
    CU_ASSERT(is_letters(p, 0, head));
    if (dropped)
        buf_printf(
            &text,
            "\n[hq: %zu bytes of output are left out here, the limit is 1000 B a "
            "%s]\n",
            dropped, unit);
    CU_ASSERT_EQUAL(got->len, head + text.len + tail);
    CU_ASSERT(got->len == head + text.len + tail &&
              memcmp(p + head, buf_cstr(&text), text.len) == 0);
    CU_ASSERT(is_letters(p + got->len - tail, n - tail, tail));
    buf_release(&text);
}

static void test_limits(void)
{
    static const struct {
        bool keep_tail;
        size_t out, err, piece;
        size_t out_head, out_tail, err_head, err_tail;
    } cases[] = {
        {false, 0, 0, 1, 0, 0, 0, 0},
        {false, LIMIT, 0, 100, LIMIT, 0, 0, 0}, /* exactly at the limit: nothing said */
        {false, LIMIT + 1, 0, 100, LIMIT, 0, 0, 0},
        {false, 90000, 0, 4096, LIMIT, 0, 0, 0},
        {false, 400, 90000, 333, 400, 0, LIMIT - 400, 0},
        {true, LIMIT / 2, 0, 100, LIMIT / 2, 0, 0, 0},
        {true, LIMIT / 2 + 100, 0, 100, LIMIT / 2, 100, 0, 0}, /* all remembered */
        {true, LIMIT / 2 + TAIL, 0, 77, LIMIT / 2, TAIL, 0, 0},
        {true, 90000, 0, 77, LIMIT / 2, TAIL, 0, 0},
        {true, 90000, 0, 4096, LIMIT / 2, TAIL, 0, 0},
        {true, 90000, 90000, 251, LIMIT / 2, TAIL, 0, TAIL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig r;
        struct rig_task t;
        struct kept kept;
        rig_init(&r, "AbC123");
        r.max_output = LIMIT;
        r.keep_tail = cases[i].keep_tail;
        rig_start(&r, (struct outlog_writer_config){0});
        rig_begin(&r, &t, 1, 0, 0);
        print_letters(&r, &t, OUTLOG_STDOUT, 0, cases[i].out, cases[i].piece);
        print_letters(&r, &t, OUTLOG_STDERR, 0, cases[i].err, cases[i].piece);
        rig_finish(&r, &t, 0);
        CU_ASSERT_FATAL(rig_until(&r, &t.done));
        CU_ASSERT_EQUAL(t.err.code, 0);
        rig_stop(&r);
        read_kept(r.path, &kept);
        size_t out_left = cases[i].out - cases[i].out_head - cases[i].out_tail;
        size_t err_left = cases[i].err - cases[i].err_head - cases[i].err_tail;
        check_channel(&kept.text[0], cases[i].out, cases[i].out_head, out_left,
                      cases[i].out_tail, "task");
        check_channel(&kept.text[1], cases[i].err, cases[i].err_head, err_left,
                      cases[i].err_tail, "task");
        CU_ASSERT_EQUAL(kept.cut, out_left + err_left + cases[i].out_tail > 0);
        buf_release(&kept.text[0]);
        buf_release(&kept.text[1]);
        rig_release(&r);
    }
}

static void test_full_job(void)
{
    struct rig r;
    struct rig_task t;
    struct kept kept;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){0});
    rig_begin(&r, &t, 1, 0, 0);
    print_letters(&r, &t, OUTLOG_STDOUT, 0, 700, 100);
    CU_ASSERT_EQUAL(outlog_task_bytes(t.handle), 700);
    outlog_task_job_full(t.handle, LIMIT);
    outlog_task_job_full(t.handle, LIMIT); /* once more changes nothing */
    print_letters(&r, &t, OUTLOG_STDOUT, 700, 50, 10);
    rig_finish(&r, &t, 0);
    CU_ASSERT_FATAL(rig_until(&r, &t.done));
    rig_stop(&r);
    read_kept(r.path, &kept);
    check_channel(&kept.text[0], 750, 700, 50, 0, "job");
    CU_ASSERT(kept.cut);
    buf_release(&kept.text[0]);
    buf_release(&kept.text[1]);
    rig_release(&r);
}

TEST_MAIN("output limits", TEST(test_limits), TEST(test_full_job))
