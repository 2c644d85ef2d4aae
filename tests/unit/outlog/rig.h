/*
 * A rig for tests of the log: a writer with a server at its side that answers at once
 * from a lease book, tasks fed through pipes, and a reader that gathers everything.
 */
#ifndef HQ_TEST_OUTLOG_RIG_H
#define HQ_TEST_OUTLOG_RIG_H

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/path.h"
#include "outlog/reader.h"
#include "outlog/writer.h"
#include "test_main.h"

struct rig_task {
    struct outlog_task *handle;
    int pipes[2]; /* write end of each channel; -1 */
    int ends[2];  /* read ends */
    bool ready, done, broken, lent;
    struct error err;
};

struct rig_server {
    struct lease_book book;
    bool known;
    const char *uid;
    uint64_t marks;
    uint64_t last_mark;
    bool refuse;
    bool silent; /* does not answer */
};

struct rig {
    char dir[64];
    char path[128];
    struct rig_server *server;
    struct rig_server own_server;
    struct outlog_writer *w;
    uint32_t worker;
    uint64_t max_output; /* of tasks begun from now on */
    bool keep_tail;
    uint64_t now_us;
    bool drained, resumed;
    uint32_t asked_log, asked_lease, closed, leases_ended;
    uint64_t pulled; /* bytes that I/O threads read themselves */
};

static inline void rig_ready(void *arg UNUSED, void *task, const struct error *err)
{
    struct rig_task *t = task;
    t->ready = true;
    if (err) {
        t->err = *err;
        t->handle = NULL;
    }
}

static inline void rig_broken(void *arg UNUSED, void *task, const struct error *err)
{
    struct rig_task *t = task;
    t->broken = true;
    t->err = *err;
}

static inline void rig_done(void *arg UNUSED, void *task, const struct error *err)
{
    struct rig_task *t = task;
    t->done = true;
    t->handle = NULL;
    if (err)
        t->err = *err;
}

static inline void rig_resume(void *arg)
{
    ((struct rig *)arg)->resumed = true;
}

static inline void rig_returned(void *arg, void *task,
                                enum outlog_channel channel UNUSED, uint64_t bytes)
{
    ((struct rig_task *)task)->lent = false;
    ((struct rig *)arg)->pulled += bytes;
}

static inline struct outlog_lease rig_grant(struct rig *r)
{
    struct outlog_lease lease;
    bool first;
    uint64_t mark;
    CU_ASSERT_EQUAL_FATAL(
        lease_book_grant(&r->server->book, r->worker, &lease, &first, &mark), 0);
    if (first) {
        CU_ASSERT(mark >= lease.offset + lease.length);
        r->server->marks++;
        r->server->last_mark = mark;
    }
    CU_ASSERT(r->server->last_mark >= lease.offset + lease.length);
    return lease;
}

static inline void rig_need_log(void *arg, uint32_t log, const char *path UNUSED,
                                bool replace, const struct outlog_probe *found)
{
    struct rig *r = arg;
    r->asked_log++;
    if (r->server->silent)
        return;
    if (r->server->refuse) {
        outlog_writer_log_refused(r->w, log, "no such stream");
        return;
    }
    if (!r->server->known) {
        struct outlog_uid uid;
        for (size_t i = 0; i < sizeof uid.b; i++)
            uid.b[i] = (uint8_t)(r->server->uid[i % strlen(r->server->uid)] + (int)i);
        lease_book_create(&r->server->book, found, uid, r->server->uid, 1);
        r->server->known = true;
    }
    bool may = lease_book_open(&r->server->book, r->worker, found, replace);
    struct outlog_lease lease = rig_grant(r);
    outlog_writer_log_opened(r->w, log, &r->server->book.ident, may, &lease);
}

static inline void rig_need_lease(void *arg, uint32_t log,
                                  const struct outlog_uid *uid UNUSED)
{
    struct rig *r = arg;
    r->asked_lease++;
    if (r->server->silent)
        return;
    if (r->server->refuse) {
        outlog_writer_lease_refused(r->w, log, "no space given");
        return;
    }
    struct outlog_lease lease = rig_grant(r);
    outlog_writer_lease(r->w, log, &lease);
}

