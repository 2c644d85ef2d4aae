/* What a pruning keeps, and that the journal is whole whatever happens during one. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include "base/fault.h"
#include "journal/prune.h"
#include "model/event.h"
#include "rig.h"

#define NOW_US 1770000000000000u

static struct buf head(enum event_type type)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&b, type, NOW_US);
    return b;
}

/* Appends the event as a record; takes its memory. */
static uint64_t append(struct rig *r, struct buf *event)
{
    struct buf record = BUF_INIT(BUF_MAX_DEFAULT);
    buf_bytes(&record, event->data, event->len);
    uint64_t seq = journal_append(r->j, record.data, record.len);
    buf_release(&record);
    buf_release(event);
    return seq;
}

static uint64_t append_id(struct rig *r, enum event_type type, uint32_t id)
{
    struct buf b = head(type);
    buf_u32(&b, id);
    return append(r, &b);
}

static uint64_t append_mark(struct rig *r, const char *path, unsigned end)
{
    struct buf b = head(EVENT_LOG_MARK);
    buf_str(&b, path);
    buf_bytes(&b, "i", 1);
    buf_varint(&b, end);
    return append(r, &b);
}

/* Jobs 1 to 4, workers 1 and 2; what is kept is 2, 4 and worker 2. */
static struct journal_keep keep_some(void)
{
    struct journal_keep k = {.last_job = 4, .last_worker = 2};
    CU_ASSERT_EQUAL(u64map_set(&k.jobs, 2, 1), 0);
    CU_ASSERT_EQUAL(u64map_set(&k.jobs, 4, 1), 0);
    CU_ASSERT_EQUAL(u64map_set(&k.workers, 2, 1), 0);
    return k;
}

static struct task_end end_of(uint32_t job, uint32_t slot)
{
    return (struct task_end){.job = job,
                             .slot = slot,
                             .state = TASK_FAILED,
                             .failure = FAILURE_MESSAGE,
                             .started = true,
                             .start_us = NOW_US + slot,
                             .end_us = NOW_US + slot + 9,
                             .message = span_str("why")};
}

static void test_lists(void)
{
    struct journal_keep k = keep_some();
    struct error err = ERROR_INIT;
    struct buf b = head(EVENT_TASKS_ENDED), out = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_end_writer w;
    buf_u32(&b, 7);
    task_end_writer_init(&w, &b);
    for (uint32_t job = 1; job <= 5; job++) {
        struct task_end plain = end_of(job, 10 * job), told = end_of(job, 50 * job);
        plain.failure = FAILURE_EXIT;
        plain.exit = 3;
        plain.message.n = 0;
        task_end_write_run(&w, &plain, 4);
        task_end_write(&w, &told);
    }
    task_end_writer_finish(&w);
    CU_ASSERT_EQUAL(prune_event(&k, span_buf(&b), &out, &err), 0);
    struct cursor c = cursor_make(out.data, out.len);
    struct span event = cursor_bytes(&c);
    CU_ASSERT(!c.failed && cursor_left(&c) == 0);
    c = cursor_make(event.p, event.n);
    struct event_head h;
    CU_ASSERT(event_read_head(&c, &h) == 0 && h.type == EVENT_TASKS_ENDED &&
              h.time_us == NOW_US);
    CU_ASSERT_EQUAL(cursor_u32(&c), 7);
    struct task_end_reader r;
    struct task_end e;
    uint32_t count;
    static const uint32_t jobs[] = {2, 4, 5};
    task_end_reader_init(&r, &c);
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
        CU_ASSERT(task_end_read(&r, &e, &count));
        CU_ASSERT(e.job == jobs[i] && e.slot == 10 * jobs[i] && count == 4 &&
                  e.exit == 3 && e.end_us == NOW_US + e.slot + 9);
        CU_ASSERT(task_end_read(&r, &e, &count));
        CU_ASSERT(e.job == jobs[i] && e.slot == 50 * jobs[i] && count == 1 &&
                  e.message.n == 3);
    }
    CU_ASSERT(!task_end_read(&r, &e, &count) && !c.failed);

    buf_clear(&b); /* nothing is left of it */
    event_begin(&b, EVENT_TASKS_STARTED, NOW_US);
    buf_u32(&b, 1);
    struct task_start start = {.job = 3, .start_us = NOW_US};
    task_start_encode(&start, &b);
    buf_clear(&out);
    CU_ASSERT_EQUAL(prune_event(&k, span_buf(&b), &out, &err), 0);
    CU_ASSERT_EQUAL(out.len, 0);
    b.len--; /* malformed */
    CU_ASSERT_EQUAL(prune_event(&k, span_buf(&b), &out, &err), ERR_CORRUPT);
    buf_release(&b);
    buf_release(&out);
    journal_keep_release(&k);
}

