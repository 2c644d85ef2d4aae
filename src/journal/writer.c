/*
 * The journal thread. The loop thread frames records into `queue` under the lock; the
 * thread swaps it with its own buffer, fills the checksums in and writes all of it with
 * one call. At a failure the file is cut back to the end of a record, what is whole is
 * synced, and all that follows is dropped; only then the failure is told. So every
 * record before `failed` is safe, and none from there on is in the file.
 */
#include "journal/journal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "journal/file.h"
#include "journal/prune.h"

#define QUEUE_MAX ((size_t)4 << 30)
#define KEEP_BYTES ((size_t)16 << 20) /* a larger buffer is given back when empty */
#define NS_PER_S 1000000000u
/* A pruning is handed over to this thread when no more than that is left to copy;
 * before that it copies in pieces, between which the end of the server is noticed. */
#define HANDOVER_BYTES ((uint64_t)1 << 20)
#define PRUNE_PIECE ((uint64_t)64 << 20)

struct journal {
    struct journal_config config;
    struct journal_file file; /* the thread's, once it runs; with the next four */
    struct buf batch;
    uint64_t synced_end;        /* file.end at the last sync */
    uint64_t unsynced_since_ns; /* when the oldest unsynced record was written */
    bool must_cut;              /* bytes behind file.end could not be removed yet */
    atomic_uint cuts;           /* how often records were taken back */
    char *path;

    pthread_t thread;
    pthread_cond_t wake;
    pthread_mutex_t lock; /* of all that follows */
    struct buf queue;     /* framed records, checks and checksums still missing */
    uint64_t queue_first; /* sequence number of its first record */
    uint64_t appended;    /* only the loop thread changes it */
    uint64_t wanted;      /* sync up to this record soon */
    uint64_t refused;     /* 0, or the first record that did not get into the queue */
    int refused_sys;
    bool dropping; /* records are not queued until journal_resume */
    bool stopping;
    struct journal_progress progress;
    struct prune *prune; /* under way; its thread's, then the journal thread's */
    pthread_t prune_thread;
    unsigned prune_cuts; /* `cuts` when it began */
    bool prune_handed;   /* it is the journal thread's turn */
    struct journal_pruned pruned;
};

/* Text as "journal: no space left on device". */
static void describe(struct error *err, int sys)
{
    char room[256];
    const char *reason = strerror_r(sys, room, sizeof room); /* the GNU form */
    (void)error_set(err, ERR_SYSTEM, "journal: %c%s", tolower((unsigned char)reason[0]),
                    reason + 1);
    err->sys = sys;
}

/* Nothing from record `seq` on is in the file, all before is synced. */
static void fail_from(struct journal *j, uint64_t seq, int sys)
{
    buf_clear(&j->queue);
    j->dropping = true;
    j->wanted = 0;
    j->refused = 0;
    j->progress.failed = seq;
    describe(&j->progress.error, sys);
}

static void notify(struct journal *j)
{
    if (!j->config.notify)
        return;
    (void)pthread_mutex_unlock(&j->lock);
    j->config.notify(j->config.arg);
    (void)pthread_mutex_lock(&j->lock);
}

/* ---- the file; without the lock, by the thread ----------------------------------- */

static size_t record_size(const struct buf *b, size_t at)
{
    return JOURNAL_FRAME_SIZE + (size_t)get_u32(b->data + at);
}

/* Now, or before the next write: bytes of dropped records must not stay behind the end,
 * where they could be taken for whole ones. 0 or an errno value. */
static int cut(struct journal *j)
{
    int sys = journal_file_cut(&j->file);
    atomic_fetch_add(&j->cuts, 1);
    j->must_cut = sys != 0;
    return sys;
}

/*
 * 0 or an errno value. After a failed sync the kernel may have thrown the pages away
 * and forgotten the error, so what was not synced before counts as lost and is taken
 * back.
 */
static int sync_file(struct journal *j)
{
    int sys = journal_file_sync(&j->file);
    if (sys == 0) {
        j->synced_end = j->file.end;
    } else {
        j->file.end = j->synced_end;
        (void)cut(j);
    }
    return sys;
}

