/*
 * Logs of many shapes, read by our reader and by the independent one that was written
 * from the format's document (tests/e2e/hqlog_reader.py): both must find the same runs
 * with the same bytes, with and without indexes. With OUTLOG_SAMPLES=DIR in the
 * environment the logs are kept there.
 */
#include "base/checksum.h"
#include "logs.h"

#define READER "../e2e/hqlog_reader.py"

struct shape {
    const char *name;
    bool compress;
    int n_workers;
    uint32_t n_tasks;
    size_t bytes; /* of output a task */
    size_t parts;
    uint32_t instances;
    int sealed;  /* 0: no, 1: at the end, 2: in the middle */
    bool killed; /* the last worker never closes its extent */
    size_t cut;  /* bytes cut off the end */
};

static const struct shape shapes[] = {
    {"one", false, 1, 1, 10, 1, 1, 0, false, 0},
    {"empty-output", false, 1, 20, 0, 1, 1, 0, false, 0},
    {"two-workers", false, 2, 500, 300, 3, 1, 0, false, 0},
    {"killed", false, 3, 500, 300, 3, 1, 0, true, 0},
    {"torn", false, 2, 300, 300, 2, 1, 0, true, 777},
    {"rerun", false, 2, 200, 100, 1, 3, 0, false, 0},
    {"large", false, 2, 40, 300000, 9, 1, 1, false, 0},
    {"sealed", false, 3, 3000, 100, 1, 1, 1, false, 0},
    {"sealed-more", false, 2, 1000, 100, 2, 2, 2, true, 0},
    {"packed", true, 2, 2000, 150, 1, 1, 0, false, 0},
    {"packed-sealed", true, 2, 2000, 150, 1, 2, 1, false, 0},
    {"packed-killed", true, 2, 2000, 150, 1, 1, 2, true, 0},
};

static void make_part(const struct shape *s, struct lease_book *book, const char *path,
                      uint32_t job)
{
    struct maker m[4];
    for (int i = 0; i < s->n_workers; i++)
        maker_open(&m[i], book, (uint32_t)i + 1, path, s->compress);
    for (uint32_t t = 0; t < s->n_tasks; t++)
        for (uint32_t k = 0; k < s->instances; k++)
            maker_task(&m[(t + k) % (uint32_t)s->n_workers], job, t * 37 % s->n_tasks,
                       k * 2, s->bytes, s->parts);
    for (int i = 0; i < s->n_workers; i++)
        maker_close(&m[i], !s->killed || i + 1 < s->n_workers);
}

static void make_sample(const struct shape *s, const char *path)
{
    struct lease_book book;
    book_init(&book);
    make_part(s, &book, path, 1);
    if (s->sealed == 2) {
        uint64_t mark;
        (void)lease_book_reserve(&book, seal_log(path).file_end, &mark);
        make_part(s, &book, path, 3);
    }
    if (s->sealed == 1)
        CU_ASSERT(seal_log(path).done);
    lease_book_release(&book);
    struct stat st;
    CU_ASSERT_EQUAL(stat(path, &st), 0);
    if (s->cut)
        CU_ASSERT_EQUAL(truncate(path, st.st_size - (off_t)s->cut), 0);
}

/* What our reader finds, as the other one prints it. */
static void print_runs(const char *path, struct buf *out)
{
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    while (outlog_runs_next(it, &run, &err) == 1) {
        struct buf text[2] = {BUF_INIT(BUF_MAX_DEFAULT), BUF_INIT(BUF_MAX_DEFAULT)};
        struct outlog_end end = {0};
        const struct outlog_ref *last = &run.refs[run.n_refs - 1];
        if (last->e.flags & OUTLOG_FLAG_END)
            CU_ASSERT_EQUAL(outlog_read_end(reader, last, &end), 0);
        rig_output(reader, &run, OUTLOG_STDOUT, &text[0]);
        rig_output(reader, &run, OUTLOG_STDERR, &text[1]);
        buf_printf(out,
                   "{\"cut\": %s, \"err\": \"%016llx\", \"exit_code\": %s, "
                   "\"gaps\": %s, \"instance\": %u, \"job\": %u, \"out\": \"%016llx\", "
                   "\"signal\": null, \"state\": \"%s\", \"stderr_size\": %zu, "
                   "\"stdout_size\": %zu, \"superseded\": %s, \"task\": %u}\n",
                   run.cut ? "true" : "false",
                   (unsigned long long)checksum64(text[1].data, text[1].len, 0),
                   run.finished ? "0" : "null", run.gaps ? "true" : "false",
                   run.instance, run.job,
                   (unsigned long long)checksum64(text[0].data, text[0].len, 0),
                   outlog_state_words[run.state], text[1].len, text[0].len,
                   run.newest ? "false" : "true", run.task);
        buf_release(&text[0]);
        buf_release(&text[1]);
    }
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
}

static bool other_reader(const char *path, const char *option, struct buf *out)
{
    char command[512];
    (void)snprintf(command, sizeof command, "python3 %s '%s' %s 2>/dev/null", READER,
                   path, option);
    FILE *f = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    struct error err = ERROR_INIT;
    (void)err;
    CU_ASSERT_EQUAL(buf_read_fd(out, fileno(f)), 0);
    return pclose(f) == 0;
}

static void compare(const struct shape *s, const char *path, const char *option)
{
    struct buf ours = BUF_INIT(BUF_MAX_DEFAULT), theirs = BUF_INIT(BUF_MAX_DEFAULT);
    print_runs(path, &ours);
    CU_ASSERT(other_reader(path, option, &theirs));
    if (strcmp(buf_cstr(&ours), buf_cstr(&theirs)) != 0) {
        printf("%s %s: readers differ (%zu and %zu bytes)\n", s->name, option, ours.len,
               theirs.len);
        CU_FAIL("readers differ");
    }
    buf_release(&ours);
    buf_release(&theirs);
}

static void test_two_readers(void)
{
    struct rig r;
    rig_init(&r, "AbC123");
    const char *dir = getenv("OUTLOG_SAMPLES");
    bool python = system("python3 -c 'import ctypes.util as u; "
                         "exit(not (u.find_library(\"xxhash\") and "
                         "u.find_library(\"zstd\")))' 2>/dev/null") == 0;
    if (!python)
        printf("(no second reader here: python3 with libxxhash and libzstd) ");
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        struct buf path = BUF_INIT(1024);
        buf_printf(&path, "%s/%s.hqlog", dir ? dir : r.dir, shapes[i].name);
        (void)unlink(buf_cstr(&path));
        make_sample(&shapes[i], buf_cstr(&path));
        struct outlog_check_report report = check_log(buf_cstr(&path));
        CU_ASSERT(shapes[i].cut || outlog_check_clean(&report));
        if (python) {
            compare(&shapes[i], buf_cstr(&path), "");
            compare(&shapes[i], buf_cstr(&path), "--index");
        }
        buf_release(&path);
    }
    rig_release(&r);
}

TEST_MAIN("outlog samples", TEST(test_two_readers))
