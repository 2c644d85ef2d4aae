/* Logs with known content, made without pipes, and their content gathered again. */
#ifndef HQ_TEST_OUTLOG_LOGS_H
#define HQ_TEST_OUTLOG_LOGS_H

#include "outlog/check.h"
#include "outlog/extents.h"
#include "outlog/log_file.h"
#include "outlog/packer.h"
#include "outlog/seal.h"
#include "rig.h"

/* A writer of one log that puts blocks directly. */
struct maker {
    struct lease_book *book;
    uint32_t worker;
    const char *path;
    int fd;
    void *file;
    struct extents x;
    uint8_t *mem; /* headroom and one group */
    size_t len;
    uint64_t time_us;
    struct packer *packer;
};

#define MAKER_GROUP (256u << 10)

static inline void maker_open(struct maker *m, struct lease_book *book, uint32_t worker,
                              const char *path, bool compress)
{
    struct error err = ERROR_INIT;
    *m = (struct maker){.book = book, .worker = worker, .path = path, .time_us = 1000};
    CU_ASSERT_EQUAL_FATAL(log_file_open(path, &book->ident, false, false, &m->fd, &err),
                          0);
    CU_ASSERT_EQUAL_FATAL(outlog_posix_ops.open(NULL, path, &m->file, &err), 0);
    struct outlog_origin origin = {.worker = worker, .rank = -1};
    (void)snprintf(origin.host, sizeof origin.host, "node%u", worker);
    extents_init(&m->x, &outlog_posix_ops, m->file, &book->ident, &origin);
    m->mem = malloc(EXTENTS_HEADROOM + 2 * MAKER_GROUP);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m->mem);
    m->packer = compress ? packer_create() : NULL;
}

static inline void maker_lease(struct maker *m)
{
    struct outlog_lease lease;
    bool first;
    uint64_t mark;
    CU_ASSERT_EQUAL_FATAL(lease_book_grant(m->book, m->worker, &lease, &first, &mark),
                          0);
    CU_ASSERT_FATAL(extents_add_lease(&m->x, &lease));
}

static inline void maker_flush(struct maker *m)
{
    struct error err = ERROR_INIT;
    struct extents_ended ended;
    uint8_t *data = m->mem + EXTENTS_HEADROOM, *packed = NULL;
    size_t done = 0, len = m->len;
    m->x.raw = NULL;
    if (m->packer) {
        packed = malloc(EXTENTS_HEADROOM + MAKER_GROUP);
        size_t span =
            packer_pack(m->packer, data, len, packed + EXTENTS_HEADROOM, MAKER_GROUP);
        if (span) {
            m->x.raw = data;
            m->x.raw_len = m->len;
            data = packed + EXTENTS_HEADROOM;
            len = span;
        }
    }
    int rc;
    while ((rc = extents_put(&m->x, data, len, &done, m->time_us, &ended, &err)) !=
           EXTENTS_DONE) {
        CU_ASSERT_FATAL(rc == EXTENTS_NEED_LEASE || rc == EXTENTS_ROLLED);
        if (rc == EXTENTS_NEED_LEASE)
            maker_lease(m);
    }
    m->len = 0;
    free(packed);
}

static inline void maker_block(struct maker *m, struct outlog_block b, const void *data)
{
    b.time_us = ++m->time_us;
    size_t span = (size_t)outlog_block_span(b.stored);
    if (m->len + span > MAKER_GROUP)
        maker_flush(m);
    uint8_t *p = m->mem + EXTENTS_HEADROOM + m->len;
    memset(p, 0, span);
    outlog_block_encode(&b, p);
    if (b.stored)
        memcpy(p + OUTLOG_BLOCK_HEADER_BYTES, data, b.stored);
    m->len += span;
}

