#include "outlog/writer.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "outlog/writer_impl.h"

#define GROUP_BYTES_DEFAULT (256u << 10)
#define GROUP_BYTES_MIN (128u << 10)
#define N_GROUPS_DEFAULT 8u
#define N_PULLERS_MAX 4u
#define FLUSH_US_DEFAULT 100000u
#define IDLE_US_DEFAULT 2000000u
#define LINGER_US_DEFAULT 20000u
#define SCRATCH_BYTES (64u << 10)

static uint32_t count_cpus(void)
{
    cpu_set_t own;
    /* More CPUs than the set has room for are enough. */
    return sched_getaffinity(0, sizeof own, &own) == 0 ? (uint32_t)CPU_COUNT(&own)
                                                       : N_PULLERS_MAX;
}

static void config_fill(struct outlog_writer_config *c)
{
    if (c->group_bytes == 0)
        c->group_bytes = GROUP_BYTES_DEFAULT;
    c->group_bytes = MAX(c->group_bytes, GROUP_BYTES_MIN) & ~(OUTLOG_BLOCK_ALIGN - 1);
    if (c->n_groups == 0)
        c->n_groups = N_GROUPS_DEFAULT;
    c->n_groups = MAX(c->n_groups, 2);
    if (c->flush_us == 0)
        c->flush_us = FLUSH_US_DEFAULT;
    if (c->idle_us == 0)
        c->idle_us = IDLE_US_DEFAULT;
    if (c->linger_us == 0)
        c->linger_us = LINGER_US_DEFAULT;
    if (c->n_pullers == 0)
        c->n_pullers = MIN(count_cpus(), N_PULLERS_MAX);
}

static bool buffers_create(struct outlog_writer *w)
{
    w->by_path = strmap_create();
    w->scratch = malloc(SCRATCH_BYTES);
    w->groups = calloc(w->c.n_groups, sizeof *w->groups);
    w->io = calloc(1 + w->c.n_pullers, sizeof *w->io);
    if (!w->by_path || !w->scratch || !w->groups || !w->io)
        return false;
    for (uint32_t i = 0; i < w->c.n_groups; i++) {
        struct group *g = &w->groups[i];
        g->mem = malloc(EXTENTS_HEADROOM + w->c.group_bytes);
        if (!g->mem)
            return false;
        g->data = g->mem + EXTENTS_HEADROOM;
        list_push_back(&w->free_groups, &g->free);
    }
    return true;
}

int outlog_writer_create(struct outlog_writer **out,
                         const struct outlog_writer_config *config, struct error *err)
{
    struct outlog_writer *w = calloc(1, sizeof *w);
    if (!w)
        return error_nomem(err);
    w->c = *config;
    config_fill(&w->c);
    w->origin.rank = -1;
    w->bounce.kind = IO_BOUNCE;
    list_init(&w->logs);
    list_init(&w->dirty);
    list_init(&w->idle);
    list_init(&w->free_groups);
    list_init(&w->records);
    list_init(&w->out);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->started_cond, NULL);
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = 0;
    if (w->event_fd < 0)
        rc = error_sys(err, "cannot create an event descriptor");
    else if (!buffers_create(w))
        rc = error_nomem(err);
    else
        rc = io_thread_create(&w->io[0], w, err);
    if (rc < 0) {
        outlog_writer_destroy(w);
        return rc;
    }
    *out = w;
    return 0;
}

int outlog_writer_wait_started(struct outlog_writer *w, struct error *err)
{
    pthread_mutex_lock(&w->lock);
    while (!w->started)
        pthread_cond_wait(&w->started_cond, &w->lock);
    pthread_mutex_unlock(&w->lock);
    if (w->start_rc < 0 && err)
        *err = w->start_err;
    return w->start_rc;
}

void outlog_writer_set_origin(struct outlog_writer *w,
                              const struct outlog_origin *origin)
{
    pthread_mutex_lock(&w->lock);
    w->origin = *origin;
    pthread_mutex_unlock(&w->lock);
}

/* Messages of leases belong to nobody but their list. */
static void free_leases(struct list *l)
{
    LIST_FOR_EACH_SAFE(l, node, next)
    {
        struct io_msg *msg = CONTAINER_OF(node, struct io_msg, node);
        if (msg->kind == IO_LEASE)
            free(CONTAINER_OF(msg, struct lease_msg, msg));
    }
}

static void task_discard(struct outlog_task *t)
{
    if (list_linked(&t->node))
        list_remove(&t->node);
    if (list_linked(&t->record))
        list_remove(&t->record);
    if (list_linked(&t->all))
        list_remove(&t->all);
    error_drop(t->broken);
    cap_release(&t->cap);
    text_destroy(t->text);
    pull_destroy(t->pull);
    free(t);
}

