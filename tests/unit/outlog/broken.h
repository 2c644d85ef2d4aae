/* Writes that fail: a disk that fills up, by RLIMIT_FSIZE, and each error that a file
 * system may give, by a fault point. The tasks concerned fail by name, others go on
 * when writing is possible again. Same for all io ops. */
#ifndef HQ_TEST_OUTLOG_BROKEN_H
#define HQ_TEST_OUTLOG_BROKEN_H

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include "base/fault.h"
#include "outlog/check.h"
#include "rig.h"

static inline void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void full_disk(const struct outlog_io_ops *io, void *io_ctx)
{
    struct rig r;
    (void)signal(SIGXFSZ, SIG_IGN);
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){.io = io, .io_ctx = io_ctx});
    struct rig_task good, bad, small, later;
    static char text[300000];
    memset(text, 'x', sizeof text);
    rig_begin(&r, &good, 1, 0, 0);
    rig_print(&r, &good, OUTLOG_STDOUT, text, sizeof text);
    rig_finish(&r, &good, 0);
    CU_ASSERT(rig_until(&r, &good.done));
    CU_ASSERT_EQUAL(good.err.code, 0);
    struct stat st;
    CU_ASSERT_EQUAL(stat(r.path, &st), 0);
    /* The limit lies in the middle of the next write: it comes back short. */
    set_file_limit((rlim_t)st.st_size + 100000);
    rig_begin(&r, &bad, 1, 1, 0);
    rig_print(&r, &bad, OUTLOG_STDOUT, text, sizeof text);
    CU_ASSERT(rig_until(&r, &bad.broken));
    CU_ASSERT(strncmp(bad.err.text, "Streaming: ", 11) == 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(bad.err.text, strerror(EFBIG)));
    /* Its pipe is still emptied, so that it can be killed. */
    rig_print(&r, &bad, OUTLOG_STDOUT, text, 70000);
    rig_finish(&r, &bad, 0);
    rig_begin(&r, &small, 1, 2, 0);
    rig_finish(&r, &small, 0);
    CU_ASSERT(rig_until(&r, &bad.done));
    CU_ASSERT(rig_until(&r, &small.done));
    CU_ASSERT_NOT_EQUAL(bad.err.code, 0);
    CU_ASSERT_NOT_EQUAL(small.err.code, 0); /* its end could not be written */
    /* Room again. */
    set_file_limit(RLIM_INFINITY);
    (void)usleep(600000); /* longer than the writer refrains from trying */
    rig_begin(&r, &later, 1, 3, 0);
    rig_print(&r, &later, OUTLOG_STDOUT, text, sizeof text);
    rig_finish(&r, &later, 0);
    CU_ASSERT(rig_until(&r, &later.done));
    CU_ASSERT_EQUAL(later.err.code, 0);
    rig_stop(&r);
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(r.path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    unsigned whole = 0;
    while (outlog_runs_next(it, &run, &err) == 1) {
        bool written = run.task == 0 || run.task == 3;
        whole += written && run.finished && run.bytes[0] == sizeof text;
        CU_ASSERT(written || run.state != OUTLOG_FINISHED);
    }
    CU_ASSERT_EQUAL(whole, 2);
    CU_ASSERT_EQUAL(damage.n, 0);
    outlog_runs_destroy(it);
    struct outlog_check_report report;
    CU_ASSERT_EQUAL(outlog_check(reader, NULL, NULL, &report, &err), 0);
    CU_ASSERT_EQUAL(report.n_damages, 0);
    outlog_reader_destroy(reader);
    rig_release(&r);
}

/* A task that prints and ends; its error. */
static inline struct error one_task(struct rig *r, uint32_t task)
{
    struct rig_task t;
    rig_begin(r, &t, 1, task, 0);
    rig_print(r, &t, OUTLOG_STDOUT, "output\n", 7);
    rig_finish(r, &t, 0);
    CU_ASSERT(rig_until(r, &t.done));
    return t.err;
}

/* Each of them fails one write, is told on its task, and is the only one that is lost.
 */
static inline void failing_writes(const struct outlog_io_ops *io UNUSED,
                                  void *io_ctx UNUSED)
{
#ifdef HQ_FAULTS
    static const struct {
        const char *name;
        int code;
    } errors[] = {
        {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"ESTALE", ESTALE}};
    struct rig r;
    rig_init(&r, "AbC123");
    rig_start(&r, (struct outlog_writer_config){.io = io, .io_ctx = io_ctx});
    uint32_t task = 0, n_good = 0;
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        char fault[64];
        CU_ASSERT_EQUAL(one_task(&r, task++).code, 0);
        n_good++;
        (void)snprintf(fault, sizeof fault, "outlog.write:1=%s", errors[i].name);
        CU_ASSERT_FATAL(fault_arm(fault));
        struct error err = one_task(&r, task++);
        CU_ASSERT(fault_arm(""));
        CU_ASSERT(strncmp(err.text, "Streaming: ", 11) == 0);
        CU_ASSERT_PTR_NOT_NULL(strcasestr(err.text, strerror(errors[i].code)));
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, r.path));
        /* For a while the writer refrains from trying. */
        while (one_task(&r, task++).code != 0)
            (void)usleep(10000);
        n_good++;
    }
    rig_stop(&r);
    struct rig_damage damage;
    struct outlog_reader *reader = rig_open(r.path, &damage);
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    while (outlog_runs_next(it, &run, &err) == 1)
        n_good -= run.state == OUTLOG_FINISHED && run.bytes[0] == 7;
    CU_ASSERT_EQUAL(n_good, 0);
    CU_ASSERT_EQUAL(damage.n, 0);
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    rig_release(&r);
#endif
}

#endif