static inline void rig_lease_ended(void *arg, uint32_t log UNUSED,
                                   const struct outlog_uid *uid UNUSED, uint64_t lease,
                                   uint64_t data_end UNUSED, uint64_t n_blocks UNUSED)
{
    struct rig *r = arg;
    r->leases_ended++;
    lease_book_end(&r->server->book, r->worker, lease);
}

static inline void rig_closed(void *arg, uint32_t log UNUSED,
                              const struct outlog_uid *uid UNUSED)
{
    ((struct rig *)arg)->closed++;
}

static inline void rig_drained(void *arg)
{
    ((struct rig *)arg)->drained = true;
}

static const struct outlog_writer_events rig_events = {
    .on_ready = rig_ready,
    .on_broken = rig_broken,
    .on_done = rig_done,
    .on_resume = rig_resume,
    .on_returned = rig_returned,
    .need_log = rig_need_log,
    .need_lease = rig_need_lease,
    .lease_ended = rig_lease_ended,
    .log_closed = rig_closed,
    .on_drained = rig_drained,
};

/* A directory of its own and a server with this uid. */
static inline void rig_init(struct rig *r, const char *server_uid)
{
    *r = (struct rig){.worker = 1, .now_us = 1000000};
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/hq-outlog-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(r->dir));
    (void)snprintf(r->path, sizeof r->path, "%s/%s.hqlog", r->dir, server_uid);
    r->own_server.uid = server_uid;
    r->server = &r->own_server;
}

static inline void rig_start(struct rig *r, struct outlog_writer_config config)
{
    struct error err = ERROR_INIT;
    if (!config.io)
        config.io = &outlog_posix_ops;
    config.events = &rig_events;
    config.arg = r;
    r->drained = false;
    CU_ASSERT_EQUAL_FATAL(outlog_writer_create(&r->w, &config, &err), 0);
    CU_ASSERT_EQUAL_FATAL(outlog_writer_wait_started(r->w, &err), 0);
    struct outlog_origin origin = {.worker = r->worker, .rank = (int32_t)r->worker - 1};
    (void)snprintf(origin.host, sizeof origin.host, "node%u", r->worker);
    outlog_writer_set_origin(r->w, &origin);
}

/* Waits for the I/O threads at most wait_ms, in no time. */
static inline void rig_wait(struct rig *r, int wait_ms)
{
    struct pollfd p = {.fd = outlog_writer_fd(r->w), .events = POLLIN};
    (void)poll(&p, 1, wait_ms);
    outlog_writer_dispatch(r->w, r->now_us);
    (void)outlog_writer_flush(r->w, r->now_us);
}

/* One round: the same, and time goes on by 1 ms. */
static inline void rig_round(struct rig *r, int wait_ms)
{
    r->now_us += 1000;
    rig_wait(r, wait_ms);
}

/* Rounds until *flag; fails after 20 s. */
static inline bool rig_until(struct rig *r, const bool *flag)
{
    uint64_t end_us = clock_mono_us() + 20000000;
    while (!*flag && clock_mono_us() < end_us)
        rig_round(r, 5);
    return *flag;
}