/* All of it is in the file. */
static void fill(struct rig *r)
{
    struct journal_progress p;
    struct buf b = head(EVENT_SERVER_START);
    buf_str(&b, RIG_UID);
    buf_str(&b, "1");
    (void)append(r, &b);
    for (uint32_t id = 1; id <= 2; id++)
        (void)append_id(r, EVENT_WORKER_CONNECTED, id);
    for (uint32_t id = 1; id <= 4; id++)
        (void)append_id(r, EVENT_JOB_OPENED, id);
    for (unsigned i = 1; i <= 3; i++) {
        (void)append_mark(r, "/a", i);
        (void)append_mark(r, "/b", 10 * i);
    }
    (void)append_id(r, EVENT_JOB_CLOSED, 1);
    rig_wait(r, RIG_WRITTEN, append_id(r, EVENT_JOB_CLOSED, 2), &p);
}

/* "type id" of each event, a blank between. */
static void expect(struct rig *r, const char *want)
{
    struct rig_found f;
    struct buf got = BUF_INIT(BUF_MAX_DEFAULT);
    CU_ASSERT_EQUAL(rig_read(r, &f), 0);
    CU_ASSERT_EQUAL(f.torn, 0);
    const uint8_t *p = f.texts.data;
    for (size_t i = 0; i < f.n_events; i++) {
        struct cursor c = cursor_make(p, (size_t)(f.texts.data + f.texts.len - p));
        struct event_head h;
        CU_ASSERT_EQUAL_FATAL(event_read_head(&c, &h), 0);
        if (h.type == EVENT_LOG_MARK) {
            struct span path = cursor_bytes(&c);
            (void)cursor_bytes(&c);
            buf_printf(&got, "%.*s=%u ", (int)path.n, (const char *)path.p,
                       (unsigned)cursor_varint(&c));
        } else if (h.type == EVENT_SERVER_START) {
            (void)cursor_bytes(&c);
            (void)cursor_bytes(&c);
            buf_printf(&got, "start ");
        } else {
            buf_printf(&got, "%u:%u ", h.type, cursor_u32(&c));
        }
        p = c.p + 1; /* the NUL behind each */
    }
    CU_ASSERT_STRING_EQUAL(buf_cstr(&got), want);
    if (strcmp(buf_cstr(&got), want) != 0)
        (void)fprintf(stderr, "---- got %s\n---- not %s\n", buf_cstr(&got), want);
    buf_release(&got);
    rig_found_release(&f);
}

#define WHOLE "start 3:1 3:2 6:1 6:2 6:3 6:4 /a=1 /b=10 /a=2 /b=20 /a=3 /b=30 7:1 7:2 "
#define PRUNED "start 3:2 6:2 6:4 7:2 /a=3 /b=30 "

static void wait_over(struct rig *r, struct journal_pruned *out)
{
    for (;;) {
        struct journal_progress p;
        (void)pthread_mutex_lock(&r->lock);
        unsigned seen = r->n_news;
        (void)pthread_mutex_unlock(&r->lock);
        journal_progress(r->j, &p);
        if (p.prune_over)
            break;
        (void)pthread_mutex_lock(&r->lock);
        while (r->n_news == seen)
            (void)pthread_cond_wait(&r->news, &r->lock);
        (void)pthread_mutex_unlock(&r->lock);
    }
    journal_prune_take(r->j, out);
}

static void begin(struct rig *r)
{
    struct journal_keep k = keep_some();
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(journal_prune(r->j, &k, &err), 0);
    CU_ASSERT_PTR_NULL(k.jobs.slots); /* taken */
}

static bool tmp_exists(const struct rig *r)
{
    char tmp[128];
    (void)snprintf(tmp, sizeof tmp, "%s.tmp", r->path);
    return access(tmp, F_OK) == 0;
}