/* Writes the batch; *n_written records are in the file. 0 or an errno value. */
static int write_batch(struct journal *j, uint64_t *n_written)
{
    struct buf *b = &j->batch;
    *n_written = 0;
    int sys = j->must_cut ? cut(j) : 0;
    if (sys != 0)
        return sys;
    for (size_t at = 0; at < b->len; at += record_size(b, at))
        frame_encode(j->file.file_uid, j->file.end + at, b->data + at,
                     get_u32(b->data + at));
    size_t done = journal_file_write(&j->file, b->data, b->len);
    if (done < b->len)
        sys = errno;
    size_t whole = 0;
    while (whole < done && record_size(b, whole) <= done - whole) {
        whole += record_size(b, whole);
        ++*n_written;
    }
    j->file.end += whole;
    if (sys != 0)
        (void)cut(j);
    return sys;
}

static void drop_batch(struct journal *j)
{
    buf_clear(&j->batch);
    if (j->batch.cap > KEEP_BYTES)
        buf_release(&j->batch);
}

/* ---- the thread; called and left with the lock held ------------------------------ */

static bool unsynced(const struct journal *j)
{
    return j->progress.written != j->progress.synced;
}

/* false: it failed, and that is told in progress. */
static bool sync_written(struct journal *j)
{
    if (!unsynced(j))
        return true;
    uint64_t upto = j->progress.written;
    (void)pthread_mutex_unlock(&j->lock);
    int sys = sync_file(j);
    (void)pthread_mutex_lock(&j->lock);
    if (sys == 0) {
        j->progress.synced = upto;
        return true;
    }
    j->progress.written = j->progress.synced;
    j->progress.end = j->file.end;
    fail_from(j, j->progress.synced + 1, sys);
    return false;
}

static void write_queue(struct journal *j)
{
    struct buf taken = j->queue;
    j->queue = j->batch;
    j->batch = taken;
    uint64_t first = j->queue_first;
    (void)pthread_mutex_unlock(&j->lock);
    uint64_t n_written;
    int sys = write_batch(j, &n_written);
    drop_batch(j);
    (void)pthread_mutex_lock(&j->lock);
    if (n_written) {
        if (!unsynced(j))
            j->unsynced_since_ns = clock_mono_ns();
        j->progress.written = first + n_written - 1;
        j->progress.end = j->file.end;
    }
    if (sys != 0 && sync_written(j))
        fail_from(j, first + n_written, sys);
}

/* When the flush period ends; UINT64_MAX: never. */
static uint64_t flush_deadline(const struct journal *j)
{
    uint64_t at;
    if (!unsynced(j) ||
        ADD_OVERFLOWS(j->unsynced_since_ns, j->config.flush_period_ns, &at))
        return UINT64_MAX;
    return at;
}

static bool sync_is_due(const struct journal *j)
{
    return unsynced(j) &&
           (j->stopping || j->refused || j->wanted > j->progress.synced ||
            clock_mono_ns() >= flush_deadline(j));
}

static void wait_for_work(struct journal *j)
{
    while (j->queue.len == 0 && !j->refused && !j->stopping && !j->prune_handed &&
           !sync_is_due(j)) {
        uint64_t at = flush_deadline(j);
        if (at == UINT64_MAX) {
            (void)pthread_cond_wait(&j->wake, &j->lock);
            continue;
        }
        struct timespec ts = {(time_t)(at / NS_PER_S), (long)(at % NS_PER_S)};
        (void)pthread_cond_timedwait(&j->wake, &j->lock, &ts);
    }
}

/* ---- pruning --------------------------------------------------------------------- */

static void prune_ended(struct journal *j, const struct error *err)
{
    j->pruned.error = *err;
    j->progress.prune_over = true;
}

/* After records were taken back the copy has too much, or could not find them. */
static int check_cuts(const struct journal *j, struct error *err)
{
    if (atomic_load(&j->cuts) == j->prune_cuts)
        return 0;
    *err = (struct error)ERROR_INIT;
    return error_set(err, ERR_SYSTEM, "the journal could not be written meanwhile");
}

/* Copies what is left, and goes on in the new file. Everything in it is synced. */
static void take_over(struct journal *j)
{
    struct error err = ERROR_INIT;
    struct journal_file file;
    int rc = 0;
    j->prune_handed = false;
    (void)pthread_mutex_unlock(&j->lock);
    rc = check_cuts(j, &err);
    if (rc == 0)
        rc = prune_copy(j->prune, j->file.end, j->file.end, &err);
    if (rc == 0)
        rc = prune_sync(j->prune, &err);
    if (rc == 0)
        rc = prune_replace(j->prune, &file, &err);
    (void)pthread_mutex_lock(&j->lock);
    if (rc == 0) {
        j->pruned.old_end = j->file.end;
        j->pruned.new_end = file.end;
        (void)close(j->file.fd);
        j->file = file;
        j->must_cut = false;
        j->synced_end = j->progress.end = file.end;
        j->progress.synced = j->progress.written;
    }
    prune_ended(j, &err);
}