/* A run with `n` bytes of output in `parts` blocks, and its end record. */
static inline void maker_task(struct maker *m, uint32_t job, uint32_t task,
                              uint32_t instance, size_t n, size_t parts)
{
    char *text = malloc(n / parts + 64);
    uint32_t seq = 0;
    uint64_t total = 0;
    for (size_t i = 0; i < parts; i++) {
        size_t want = n / parts, len = 0;
        while (len < want)
            len += (size_t)snprintf(text + len, 64, "job %u task %u.%u part %zu\n", job,
                                    task, instance, i);
        struct outlog_block b = {.type = OUTLOG_BLOCK_STDOUT,
                                 .stored = (uint32_t)want,
                                 .job = job,
                                 .task = task,
                                 .instance = instance,
                                 .seq = seq++};
        maker_block(m, b, text);
        total += want;
    }
    struct outlog_end end = {
        .state = OUTLOG_FINISHED, .channels = 3, .bytes = {total, 0}, .end_us = 5};
    uint8_t raw[OUTLOG_END_BYTES];
    outlog_end_encode(&end, raw);
    struct outlog_block b = {.type = OUTLOG_BLOCK_EVENT,
                             .flags = OUTLOG_FLAG_END,
                             .stored = OUTLOG_END_BYTES,
                             .job = job,
                             .task = task,
                             .instance = instance,
                             .seq = seq};
    maker_block(m, b, raw);
    free(text);
}

/* close_extents: as a writer that leaves; else as one that is killed. */
static inline void maker_close(struct maker *m, bool close_extents)
{
    struct error err = ERROR_INIT;
    struct extents_ended ended;
    if (m->len)
        maker_flush(m);
    while (close_extents && extents_close(&m->x, m->time_us, &ended, &err))
        lease_book_end(m->book, m->worker, ended.lease);
    CU_ASSERT_EQUAL(err.code, 0);
    CU_ASSERT_EQUAL(outlog_posix_ops.close(m->file, &err), 0);
    (void)close(m->fd);
    extents_release(&m->x);
    free(m->mem);
    packer_destroy(m->packer);
}

static inline void book_init(struct lease_book *book)
{
    struct outlog_uid uid = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    lease_book_init(book, uid, "AbC123", 77, 4096);
}

/* Whether every byte of a run is what maker_task wrote. */
static inline bool run_is_right(struct outlog_reader *reader,
                                const struct outlog_run *run)
{
    for (size_t i = 0; i < run->n_refs; i++) {
        const uint8_t *data;
        size_t n;
        if (run->refs[i].e.type != OUTLOG_BLOCK_STDOUT)
            continue;
        if (outlog_read_block(reader, &run->refs[i], &data, &n) < 0)
            return false;
        char line[96];
        size_t len =
            (size_t)snprintf(line, sizeof line, "job %u task %u.%u part %u\n", run->job,
                             run->task, run->instance, run->refs[i].e.key.seq);
        for (size_t k = 0; k < n; k++)
            if (data[k] != (uint8_t)line[k % len])
                return false;
    }
    return true;
}

struct tally {
    uint64_t runs, whole, finished;
    uint64_t whole_tasks; /* bits, tasks below 64 */
    struct rig_damage damage;
    int rc;
};

/* Reads all runs; `whole` are finished ones without gaps whose bytes are right. */
static inline struct tally tally_log(const char *path)
{
    struct tally t = {0};
    struct outlog_reader *reader = NULL;
    struct outlog_runs *it = NULL;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    t.rc = outlog_reader_open(&reader, path, NULL, &err);
    if (t.rc < 0)
        return t;
    outlog_reader_on_damage(reader, rig_on_damage, &t.damage);
    t.rc = outlog_runs_create(&it, reader, &err);
    while (t.rc == 0 && (t.rc = outlog_runs_next(it, &run, &err)) == 1) {
        t.runs++;
        t.finished += run.finished ? 1 : 0;
        struct outlog_end end;
        bool right = run_is_right(reader, &run);
        if (right && run.finished && !run.gaps &&
            outlog_read_end(reader, &run.refs[run.n_refs - 1], &end) == 0 &&
            end.bytes[0] == run.bytes[0]) {
            t.whole++;
            t.whole_tasks |= run.task < 64 ? UINT64_C(1) << run.task : 0;
        }
        t.rc = 0;
    }
    outlog_runs_destroy(it);
    outlog_reader_destroy(reader);
    return t;
}

static inline struct outlog_check_report check_log(const char *path)
{
    struct outlog_check_report report = {0};
    struct outlog_reader *reader = NULL;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_reader_open(&reader, path, NULL, &err), 0);
    CU_ASSERT_EQUAL(outlog_check(reader, NULL, NULL, &report, &err), 0);
    outlog_reader_destroy(reader);
    return report;
}

static inline struct outlog_seal_result seal_log(const char *path)
{
    struct outlog_seal_options o = {.now_us = 99};
    struct outlog_seal_result result;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(outlog_seal(path, &o, &result, &err), 0);
    return result;
}

#endif
