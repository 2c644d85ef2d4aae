/* Loop thread: tasks put their output into the current group of their log. */
#include "outlog/writer_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"

#define READ_MAX (64u << 10)
/* A block of less is not begun at the end of a group. */
#define ROOM_MIN (4096u)
/* Below this a pipe is left alone for a while, so that blocks grow. */
#define LINGER_BELOW (16u << 10)
/* Not before so many small reads in a row; then ever longer, until so many. */
#define SMALL_FREE 4u
#define SMALL_MAX 16u
#define LINGER_MIN_US UINT64_C(1000)
#define RECORD_SPAN                                                            \
    ((OUTLOG_BLOCK_HEADER_BYTES + OUTLOG_END_BYTES + OUTLOG_BLOCK_ALIGN - 1) & \
     ~(OUTLOG_BLOCK_ALIGN - 1))

static struct error no_memory = {ERR_NOMEM, 0, STREAMING "out of memory"};

void error_drop(struct error *err)
{
    if (err != &no_memory)
        free(err);
}

void streaming_error(struct error *err)
{
    if (strncmp(err->text, "Error: ", 7) != 0)
        error_prefix(err, STREAMING);
}

/* ---- groups ---------------------------------------------------------------------- */

void group_submit(struct wlog *log)
{
    struct group *g = log->cur;
    log->cur = NULL;
    if (list_linked(&log->dirty))
        list_remove(&log->dirty);
    g->msg.kind = IO_GROUP;
    g->msg.log = log;
    g->done = 0;
    g->err.code = 0;
    g->anew = false;
    log->in_flight++;
    writer_send(log->w, &g->msg);
}

void group_hurry(const struct outlog_task *t)
{
    if (t->log->cur && t->log->cur->serial == t->group_serial)
        group_submit(t->log);
}

void group_release(struct wlog *log)
{
    struct group *g = log->cur;
    if (!g)
        return;
    HQ_ASSERT(g->len == 0);
    log->cur = NULL;
    list_remove(&log->dirty);
    list_push_back(&log->w->free_groups, &g->free);
}

/* No buffer is free: let those come back that are only partly filled. */
static void submit_all(struct outlog_writer *w)
{
    LIST_FOR_EACH_SAFE(&w->dirty, node, next)
    group_submit(CONTAINER_OF(node, struct wlog, dirty));
}

/* The current group of the log with `need` bytes left; NULL: none is free. */
static struct group *group_room(struct wlog *log, size_t need)
{
    struct outlog_writer *w = log->w;
    if (log->cur && w->c.group_bytes - log->cur->len >= need)
        return log->cur;
    if (log->cur)
        group_submit(log);
    /* One log alone must not hold all buffers. */
    bool greedy = w->stats.logs > 1 && log->in_flight >= (w->c.n_groups + 1) / 2;
    struct list_node *node = greedy ? NULL : list_first(&w->free_groups);
    if (!node) {
        submit_all(w);
        return NULL;
    }
    list_remove(node);
    struct group *g = CONTAINER_OF(node, struct group, free);
    g->len = 0;
    g->n_members = 0;
    g->end_due_us = UINT64_MAX;
    g->tail = NULL;
    g->serial = ++w->next_serial;
    g->opened_us = w->now_us;
    log->cur = g;
    list_push_back(&w->dirty, &log->dirty);
    return g;
}

/* Notes that the group holds a block of the task. */
static bool group_join(struct group *g, struct outlog_task *t)
{
    if (t->group_serial == g->serial)
        return true;
    if (g->n_members == g->cap_members) {
        size_t cap = g->cap_members ? g->cap_members * 2 : 64;
        struct group_member *grown = realloc(g->members, cap * sizeof *grown);
        if (!grown)
            return false;
        g->members = grown;
        g->cap_members = cap;
    }
    g->members[g->n_members++] = (struct group_member){t, false};
    t->group_serial = g->serial;
    t->first_serial = t->first_serial ? t->first_serial : g->serial;
    t->n_groups++;
    return true;
}