/* Where the whole records end; 0: what is not copied is for take_over. */
static uint64_t prune_end(struct journal *j, bool first)
{
    (void)pthread_mutex_lock(&j->lock);
    uint64_t end = j->progress.end, copied = prune_copied(j->prune);
    bool near =
        j->stopping || end <= copied || (!first && end - copied <= HANDOVER_BYTES);
    (void)pthread_mutex_unlock(&j->lock);
    return near ? 0 : end;
}

static void *prune_main(void *arg)
{
    struct journal *j = arg;
    struct error err = ERROR_INIT;
    uint64_t end = prune_end(j, true);
    int rc = 0;
    for (; rc == 0 && end != 0; end = prune_end(j, false))
        rc = prune_copy(j->prune, MIN(end, prune_copied(j->prune) + PRUNE_PIECE), end,
                        &err);
    if (rc == 0)
        rc = prune_sync(j->prune, &err);
    if (rc != 0)
        (void)check_cuts(j, &err);
    (void)pthread_mutex_lock(&j->lock);
    if (rc == 0 && j->stopping)
        rc = error_set(&err, ERR_CLOSED, "the server stops");
    if (rc == 0) {
        j->prune_handed = true;
        (void)pthread_cond_signal(&j->wake);
    } else {
        prune_ended(j, &err);
        notify(j);
    }
    (void)pthread_mutex_unlock(&j->lock);
    return NULL;
}

