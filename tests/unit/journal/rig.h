/* A journal in a directory of its own, and what its readers and writers said. */
#ifndef HQ_TEST_JOURNAL_RIG_H
#define HQ_TEST_JOURNAL_RIG_H

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/path.h"
#include "journal/format.h"
#include "journal/journal.h"
#include "test_main.h"

#define RIG_UID "aBcDeF123456"
#define RIG_CREATED_US 1770000000000000u
#define RIG_NEVER_NS UINT64_MAX

struct rig {
    char dir[64];
    char path[96];
    struct journal *j;
    uint64_t torn; /* what the last opening cut off */
    pthread_mutex_t lock;
    pthread_cond_t news;
    unsigned n_news;
};

static inline void rig_notify(void *arg)
{
    struct rig *r = arg;
    (void)pthread_mutex_lock(&r->lock);
    r->n_news++;
    (void)pthread_cond_signal(&r->news);
    (void)pthread_mutex_unlock(&r->lock);
}

static inline void rig_make(struct rig *r)
{
    memset(r, 0, sizeof *r);
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/hq-test-journal-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(r->dir));
    (void)snprintf(r->path, sizeof r->path, "%s/j", r->dir);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->news, NULL);
}

static inline int rig_try_open(struct rig *r, uint64_t flush_period_ns,
                               struct error *err)
{
    const struct journal_config config = {.path = r->path,
                                          .server_uid = RIG_UID,
                                          .now_us = RIG_CREATED_US,
                                          .flush_period_ns = flush_period_ns,
                                          .torn = &r->torn,
                                          .notify = rig_notify,
                                          .arg = r};
    return journal_open(&config, &r->j, err);
}

static inline void rig_open(struct rig *r)
{
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(rig_try_open(r, RIG_NEVER_NS, &err), 0);
}

static inline void rig_close(struct rig *r)
{
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(journal_close(r->j, &err), 0);
    r->j = NULL;
}

static inline void rig_drop(struct rig *r)
{
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(path_remove_tree(r->dir, &err), 0);
    (void)pthread_cond_destroy(&r->news);
    (void)pthread_mutex_destroy(&r->lock);
}

/* Appends a record of one event with that text. */
static inline uint64_t rig_append(struct rig *r, const char *text)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    buf_str(&b, text);
    uint64_t seq = journal_append(r->j, b.data, b.len);
    buf_release(&b);
    return seq;
}

enum rig_goal { RIG_WRITTEN, RIG_SYNCED, RIG_FAILED };

/* Waits for news until records up to `seq` are there; the last state goes to *p. */
static inline void rig_wait(struct rig *r, enum rig_goal goal, uint64_t seq,
                            struct journal_progress *p)
{
    for (;;) {
        (void)pthread_mutex_lock(&r->lock);
        unsigned seen = r->n_news;
        (void)pthread_mutex_unlock(&r->lock);
        journal_progress(r->j, p);
        if (goal == RIG_FAILED ? p->failed != 0
                               : (goal == RIG_WRITTEN ? p->written : p->synced) >= seq)
            return;
        CU_ASSERT_FATAL(goal == RIG_FAILED || p->failed == 0);
        (void)pthread_mutex_lock(&r->lock);
        while (r->n_news == seen)
            (void)pthread_cond_wait(&r->news, &r->lock);
        (void)pthread_mutex_unlock(&r->lock);
    }
}

/* Everything a reader found. */
struct rig_found {
    struct journal_header header;
    struct buf texts; /* the events, each with a NUL behind */
    size_t n_events;
    uint64_t torn;
    struct error err;
};

static inline int rig_keep_event(void *arg, struct span event, struct error *err UNUSED)
{
    struct rig_found *f = arg;
    buf_append(&f->texts, event.p, event.n);
    buf_u8(&f->texts, 0);
    f->n_events++;
    return 0;
}

static inline int rig_read(const struct rig *r, struct rig_found *f)
{
    memset(f, 0, sizeof *f);
    buf_init(&f->texts, BUF_MAX_DEFAULT);
    return journal_read(r->path, &f->header, rig_keep_event, NULL, f, &f->torn,
                        &f->err);
}

/* The n-th event, NULL when there are fewer. */
static inline const char *rig_event(const struct rig_found *f, size_t n)
{
    if (n >= f->n_events)
        return NULL;
    const char *p = (const char *)f->texts.data;
    while (n--)
        p += strlen(p) + 1;
    return p;
}

static inline void rig_found_release(struct rig_found *f)
{
    buf_release(&f->texts);
}

static inline void rig_expect(const struct rig *r, size_t n, const char *const *texts)
{
    struct rig_found f;
    CU_ASSERT_EQUAL_FATAL(rig_read(r, &f), 0);
    CU_ASSERT_EQUAL(f.torn, 0);
    CU_ASSERT_EQUAL(f.n_events, n);
    for (size_t i = 0; i < n && i < f.n_events; i++)
        CU_ASSERT_STRING_EQUAL(rig_event(&f, i), texts[i]);
    rig_found_release(&f);
}

static inline struct buf rig_bytes(const struct rig *r)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(path_read_file(r->path, &b, &err), 0);
    return b;
}

static inline void rig_put_bytes(const struct rig *r, const void *p, size_t n)
{
    struct error err = ERROR_INIT;
    (void)unlink(r->path);
    CU_ASSERT_EQUAL_FATAL(path_write_new(r->path, p, n, 0600, &err), 0);
}

#endif