uint8_t block_type(enum outlog_channel channel)
{
    return channel == OUTLOG_STDOUT ? OUTLOG_BLOCK_STDOUT : OUTLOG_BLOCK_STDERR;
}

size_t block_begin(uint8_t *p, const struct outlog_task *t, uint8_t type, uint8_t flags,
                   uint32_t stored, uint32_t seq)
{
    struct outlog_block b = {
        .type = type,
        .flags = flags,
        .stored = stored,
        .job = t->job,
        .task = t->id,
        .instance = t->instance,
        .seq = seq,
        .time_us = clock_real_us(),
    };
    outlog_block_encode(&b, p);
    size_t span = (size_t)outlog_block_span(stored);
    memset(p + OUTLOG_BLOCK_HEADER_BYTES + stored, 0,
           span - OUTLOG_BLOCK_HEADER_BYTES - stored);
    return span;
}

static void group_add_block(struct group *g, struct outlog_task *t, uint8_t type,
                            uint8_t flags, uint32_t stored)
{
    size_t span = block_begin(g->data + g->len, t, type, flags, stored, t->seq++);
    g->tail = t;
    g->tail_at = g->len;
    g->len += span;
    t->log->w->stats.blocks++;
}

/* ---- records: the start of a later run, the end of a run ---------------------------
 */

static uint8_t end_flags(const struct outlog_task *t)
{
    return (uint8_t)(OUTLOG_FLAG_END | (t->end.cut ? OUTLOG_FLAG_CUT : 0));
}

/* Puts the end record behind the task's last block when that is the last of the group.
 */
static bool merge_end(struct group *g, struct outlog_task *t, uint32_t group_bytes)
{
    uint8_t *block = g->data + g->tail_at;
    uint32_t stored = g->tail == t ? get_u32(block + 12) : 0;
    size_t len = g->tail_at + (size_t)outlog_block_span(stored + OUTLOG_END_BYTES);
    if (g->tail != t || block[9] || len > group_bytes)
        return false;
    uint8_t *payload = block + OUTLOG_BLOCK_HEADER_BYTES;
    memset(payload + stored, 0, len - g->tail_at - OUTLOG_BLOCK_HEADER_BYTES - stored);
    outlog_end_encode(&t->end, payload + stored);
    put_u32(block + 12, stored + OUTLOG_END_BYTES);
    block[9] = end_flags(t);
    g->len = len;
    g->tail = NULL;
    return true;
}

static void mark_end(struct group *g, const struct outlog_task *t)
{
    g->end_due_us = MIN(g->end_due_us, t->end_due_us);
    for (size_t i = g->n_members; i-- > 0;)
        if (g->members[i].task == t) {
            g->members[i].end = true;
            return;
        }
}

static bool put_begin(struct outlog_task *t)
{
    struct group *g = group_room(t->log, RECORD_SPAN);
    if (!g || !group_join(g, t))
        return false;
    group_add_block(g, t, OUTLOG_BLOCK_EVENT, 0, 0);
    t->want_begin = false;
    return true;
}

/* What there is to say about output above the limit, as a block of each channel. */
static bool put_rest(struct outlog_task *t)
{
    for (enum outlog_channel ch = 0; ch < OUTLOG_N_CHANNELS; ch++) {
        size_t n = cap_rest(&t->cap, ch);
        if (n == 0)
            continue;
        struct group *g = group_room(t->log, (size_t)outlog_block_span((uint32_t)n));
        if (!g || !group_join(g, t))
            return false;
        cap_put_rest(&t->cap, ch, g->data + g->len + OUTLOG_BLOCK_HEADER_BYTES);
        group_add_block(g, t, block_type(ch), 0, (uint32_t)n);
        t->bytes[ch] += n;
        t->cap.dropped[ch] = 0; /* said */
    }
    t->want_rest = false;
    return true;
}

