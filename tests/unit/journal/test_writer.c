/* The thread: progress, syncs, failures and their repair, the lock. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fault.h"
#include "rig.h"

#define MANY 100000u

static void test_written_before_synced(void)
{
    struct rig r;
    struct journal_progress p;
    rig_make(&r);
    rig_open(&r);
    rig_wait(&r, RIG_WRITTEN, rig_append(&r, "a"), &p);
    CU_ASSERT_EQUAL(p.written, 1);
    CU_ASSERT_EQUAL(p.synced, 0); /* nobody asked for it, the period is endless */
    journal_want_sync(r.j, 1);
    rig_wait(&r, RIG_SYNCED, 1, &p);
    CU_ASSERT_EQUAL(p.failed, 0);
    journal_want_sync(r.j, UINT64_MAX); /* no more than there is */
    rig_wait(&r, RIG_SYNCED, rig_append(&r, "b") - 1, &p);
    rig_wait(&r, RIG_WRITTEN, 2, &p);
    CU_ASSERT_EQUAL(p.synced, 1);
    rig_close(&r);
    rig_drop(&r);
}

static void test_flush_period(void)
{
    struct rig r;
    struct journal_progress p;
    struct error err = ERROR_INIT;
    rig_make(&r);
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&r, 30 * 1000000u, &err), 0);
    uint64_t before = clock_mono_ns();
    rig_wait(&r, RIG_SYNCED, rig_append(&r, "a"), &p);
    CU_ASSERT(clock_mono_ns() - before >= 30 * 1000000u);
    rig_close(&r);
    rig_drop(&r);
}

static void test_close_writes_everything(void)
{
    struct rig r;
    rig_make(&r);
    rig_open(&r);
    (void)rig_append(&r, "a");
    (void)rig_append(&r, "b");
    rig_close(&r);
    const char *const want[] = {"a", "b"};
    rig_expect(&r, 2, want);
    CU_ASSERT_EQUAL(journal_close(NULL, NULL), 0);
    rig_drop(&r);
}

static int count_event(void *arg, struct span event, struct error *err UNUSED)
{
    uint32_t *n = arg;
    CU_ASSERT(event.n == 4 && get_u32(event.p) == *n);
    ++*n;
    return 0;
}

static void test_many_records(void)
{
    struct rig r;
    struct journal_progress p;
    struct error err = ERROR_INIT;
    uint32_t n = 0;
    rig_make(&r);
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&r, 1000000, &err), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        uint8_t event[5] = {4};
        put_u32(event + 1, i);
        uint64_t seq = journal_append(r.j, event, sizeof event);
        CU_ASSERT_EQUAL_FATAL(seq, i + 1);
        if (i % 5000 == 0)
            journal_want_sync(r.j, seq);
        if (i % 1000 == 0) {
            journal_progress(r.j, &p);
            CU_ASSERT(p.synced <= p.written && p.written <= seq && p.failed == 0);
        }
    }
    journal_want_sync(r.j, MANY);
    rig_wait(&r, RIG_SYNCED, MANY, &p);
    CU_ASSERT_EQUAL(p.written, MANY);
    rig_close(&r);
    CU_ASSERT_EQUAL(journal_read(r.path, NULL, count_event, NULL, &n, NULL, &err), 0);
    CU_ASSERT_EQUAL(n, MANY);
    rig_drop(&r);
}

/* ---- lock ------------------------------------------------------------------------ */

static void test_lock(void)
{
    struct rig r, second;
    struct error err = ERROR_INIT;
    char want[200];
    rig_make(&r);
    rig_open(&r);
    second = r;
    CU_ASSERT_EQUAL(rig_try_open(&second, 1, &err), ERR_BUSY);
    (void)snprintf(want, sizeof want, "journal \"%s\" is in use by another server",
                   r.path);
    CU_ASSERT_STRING_EQUAL(err.text, want);
    (void)rig_append(&r, "still mine");
    rig_close(&r);
    rig_open(&r);
    rig_close(&r);
    const char *const wanted[] = {"still mine"};
    rig_expect(&r, 1, wanted);
    rig_drop(&r);
}