static void test_prune(void)
{
    struct rig r;
    struct journal_pruned pruned;
    struct journal_progress p;
    struct stat st;
    struct error err = ERROR_INIT;
    rig_make(&r);
    rig_open(&r);
    fill(&r);
    journal_progress(r.j, &p);
    uint64_t before = p.end;
    begin(&r);
    wait_over(&r, &pruned);
    CU_ASSERT_EQUAL(pruned.error.code, 0);
    CU_ASSERT_EQUAL(pruned.old_end, before);
    CU_ASSERT(stat(r.path, &st) == 0 && (uint64_t)st.st_size == pruned.new_end);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    CU_ASSERT(!tmp_exists(&r));
    expect(&r, PRUNED);
    journal_progress(r.j, &p);
    CU_ASSERT(!p.prune_over && p.end == pruned.new_end && p.synced == p.written);

    struct rig other = r; /* it is locked as before */
    CU_ASSERT_EQUAL(rig_try_open(&other, 1, &err), ERR_BUSY);
    rig_wait(&r, RIG_WRITTEN, append_id(&r, EVENT_JOB_CLOSED, 4), &p);
    expect(&r, PRUNED "7:4 ");
    begin(&r); /* again, with nothing to drop */
    wait_over(&r, &pruned);
    CU_ASSERT_EQUAL(pruned.error.code, 0);
    expect(&r, "start 3:2 6:2 6:4 7:2 7:4 /a=3 /b=30 ");
    rig_close(&r);

    struct rig_found f;
    CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
    CU_ASSERT(f.header.last_job == 4 && f.header.last_worker == 2);
    CU_ASSERT(strcmp(f.header.server_uid, RIG_UID) == 0 &&
              f.header.created_us == RIG_CREATED_US);
    rig_found_release(&f);
    rig_open(&r);
    rig_close(&r);
    rig_drop(&r);
}

/* Jobs from 100 on are closed in the order of their numbers. */
static int expect_next(void *arg, struct span event, struct error *err UNUSED)
{
    uint32_t *next = arg;
    if (event.p[0] == EVENT_JOB_CLOSED && get_u32(event.p + 9) >= 100)
        CU_ASSERT_EQUAL(get_u32(event.p + 9), (*next)++);
    return 0;
}

/* Records that come while it goes on are all there, in their order. */
static void test_appending_meanwhile(void)
{
    struct rig r;
    rig_make(&r);
    rig_open(&r);
    fill(&r);
    struct journal_pruned pruned;
    uint32_t n = 0;
    for (int round = 0; round < 5; round++) {
        begin(&r);
        struct journal_progress p;
        do {
            for (int i = 0; i < 50; i++)
                (void)append_id(&r, EVENT_JOB_CLOSED, 100 + n++);
            rig_wait(&r, RIG_WRITTEN, journal_appended(r.j), &p);
        } while (!p.prune_over);
        wait_over(&r, &pruned);
        CU_ASSERT_EQUAL(pruned.error.code, 0);
    }
    rig_close(&r);
    struct journal_header header;
    struct error err = ERROR_INIT;
    uint64_t torn;
    uint32_t next = 100;
    CU_ASSERT_EQUAL(
        journal_read(r.path, &header, expect_next, NULL, &next, &torn, &err), 0);
    CU_ASSERT_EQUAL(next, 100 + n);
    rig_drop(&r);
}

static void test_refusals(void)
{
    struct rig r;
    struct error err = ERROR_INIT;
    struct journal_pruned pruned;
    char moved[128];
    rig_make(&r);
    rig_open(&r);
    fill(&r);
    begin(&r);
    struct journal_keep k = keep_some();
    CU_ASSERT_EQUAL(journal_prune(r.j, &k, &err), ERR_BUSY);
    wait_over(&r, &pruned);
    CU_ASSERT_EQUAL(pruned.error.code, 0);
    (void)snprintf(moved, sizeof moved, "%s.moved", r.path);
    CU_ASSERT_EQUAL(rename(r.path, moved), 0);
    CU_ASSERT_EQUAL(journal_prune(r.j, &k, &err), ERR_SYSTEM); /* where is it? */
    CU_ASSERT_EQUAL(path_write_new(r.path, "x", 1, 0600, &err), 0);
    CU_ASSERT_EQUAL(journal_prune(r.j, &k, &err), 0);
    wait_over(&r, &pruned);
    CU_ASSERT_EQUAL(pruned.error.code, ERR_BUSY); /* that is somebody else's */
    CU_ASSERT(!tmp_exists(&r));
    CU_ASSERT_EQUAL(rename(moved, r.path), 0);
    rig_close(&r);
    expect(&r, PRUNED);
    journal_keep_release(&k);
    rig_drop(&r);
}

/* A damaged record is not dropped by accident. */
static void test_damage(void)
{
    struct rig r;
    struct journal_pruned pruned;
    rig_make(&r);
    rig_open(&r);
    fill(&r);
    int fd = open(r.path, O_RDWR);
    CU_ASSERT_EQUAL(pwrite(fd, "\xff\xff", 2, JOURNAL_HEADER_SIZE + 20), 2);
    (void)close(fd);
    begin(&r);
    wait_over(&r, &pruned);
    CU_ASSERT_EQUAL(pruned.error.code, ERR_CORRUPT);
    CU_ASSERT(!tmp_exists(&r));
    rig_close(&r);
    rig_drop(&r);
}