static bool put_end(struct outlog_task *t)
{
    struct wlog *log = t->log;
    struct group *g = log->cur;
    memcpy(t->end.bytes, t->bytes, sizeof t->bytes);
    if (!g || !merge_end(g, t, log->w->c.group_bytes)) {
        g = group_room(log, RECORD_SPAN);
        if (!g || !group_join(g, t))
            return false;
        outlog_end_encode(&t->end, g->data + g->len + OUTLOG_BLOCK_HEADER_BYTES);
        group_add_block(g, t, OUTLOG_BLOCK_EVENT, end_flags(t), OUTLOG_END_BYTES);
        g->tail = NULL;
    }
    mark_end(g, t);
    t->want_end = false;
    return true;
}

static bool put_records(struct outlog_task *t)
{
    return !t->pull && (!t->want_begin || put_begin(t)) &&
           (!t->want_rest || put_rest(t)) && (!t->want_end || put_end(t));
}

static void records_wait(struct outlog_task *t)
{
    if (!list_linked(&t->record))
        list_push_back(&t->log->w->records, &t->record);
}

void records_retry(struct outlog_writer *w)
{
    LIST_FOR_EACH_SAFE(&w->records, node, next)
    {
        struct outlog_task *t = CONTAINER_OF(node, struct outlog_task, record);
        if (put_records(t))
            list_remove(node);
    }
}

/* ---- tasks ------------------------------------------------------------------------
 */

static void task_free(struct outlog_task *t)
{
    struct wlog *log = t->log;
    if (list_linked(&t->record))
        list_remove(&t->record);
    list_remove(&t->all);
    error_drop(t->broken);
    cap_release(&t->cap);
    text_destroy(t->text);
    free(t);
    log->w->stats.tasks--;
    wlog_task_left(log, log->w->now_us);
}

/* The task may write: mark a repeated run at once, so that readers hide older ones. */
static void task_start(struct outlog_task *t)
{
    t->want_begin = t->instance > 0;
    if (!put_records(t))
        records_wait(t);
}

void task_log_ready(struct outlog_task *t, const struct error *err)
{
    struct outlog_writer *w = t->log->w;
    void *user = t->user;
    if (err)
        task_free(t);
    else
        task_start(t);
    w->c.events->on_ready(w->c.arg, user, err);
}

int outlog_task_begin(struct outlog_writer *w, const struct outlog_task_params *p,
                      uint64_t now_us, struct outlog_task **out, struct error *err)
{
    *out = NULL;
    w->now_us = now_us;
    if (w->draining)
        return error_set(err, ERR_CLOSED, STREAMING "the worker is leaving");
    struct outlog_task *t = calloc(1, sizeof *t);
    bool ready = t && (!p->text || (t->text = text_create(t, p->text)) != NULL);
    struct wlog *log = ready ? wlog_get(w, p->path) : NULL;
    if (!log) {
        if (t)
            text_destroy(t->text);
        free(t);
        return error_set(err, ERR_NOMEM, "%s", no_memory.text);
    }
    t->log = log;
    t->user = p->user;
    t->job = p->job;
    t->id = p->task;
    t->instance = p->instance;
    t->channels = p->channels;
    cap_init(&t->cap, p->max_output, p->keep_tail);
    log->replace = log->replace || p->replace;
    list_push_back(&log->tasks, &t->all);
    log->n_tasks++;
    w->stats.tasks++;
    wlog_check_idle(log, now_us);
    *out = t;
    if (log->state != WLOG_OPEN) {
        list_push_back(&log->waiting, &t->node);
        return OUTLOG_PENDING;
    }
    task_start(t);
    return OUTLOG_READY;
}

void outlog_task_drop(struct outlog_task *t)
{
    if (list_linked(&t->node))
        list_remove(&t->node);
    if (t->n_groups == 0)
        task_free(t);
    else
        t->dropped = true;
}