/* Another process cannot have it either, and reading stays possible. */
static void test_lock_between_processes(void)
{
    struct rig r;
    struct journal_progress p;
    rig_make(&r);
    rig_open(&r);
    rig_wait(&r, RIG_WRITTEN, rig_append(&r, "a"), &p);
    pid_t child = fork();
    if (child == 0) {
        struct error err = ERROR_INIT;
        int busy = rig_try_open(&r, 1, &err) == ERR_BUSY;
        int fine = journal_read(r.path, NULL, NULL, NULL, NULL, NULL, &err) == 0;
        _exit(busy && fine ? 7 : 1);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    rig_close(&r);
    rig_drop(&r);
}

/* ---- failures -------------------------------------------------------------------- */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void lift_file_size_limit(void)
{
    struct rlimit limit;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The kernel takes the first part of a write and refuses the rest, wherever the limit
 * falls; SIGXFSZ must not end the process. */
static void test_no_space_anywhere_in_a_record(void)
{
    for (size_t room = 0; room <= 40; room++) {
        struct rig r;
        struct journal_progress p;
        rig_make(&r);
        rig_open(&r);
        rig_wait(&r, RIG_WRITTEN, rig_append(&r, "kept"), &p);
        size_t end = JOURNAL_HEADER_SIZE + JOURNAL_FRAME_SIZE + 5;
        limit_file_size(end + room);
        (void)rig_append(&r, "does it fit?"); /* 29 bytes */
        (void)rig_append(&r, "never, with 48 bytes in all, as one can count");
        rig_wait(&r, RIG_FAILED, 0, &p);
        bool fits = room >= JOURNAL_FRAME_SIZE + 13;
        CU_ASSERT_EQUAL(p.failed, fits ? 3 : 2);
        CU_ASSERT_EQUAL(p.written, p.failed - 1);
        CU_ASSERT_EQUAL(p.synced, p.written);
        CU_ASSERT_STRING_EQUAL(p.error.text, "journal: file too large");
        CU_ASSERT_EQUAL(p.error.sys, EFBIG);
        struct stat st;
        CU_ASSERT_EQUAL(stat(r.path, &st), 0);
        CU_ASSERT_EQUAL((size_t)st.st_size, end + (fits ? JOURNAL_FRAME_SIZE + 13 : 0));
        lift_file_size_limit();
        CU_ASSERT_EQUAL(rig_append(&r, "dropped: not resumed yet"), 4);
        journal_resume(r.j);
        CU_ASSERT_EQUAL(rig_append(&r, "again"), 5);
        journal_want_sync(r.j, 5);
        rig_wait(&r, RIG_SYNCED, 5, &p);
        rig_close(&r);
        const char *const with[] = {"kept", "does it fit?", "again"};
        const char *const without[] = {"kept", "again"};
        rig_expect(&r, fits ? 3 : 2, fits ? with : without);
        rig_drop(&r);
    }
}

static void test_close_tells_a_failure(void)
{
    struct rig r;
    struct error err = ERROR_INIT;
    rig_make(&r);
    rig_open(&r);
    limit_file_size(JOURNAL_HEADER_SIZE + 5);
    (void)rig_append(&r, "no room");
    CU_ASSERT_EQUAL(journal_close(r.j, &err), ERR_SYSTEM);
    CU_ASSERT_STRING_EQUAL(err.text, "journal: file too large");
    lift_file_size_limit();
    rig_expect(&r, 0, NULL);
    rig_drop(&r);
}

static void test_refused_records(void)
{
    struct rig r;
    struct journal_progress p;
    rig_make(&r);
    rig_open(&r);
    (void)rig_append(&r, "a");
    CU_ASSERT_EQUAL(journal_append(r.j, "", 0), 2); /* as of a buffer that overflowed */
    CU_ASSERT_EQUAL(rig_append(&r, "b"), 3);
    rig_wait(&r, RIG_FAILED, 0, &p);
    CU_ASSERT_EQUAL(p.failed, 2);
    CU_ASSERT_EQUAL(p.synced, 1); /* what comes before is safe when the news arrives */
    CU_ASSERT_EQUAL(p.error.sys, EINVAL);
    journal_resume(r.j);
    CU_ASSERT_EQUAL(journal_append(r.j, "x", JOURNAL_RECORD_MAX + 1), 4);
    rig_wait(&r, RIG_FAILED, 0, &p);
    CU_ASSERT_EQUAL(p.failed, 4);
    CU_ASSERT_EQUAL(p.error.sys, EMSGSIZE);
    journal_resume(r.j);
    journal_resume(r.j);
    (void)rig_append(&r, "c");
    rig_close(&r);
    const char *const want[] = {"a", "c"};
    rig_expect(&r, 2, want);
    rig_drop(&r);
}

#ifdef HQ_FAULTS

static void test_failing_writes(void)
{
    struct rig r;
    struct journal_progress p;
    rig_make(&r);
    rig_open(&r);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(fault_arm("journal.write:1+=ENOSPC"));
        uint64_t seq = rig_append(&r, "lost");
        journal_want_sync(r.j, seq);
        rig_wait(&r, RIG_FAILED, 0, &p);
        CU_ASSERT_EQUAL(p.failed, seq);
        CU_ASSERT_STRING_EQUAL(p.error.text, "journal: no space left on device");
        journal_resume(r.j);
        CU_ASSERT(fault_arm(""));
    }
    (void)rig_append(&r, "a");
    rig_close(&r);
    const char *const want[] = {"a"};
    rig_expect(&r, 1, want);
    rig_drop(&r);
}

/* What was not known to be on disk is taken back. */
static void test_failing_sync(void)
{
    struct rig r;
    struct journal_progress p;
    rig_make(&r);
    rig_open(&r);
    journal_want_sync(r.j, rig_append(&r, "safe"));
    rig_wait(&r, RIG_SYNCED, 1, &p);
    rig_wait(&r, RIG_WRITTEN, rig_append(&r, "written"), &p);
    CU_ASSERT(fault_arm("journal.fsync:1=EIO"));
    journal_want_sync(r.j, rig_append(&r, "asked for"));
    rig_wait(&r, RIG_FAILED, 0, &p);
    CU_ASSERT_EQUAL(p.failed, 2);
    CU_ASSERT_EQUAL(p.written, 1);
    CU_ASSERT_EQUAL(p.synced, 1);
    CU_ASSERT_STRING_EQUAL(p.error.text, "journal: input/output error");
    const char *const before[] = {"safe"};
    rig_expect(&r, 1, before);
    journal_resume(r.j);
    (void)rig_append(&r, "later");
    rig_close(&r);
    CU_ASSERT(fault_arm(""));
    const char *const want[] = {"safe", "later"};
    rig_expect(&r, 2, want);
    rig_drop(&r);
}

static void test_failing_sync_behind_a_failing_write(void)
{
    struct rig r;
    struct journal_progress p;
    rig_make(&r);
    rig_open(&r);
    rig_wait(&r, RIG_WRITTEN, rig_append(&r, "not synced"), &p);
    CU_ASSERT(fault_arm("journal.write:1=ENOSPC,journal.fsync:1=EIO"));
    (void)rig_append(&r, "not written");
    rig_wait(&r, RIG_FAILED, 0, &p);
    CU_ASSERT_EQUAL(p.failed, 1);
    CU_ASSERT_EQUAL(p.written, 0);
    CU_ASSERT(fault_arm(""));
    journal_resume(r.j);
    rig_close(&r);
    rig_expect(&r, 0, NULL);
    rig_drop(&r);
}

static void test_full_disk_at_creation(void)
{
    struct rig r;
    struct error err = ERROR_INIT;
    rig_make(&r);
    CU_ASSERT(fault_arm("journal.write:1=ENOSPC"));
    CU_ASSERT_EQUAL(rig_try_open(&r, 1, &err), ERR_SYSTEM);
    CU_ASSERT_EQUAL(err.sys, ENOSPC);
    CU_ASSERT(fault_arm(""));
    rig_open(&r); /* an empty file was left, which is as good as none */
    rig_close(&r);
    rig_drop(&r);
}

/* SIGKILL at any write: what was told as written is there, and nothing half. */
static void test_killed_at_any_write(void)
{
    for (unsigned nth = 1; nth <= 6; nth++) {
        struct rig r;
        int told[2];
        rig_make(&r);
        CU_ASSERT_EQUAL_FATAL(pipe(told), 0);
        pid_t child = fork();
        if (child == 0) {
            char fault[64];
            (void)snprintf(fault, sizeof fault, "journal.write:%u=kill", nth + 1);
            (void)fault_arm(fault);
            struct error err = ERROR_INIT;
            if (rig_try_open(&r, 1, &err) != 0)
                _exit(1);
            for (;;) {
                struct journal_progress p;
                rig_wait(&r, RIG_WRITTEN, rig_append(&r, "x"), &p);
                if (write(told[1], "x", 1) != 1)
                    _exit(1);
            }
        }
        (void)close(told[1]);
        int status = 0;
        unsigned n_told = 0;
        char c;
        while (read(told[0], &c, 1) == 1)
            n_told++;
        (void)close(told[0]);
        CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
        CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        struct rig_found f;
        CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
        CU_ASSERT_EQUAL(n_told, nth - 1);
        CU_ASSERT(f.n_events >= n_told);
        rig_found_release(&f);
        rig_open(&r); /* the lock died with its owner */
        rig_close(&r);
        rig_drop(&r);
    }
}

#else

static void skipped(void)
{
    /* Needs a build with fault points. */
}
#define test_failing_writes skipped
#define test_failing_sync skipped
#define test_failing_sync_behind_a_failing_write skipped
#define test_full_disk_at_creation skipped
#define test_killed_at_any_write skipped

#endif

TEST_MAIN("journal writer", TEST(test_written_before_synced), TEST(test_flush_period),
          TEST(test_close_writes_everything), TEST(test_many_records), TEST(test_lock),
          TEST(test_lock_between_processes), TEST(test_no_space_anywhere_in_a_record),
          TEST(test_close_tells_a_failure), TEST(test_refused_records),
          TEST(test_failing_writes), TEST(test_failing_sync),
          TEST(test_failing_sync_behind_a_failing_write),
          TEST(test_full_disk_at_creation), TEST(test_killed_at_any_write))