static inline void rig_begin(struct rig *r, struct rig_task *t, uint32_t job,
                             uint32_t task, uint32_t instance)
{
    *t = (struct rig_task){.pipes = {-1, -1}, .ends = {-1, -1}};
    struct outlog_task_params p = {
        .path = r->path,
        .job = job,
        .task = task,
        .instance = instance,
        .channels = 3,
        .max_output = r->max_output,
        .keep_tail = r->keep_tail,
        .user = t,
    };
    struct error err = ERROR_INIT;
    int rc = outlog_task_begin(r->w, &p, r->now_us, &t->handle, &err);
    CU_ASSERT_FATAL(rc == OUTLOG_READY || rc == OUTLOG_PENDING);
    if (rc == OUTLOG_READY)
        t->ready = true;
    CU_ASSERT_FATAL(rig_until(r, &t->ready));
    for (int c = 0; c < 2; c++) {
        int fds[2];
        CU_ASSERT_EQUAL_FATAL(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        t->ends[c] = fds[0];
        t->pipes[c] = fds[1];
    }
}

/* Writes the bytes through the task's pipe into the log. */
static inline void rig_print(struct rig *r, struct rig_task *t, enum outlog_channel ch,
                             const void *data, size_t n)
{
    const uint8_t *p = data;
    struct error err = ERROR_INIT;
    uint64_t retry_us;
    while (n > 0) {
        ssize_t w = write(t->pipes[ch], p, MIN(n, (size_t)65536));
        CU_ASSERT_FATAL(w > 0);
        p += w;
        n -= (size_t)w;
        for (;;) {
            int rc = outlog_task_read(t->handle, ch, t->ends[ch], true, r->now_us,
                                      &retry_us, &err);
            CU_ASSERT_FATAL(rc >= 0);
            if (rc == OUTLOG_AGAIN)
                break;
            t->lent = rc == OUTLOG_LENT;
            while (t->lent)
                rig_round(r, 20);
            if (rc == OUTLOG_PAUSED)
                rig_round(r, 20);
        }
    }
}

static inline void rig_finish(struct rig *r, struct rig_task *t, int exit_code)
{
    for (int c = 0; c < 2; c++) {
        (void)close(t->pipes[c]);
        (void)close(t->ends[c]);
    }
    struct outlog_end end = {
        .state = exit_code ? OUTLOG_FAILED : OUTLOG_FINISHED,
        .exit_code = exit_code,
        .start_us = r->now_us - 500,
        .end_us = r->now_us,
    };
    if (t->handle)
        outlog_task_end(t->handle, &end, 0, r->now_us);
}

static inline void rig_stop(struct rig *r)
{
    outlog_writer_drain(r->w, r->now_us);
    CU_ASSERT(rig_until(r, &r->drained));
    outlog_writer_destroy(r->w);
    r->w = NULL;
}

/* Ends the writer without closing anything, as a crash would. */
static inline void rig_crash(struct rig *r)
{
    outlog_writer_destroy(r->w);
    r->w = NULL;
}

static inline void rig_release(struct rig *r)
{
    struct error err = ERROR_INIT;
    if (r->own_server.known)
        lease_book_release(&r->own_server.book);
    CU_ASSERT_EQUAL(path_remove_tree(r->dir, &err), 0);
}

/* ---- reading ----------------------------------------------------------------------
 */

struct rig_damage {
    uint64_t n, bytes;
    uint64_t unfinished; /* of n: ends of what a writer that died was writing */
};

static inline void rig_on_damage(void *arg, const struct outlog_damage *d)
{
    struct rig_damage *sum = arg;
    sum->n++;
    sum->unfinished += strcmp(d->what, "unfinished write") == 0;
    sum->bytes += d->bytes;
}

static inline struct outlog_reader *rig_open(const char *path,
                                             struct rig_damage *damage)
{
    struct outlog_reader *reader = NULL;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_reader_open(&reader, path, NULL, &err), 0);
    *damage = (struct rig_damage){0};
    outlog_reader_on_damage(reader, rig_on_damage, damage);
    return reader;
}

/* One channel of a run. */
static inline void rig_output(struct outlog_reader *reader,
                              const struct outlog_run *run, enum outlog_channel ch,
                              struct buf *out)
{
    for (size_t i = 0; i < run->n_refs; i++) {
        const uint8_t *data;
        size_t n;
        uint8_t type = ch == OUTLOG_STDOUT ? OUTLOG_BLOCK_STDOUT : OUTLOG_BLOCK_STDERR;
        if (run->refs[i].e.type == type &&
            outlog_read_block(reader, &run->refs[i], &data, &n) == 0)
            buf_append(out, data, n);
    }
}

#endif