void outlog_writer_destroy(struct outlog_writer *w)
{
    if (!w)
        return;
    uint32_t n_threads = w->io ? 1 + w->c.n_pullers : 0;
    for (uint32_t i = n_threads; i-- > 0;) /* MPI's main thread last */
        io_thread_stop(&w->io[i]);
    for (uint32_t i = 0; i < n_threads; i++)
        if (w->io[i].runs)
            free_leases(&w->io[i].in);
    free_leases(&w->out);
    LIST_FOR_EACH_SAFE(&w->logs, node, next)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, node);
        LIST_FOR_EACH_SAFE(&log->io_leases, held, after)
        free(CONTAINER_OF(held, struct lease_msg, held));
        LIST_FOR_EACH_SAFE(&log->tasks, all, after)
        task_discard(CONTAINER_OF(all, struct outlog_task, all));
        wlog_free(log);
    }
    for (uint32_t i = 0; w->groups && i < w->c.n_groups; i++) {
        free(w->groups[i].mem);
        free(w->groups[i].members);
    }
    free(w->groups);
    free(w->scratch);
    for (uint32_t i = 0; i < n_threads; i++)
        io_thread_release(&w->io[i]);
    free(w->io);
    strmap_destroy(w->by_path);
    if (w->event_fd >= 0)
        (void)close(w->event_fd);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->started_cond);
    free(w);
}

int outlog_writer_fd(const struct outlog_writer *w)
{
    return w->event_fd;
}

void outlog_writer_get_stats(const struct outlog_writer *w,
                             struct outlog_writer_stats *s)
{
    *s = w->stats;
}

/* ---- the loop ---------------------------------------------------------------------
 */

/* Makes sure that dispatch runs soon. */
static void bounce(struct outlog_writer *w)
{
    if (w->bounce_sent)
        return;
    w->bounce_sent = true;
    writer_send(w, &w->bounce);
}

/* Asks again what a lost link may have swallowed. */
static void ask_again(struct outlog_writer *w)
{
    w->reconnected = false;
    LIST_FOR_EACH_SAFE(&w->logs, node, next)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, node);
        if (log->state == WLOG_ASKING && !log->refuse_sent)
            w->c.events->need_log(w->c.arg, log->number, log->path, log->replace,
                                  &log->probe);
        else if (log->lease_asked)
            w->c.events->need_lease(w->c.arg, log->number, &log->ident.uid);
    }
}

static void drain_step(struct outlog_writer *w)
{
    LIST_FOR_EACH_SAFE(&w->logs, node, next)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, node);
        if (log->state == WLOG_ASKING && log->n_tasks == 0 && !log->dead)
            wlog_destroy(log); /* the server may never answer */
    }
    LIST_FOR_EACH_SAFE(&w->idle, node, next)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, idle);
        wlog_close(log);
    }
    if (list_empty(&w->logs) && !w->drained_told) {
        w->drained_told = true;
        w->c.events->on_drained(w->c.arg);
    }
}

static void handle_log_reply(struct wlog *log, struct io_msg *msg)
{
    uint32_t counted = msg->kind == IO_WANT ? 0 : 1;
    if (msg->kind == IO_GROUP)
        group_on_reply(CONTAINER_OF(msg, struct group, msg));
    else if (msg->kind == IO_PULL)
        pull_on_reply(CONTAINER_OF(msg, struct pull, msg));
    else if (msg->kind == IO_TEXT)
        task_done(CONTAINER_OF(msg, struct task_text, msg)->task);
    else
        wlog_on_reply(log, msg);
    /* Only now, so that the log outlives what the callbacks did. */
    log->n_msgs -= counted;
    if (log->dead && log->n_msgs == 0)
        wlog_free(log);
}

static void handle_replies(struct outlog_writer *w)
{
    for (;;) {
        pthread_mutex_lock(&w->lock);
        struct list_node *node = list_first(&w->out);
        if (node)
            list_remove(node);
        pthread_mutex_unlock(&w->lock);
        if (!node)
            return;
        struct io_msg *msg = CONTAINER_OF(node, struct io_msg, node);
        if (msg->kind == IO_BOUNCE)
            w->bounce_sent = false;
        else
            handle_log_reply(msg->log, msg);
    }
}

void outlog_writer_dispatch(struct outlog_writer *w, uint64_t now_us)
{
    eventfd_t count;
    (void)eventfd_read(w->event_fd, &count);
    w->now_us = now_us;
    handle_replies(w);
    if (w->reconnected)
        ask_again(w);
    records_retry(w);
    if (w->paused && !list_empty(&w->free_groups)) {
        w->paused = false;
        w->c.events->on_resume(w->c.arg);
    }
    if (w->draining)
        drain_step(w);
}

uint64_t outlog_writer_flush(struct outlog_writer *w, uint64_t now_us)
{
    uint64_t next_us = UINT64_MAX;
    w->now_us = now_us;
    LIST_FOR_EACH_SAFE(&w->dirty, node, next)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, dirty);
        if (log->cur->len == 0)
            continue;
        uint64_t due_us = log->cur->opened_us + w->c.flush_us;
        /* While a write is under way more ends may gather. */
        if (log->in_flight == 0)
            due_us = MIN(due_us, log->cur->end_due_us);
        if (now_us >= due_us || w->draining)
            group_submit(log);
        else
            next_us = MIN(next_us, due_us);
    }
    LIST_FOR_EACH_SAFE(&w->idle, node, next)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, idle);
        uint64_t due_us = log->idle_since_us + w->c.idle_us;
        if (now_us < due_us && !w->draining) {
            next_us = MIN(next_us, due_us);
            break;
        }
        wlog_close(log);
    }
    return next_us;
}

void outlog_writer_reconnected(struct outlog_writer *w)
{
    w->reconnected = true;
    bounce(w);
}

void outlog_writer_drain(struct outlog_writer *w, uint64_t now_us)
{
    w->draining = true;
    (void)outlog_writer_flush(w, now_us);
    bounce(w);
}