void task_break(struct outlog_task *t, const struct error *err)
{
    if (t->broken)
        return;
    t->broken = malloc(sizeof *t->broken);
    if (!t->broken) {
        t->broken = &no_memory;
        return;
    }
    *t->broken = *err;
    streaming_error(t->broken);
}

/* A task whose output cannot be kept: it is being killed, its pipe must not block. */
static int read_away(struct outlog_task *t, int fd)
{
    ssize_t n = read(fd, t->log->w->scratch, READ_MAX);
    if (n > 0)
        return OUTLOG_READY;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? OUTLOG_AGAIN : OUTLOG_EOF;
}

/* Above the limit. */
static int read_dropped(struct outlog_task *t, enum outlog_channel channel, int fd)
{
    uint8_t *scratch = t->log->w->scratch;
    ssize_t n = read(fd, scratch, READ_MAX);
    if (n > 0) {
        cap_drop(&t->cap, channel, scratch, (size_t)n);
        text_add(t->text, scratch, (size_t)n);
        return OUTLOG_READY;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? OUTLOG_AGAIN : OUTLOG_EOF;
}

uint64_t outlog_task_bytes(const struct outlog_task *t)
{
    return t->bytes[OUTLOG_STDOUT] + t->bytes[OUTLOG_STDERR];
}

uint64_t outlog_task_printed(const struct outlog_task *t)
{
    return outlog_task_bytes(t) + t->cap.dropped[OUTLOG_STDOUT] +
           t->cap.dropped[OUTLOG_STDERR];
}

void outlog_task_job_full(struct outlog_task *t, uint64_t limit)
{
    if (!t->ended)
        cap_job_full(&t->cap, outlog_task_bytes(t), limit);
}

static bool lingers(struct outlog_task *t, enum outlog_channel ch, int fd,
                    uint64_t now_us, uint64_t *retry_us)
{
    uint64_t linger_us = t->log->w->c.linger_us;
    uint64_t last = t->last_read_us[ch];
    int there = 0;
    /* What begins to print may be about to fill its pipe. */
    if (t->n_small[ch] < SMALL_FREE)
        return false;
    linger_us = MIN(linger_us, LINGER_MIN_US << (t->n_small[ch] - SMALL_FREE));
    if (last == 0 || now_us < last || now_us - last >= linger_us ||
        ioctl(fd, FIONREAD, &there) != 0 || there <= 0 || there >= (int)LINGER_BELOW)
        return false;
    *retry_us = last + linger_us - now_us;
    return true;
}

int outlog_task_read(struct outlog_task *t, enum outlog_channel channel, int fd,
                     bool hurry, uint64_t now_us, uint64_t *retry_us, struct error *err)
{
    struct outlog_writer *w = t->log->w;
    w->now_us = now_us;
    if (t->pull)
        return OUTLOG_LENT;
    if (t->broken)
        return read_away(t, fd);
    if (!hurry && lingers(t, channel, fd, now_us, retry_us))
        return OUTLOG_LATER;
    uint64_t keep = cap_room(&t->cap, outlog_task_bytes(t));
    if (keep == 0)
        return read_dropped(t, channel, fd);
    if (pull_start(t, channel, fd))
        return OUTLOG_LENT;
    struct group *g =
        t->want_begin ? NULL : group_room(t->log, OUTLOG_BLOCK_HEADER_BYTES + ROOM_MIN);
    if (!g || !group_join(g, t)) {
        w->paused = true;
        w->stats.pauses++;
        return OUTLOG_PAUSED;
    }
    size_t room = w->c.group_bytes - g->len - OUTLOG_BLOCK_HEADER_BYTES;
    size_t want = MIN(room & ~(size_t)(OUTLOG_BLOCK_ALIGN - 1), READ_MAX);
    want = (size_t)MIN((uint64_t)want, keep);
    ssize_t n = FAULT("outlog.read")
                    ? -1
                    : read(fd, g->data + g->len + OUTLOG_BLOCK_HEADER_BYTES, want);
    if (n == 0)
        return OUTLOG_EOF;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return OUTLOG_AGAIN;
    if (n < 0) {
        int rc = error_sys(err, "cannot read the output of the task");
        task_break(t, err);
        return rc;
    }
    text_add(t->text, g->data + g->len + OUTLOG_BLOCK_HEADER_BYTES, (size_t)n);
    group_add_block(g, t, block_type(channel), 0, (uint32_t)n);
    t->bytes[channel] += (uint64_t)n;
    pace_count(&t->pace[channel], (size_t)n, now_us);
    bool small = (size_t)n < LINGER_BELOW;
    t->last_read_us[channel] = small ? now_us : 0;
    t->n_small[channel] = small ? MIN(t->n_small[channel] + 1u, SMALL_MAX) : 0;
    return OUTLOG_READY;
}

void outlog_task_end(struct outlog_task *t, const struct outlog_end *end,
                     uint64_t within_us, uint64_t now_us)
{
    t->log->w->now_us = now_us;
    t->end_due_us = now_us + within_us;
    t->end = *end;
    t->end.channels = t->channels;
    if (t->broken) {
        t->end.state = OUTLOG_FAILED;
        t->end.cut = true;
    } else if (cap_was_hit(&t->cap)) {
        t->end.cut = true;
        t->want_rest = true;
    }
    t->ended = true;
    t->want_end = true;
    if (!put_records(t))
        records_wait(t);
}

/* ---- groups that come back ---------------------------------------------------------
 */

void task_tell_broken(struct outlog_task *t)
{
    struct outlog_writer *w = t->log->w;
    if (t->ended || t->broken_told)
        return;
    t->broken_told = true;
    w->c.events->on_broken(w->c.arg, t->user, t->broken);
}

void tasks_break_lost(struct wlog *log, uint64_t serial)
{
    struct error err = ERROR_INIT;
    error_set(&err, ERR_SYSTEM, "'%s': " LOG_REMOVED, log->path);
    LIST_FOR_EACH_SAFE(&log->tasks, node, next)
    {
        struct outlog_task *t = CONTAINER_OF(node, struct outlog_task, all);
        if (t->first_serial == 0 || t->first_serial >= serial || t->dropped)
            continue;
        task_break(t, &err);
        task_tell_broken(t);
    }
}

/* The end record is in the file, and so is the text view if there is one. */
void task_done(struct outlog_task *t)
{
    struct outlog_writer *w = t->log->w;
    w->c.events->on_done(w->c.arg, t->user, t->broken);
    task_free(t);
}

static void member_back(const struct group *g, const struct group_member *m)
{
    struct outlog_task *t = m->task;
    t->n_groups--;
    if (t->pull && t->n_groups == 0)
        pull_send(t);
    if (g->msg.rc < 0)
        task_break(t, &g->err);
    if (t->dropped) {
        if (t->n_groups == 0)
            task_free(t);
        return;
    }
    if (m->end && t->text) {
        text_send(t->text);
    } else if (m->end) {
        task_done(t);
    } else if (g->msg.rc < 0) {
        task_tell_broken(t);
    }
}

void group_on_reply(struct group *g)
{
    struct wlog *log = g->msg.log;
    struct outlog_writer *w = log->w;
    if (g->msg.rc < 0)
        w->stats.write_errors++;
    w->stats.groups++;
    w->stats.bytes_written += g->len;
    log->n_tasks++; /* keeps the log while its tasks are told */
    if (g->anew)
        tasks_break_lost(log, g->serial);
    for (size_t i = 0; i < g->n_members; i++)
        member_back(g, &g->members[i]);
    log->in_flight--;
    list_push_front(&w->free_groups, &g->free); /* still in the CPU's cache */
    wlog_task_left(log, w->now_us);
}