static void *thread_main(void *arg)
{
    struct journal *j = arg;
    (void)pthread_mutex_lock(&j->lock);
    do {
        wait_for_work(j);
        if (j->queue.len) {
            write_queue(j);
            notify(j);
        }
        if (sync_is_due(j)) {
            (void)sync_written(j);
            notify(j);
        }
        if (j->refused && j->queue.len == 0 && sync_written(j)) {
            fail_from(j, j->refused, j->refused_sys);
            notify(j);
        }
        if (j->prune_handed) {
            take_over(j);
            notify(j);
        }
    } while (!j->stopping || j->queue.len || j->refused || unsynced(j) ||
             j->prune_handed);
    (void)pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* ---- the loop thread ------------------------------------------------------------- */

static void journal_free(struct journal *j)
{
    (void)close(j->file.fd);
    buf_release(&j->batch);
    buf_release(&j->queue);
    free(j->path);
    (void)pthread_cond_destroy(&j->wake);
    (void)pthread_mutex_destroy(&j->lock);
    free(j);
}

static void init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(wake, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* Signals belong to the loop thread; SIGXFSZ of a file-size limit must be a failed
 * write here, not the end of the server. */
static int start_thread(pthread_t *thread, void *main(void *), struct journal *j)
{
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int sys = pthread_create(thread, NULL, main, j);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return sys;
}

int journal_open(const struct journal_config *config, struct journal **out,
                 struct error *err)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return error_nomem(err);
    j->config = *config;
    int rc = journal_file_open(&j->file, config->path, config->server_uid,
                               config->now_us, err);
    if (rc != 0) {
        free(j);
        return rc;
    }
    j->path = strdup(config->path);
    j->config.path = j->config.server_uid = NULL; /* borrowed for this call only */
    if (!j->path) {
        (void)close(j->file.fd);
        free(j);
        return error_nomem(err);
    }
    j->synced_end = j->progress.end = j->file.end;
    if (config->torn)
        *config->torn = j->file.torn;
    buf_init(&j->batch, QUEUE_MAX);
    buf_init(&j->queue, QUEUE_MAX);
    (void)pthread_mutex_init(&j->lock, NULL);
    init_wake(&j->wake);
    int sys = start_thread(&j->thread, thread_main, j);
    if (sys != 0) {
        journal_free(j);
        return error_errno(err, sys, "cannot start the journal thread");
    }
    *out = j;
    return 0;
}

int journal_close(struct journal *j, struct error *err)
{
    if (!j)
        return 0;
    (void)pthread_mutex_lock(&j->lock);
    j->stopping = true;
    (void)pthread_cond_signal(&j->wake);
    (void)pthread_mutex_unlock(&j->lock);
    if (j->prune)
        (void)pthread_join(j->prune_thread, NULL);
    (void)pthread_join(j->thread, NULL);
    prune_destroy(j->prune);
    int rc = 0;
    if (j->progress.failed) {
        rc = j->progress.error.code;
        if (err)
            *err = j->progress.error;
    }
    journal_free(j);
    return rc;
}

/* Frames the record into the queue; 0 or an errno value. */
static int enqueue(struct journal *j, const void *events, size_t n)
{
    if (n == 0)
        return EINVAL;
    if (n > JOURNAL_RECORD_MAX)
        return EMSGSIZE;
    if (!buf_reserve(&j->queue, JOURNAL_FRAME_SIZE + n))
        return ENOMEM;
    if (j->queue.len == 0)
        j->queue_first = j->appended;
    uint8_t *record = buf_extend(&j->queue, JOURNAL_FRAME_SIZE + n);
    put_u32(record, (uint32_t)n);
    memcpy(record + JOURNAL_FRAME_SIZE, events, n);
    return 0;
}

uint64_t journal_append(struct journal *j, const void *events, size_t n)
{
    (void)pthread_mutex_lock(&j->lock);
    uint64_t seq = ++j->appended;
    if (!j->dropping) {
        int sys = enqueue(j, events, n);
        if (sys != 0) {
            j->dropping = true;
            j->refused = seq;
            j->refused_sys = sys;
        }
        (void)pthread_cond_signal(&j->wake);
    }
    (void)pthread_mutex_unlock(&j->lock);
    return seq;
}

uint64_t journal_appended(const struct journal *j)
{
    return j->appended;
}

void journal_want_sync(struct journal *j, uint64_t seq)
{
    (void)pthread_mutex_lock(&j->lock);
    if (!j->dropping && seq > j->wanted) {
        j->wanted = MIN(seq, j->appended);
        (void)pthread_cond_signal(&j->wake);
    }
    (void)pthread_mutex_unlock(&j->lock);
}

void journal_progress(struct journal *j, struct journal_progress *p)
{
    (void)pthread_mutex_lock(&j->lock);
    p->written = j->progress.written;
    p->synced = j->progress.synced;
    p->end = j->progress.end;
    p->prune_over = j->progress.prune_over;
    p->failed = j->progress.failed;
    if (p->failed)
        p->error = j->progress.error;
    else
        p->error.code = 0;
    (void)pthread_mutex_unlock(&j->lock);
}

int journal_dup(struct journal *j, int *fd, struct error *err)
{
    (void)pthread_mutex_lock(&j->lock); /* a pruning may be replacing it */
    *fd = fcntl(j->file.fd, F_DUPFD_CLOEXEC, 0);
    (void)pthread_mutex_unlock(&j->lock);
    return *fd < 0 ? error_sys(err, "cannot read the journal") : 0;
}

void journal_keep_release(struct journal_keep *k)
{
    u64map_release(&k->jobs);
    u64map_release(&k->workers);
}

int journal_prune(struct journal *j, struct journal_keep *keep, struct error *err)
{
    struct prune *p;
    if (j->prune)
        return error_set(err, ERR_BUSY, "the journal is being pruned already");
    int rc = prune_create(j->path, &j->file, keep, &p, err);
    if (rc != 0)
        return rc;
    j->prune = p;
    j->prune_cuts = atomic_load(&j->cuts);
    int sys = start_thread(&j->prune_thread, prune_main, j);
    if (sys == 0)
        return 0;
    prune_destroy(p);
    j->prune = NULL;
    return error_errno(err, sys, "cannot start a thread to prune the journal");
}

void journal_prune_take(struct journal *j, struct journal_pruned *out)
{
    (void)pthread_join(j->prune_thread, NULL);
    prune_destroy(j->prune);
    j->prune = NULL;
    (void)pthread_mutex_lock(&j->lock);
    *out = j->pruned;
    j->progress.prune_over = false;
    (void)pthread_mutex_unlock(&j->lock);
}

void journal_resume(struct journal *j)
{
    (void)pthread_mutex_lock(&j->lock);
    if (j->progress.failed) {
        j->progress.failed = 0;
        j->dropping = false;
    }
    (void)pthread_mutex_unlock(&j->lock);
}