/* The server ends in the middle of it. */
static void test_close_meanwhile(void)
{
    for (int i = 0; i < 20; i++) {
        struct rig r;
        rig_make(&r);
        rig_open(&r);
        fill(&r);
        begin(&r);
        rig_close(&r);
        struct rig_found f;
        CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
        bool pruned = f.header.last_job != 0;
        rig_found_release(&f);
        expect(&r, pruned ? PRUNED : WHOLE);
        CU_ASSERT(!tmp_exists(&r));
        rig_drop(&r);
    }
}

#ifdef HQ_FAULTS

static const char *const points[] = {"open", "write", "fsync", "rename"};

/* Whatever fails, the journal is as it was and goes on. */
static void test_failures(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(points); i++)
        for (unsigned nth = 1; nth <= 2; nth++) {
            struct rig r;
            struct error err = ERROR_INIT;
            struct journal_pruned pruned;
            struct journal_progress p;
            struct journal_keep k = keep_some();
            char fault[64];
            rig_make(&r);
            rig_open(&r);
            fill(&r);
            (void)snprintf(fault, sizeof fault, "journal.prune.%s:%u=ENOSPC", points[i],
                           nth);
            CU_ASSERT(fault_arm(fault));
            pruned.error.code = journal_prune(r.j, &k, &err);
            if (pruned.error.code == 0)
                wait_over(&r, &pruned);
            CU_ASSERT(fault_arm(""));
            bool only_once = i == 0 || i == 3;
            CU_ASSERT(only_once && nth == 2 ? pruned.error.code == 0
                                            : pruned.error.code == ERR_SYSTEM);
            CU_ASSERT(!tmp_exists(&r));
            rig_wait(&r, RIG_WRITTEN, append_id(&r, EVENT_JOB_CLOSED, 4), &p);
            rig_close(&r);
            expect(&r, pruned.error.code ? WHOLE "7:4 " : PRUNED "7:4 ");
            journal_keep_release(&k);
            rig_drop(&r);
        }
}

/* A failing disk takes records back while it goes on: they must not be in the copy. */
static void test_records_taken_back(void)
{
    struct rig r;
    struct journal_pruned pruned;
    struct journal_progress p;
    rig_make(&r);
    rig_open(&r);
    fill(&r);
    CU_ASSERT(fault_arm("journal.prune.write:2=delay:200,journal.fsync:1=EIO"));
    begin(&r);
    journal_want_sync(r.j, append_id(&r, EVENT_JOB_CLOSED, 4));
    rig_wait(&r, RIG_FAILED, 0, &p);
    wait_over(&r, &pruned);
    CU_ASSERT_EQUAL(pruned.error.code, ERR_SYSTEM);
    CU_ASSERT(fault_arm(""));
    journal_resume(r.j);
    rig_close(&r);
    struct rig_found f;
    CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
    CU_ASSERT_EQUAL(f.n_events, 0); /* none was synced before */
    rig_found_release(&f);
    rig_drop(&r);
}

/* SIGKILL at every step: the old journal or the new one is there, whole. */
static void test_killed(void)
{
    static const char *const more[] = {"open", "write", "fsync", "rename", "directory"};
    for (size_t i = 0; i < ARRAY_SIZE(more); i++)
        for (unsigned nth = 1; nth <= 3; nth++) {
            struct rig r;
            struct error err = ERROR_INIT;
            rig_make(&r);
            pid_t child = fork();
            if (child == 0) {
                char fault[64];
                struct journal_progress p;
                struct journal_pruned pruned;
                (void)snprintf(fault, sizeof fault, "journal.prune.%s:%u=kill", more[i],
                               nth);
                (void)fault_arm(fault);
                if (rig_try_open(&r, 1, &err) != 0)
                    _exit(1);
                fill(&r);
                rig_wait(&r, RIG_SYNCED, journal_appended(r.j), &p);
                begin(&r);
                wait_over(&r, &pruned);
                _exit(pruned.error.code ? 1 : 0);
            }
            int status = 0;
            CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
            bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            CU_ASSERT(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
            CU_ASSERT(killed || nth > 1);
            bool replaced = !killed || i == 4;
            expect(&r, replaced ? PRUNED : WHOLE);
            rig_open(&r); /* clears up */
            CU_ASSERT(!tmp_exists(&r));
            rig_close(&r);
            expect(&r, replaced ? PRUNED : WHOLE);
            rig_drop(&r);
        }
}

#else

static void skipped(void)
{
    /* Needs a build with fault points. */
}
#define test_failures skipped
#define test_records_taken_back skipped
#define test_killed skipped

#endif

TEST_MAIN("prune", TEST(test_lists), TEST(test_prune), TEST(test_appending_meanwhile),
          TEST(test_refusals), TEST(test_damage), TEST(test_close_meanwhile),
          TEST(test_failures), TEST(test_records_taken_back), TEST(test_killed))
