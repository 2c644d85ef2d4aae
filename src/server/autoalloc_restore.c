/* Queues and allocations of a journal, and what a killed server has left behind. */
#include "server/autoalloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "base/xmem.h"

/* A trial of which the journal does not say that it is over. */
struct open_trial {
    struct list_node node; /* engine.trials */
    uint8_t manager;
    char *id;
};

static void replay_trial(struct server *s, struct cursor *c)
{
    char *id = cursor_strdup(c, ALLOC_ID_MAX);
    uint8_t manager = cursor_u8(c);
    bool over = cursor_u8(c) != 0;
    LIST_FOR_EACH_SAFE(&s->alloc->trials, node, next)
    {
        struct open_trial *t = CONTAINER_OF(node, struct open_trial, node);
        if (!over || !id || strcmp(t->id, id) != 0 || t->manager != manager)
            continue;
        list_remove(node);
        free(t->id);
        free(t);
    }
    if (over || !id) {
        free(id);
        return;
    }
    struct open_trial *t = xcalloc(1, sizeof *t);
    t->manager = manager;
    t->id = id;
    list_push_back(&s->alloc->trials, &t->node);
}

int autoalloc_replay(struct server *s, enum event_type type, struct cursor *c,
                     uint64_t time_us)
{
    struct alloc_book *b = &s->alloc->book;
    struct alloc_params params;
    struct alloc_event e;
    if (type == EVENT_ALLOC_TRIAL) {
        replay_trial(s, c);
        return 0;
    }
    uint32_t queue = cursor_u32(c);
    if (type == EVENT_ALLOC_QUEUE_CREATED) {
        if (alloc_params_decode(&params, c) != 0)
            return ERR_CORRUPT;
        alloc_apply_queue(b, queue, &params);
        alloc_params_release(&params);
    } else if (type == EVENT_ALLOC_QUEUE_REMOVED) {
        alloc_apply_removed(b, queue);
    } else if (type == EVENT_ALLOC_QUEUE_STATE) {
        uint8_t state = cursor_u8(c);
        if (state >= QUEUE_STATE_COUNT)
            return ERR_CORRUPT;
        alloc_apply_state(b, queue, (enum alloc_queue_state)state);
    } else if (type == EVENT_ALLOC_QUEUED) {
        if (!alloc_queued_decode(&e, c))
            return ERR_CORRUPT;
        (void)alloc_apply_queued(b, queue, &e, time_us);
    } else if (type == EVENT_ALLOC_STARTED) {
        if (!alloc_started_decode(&e, c))
            return ERR_CORRUPT;
        (void)alloc_apply_started(b, queue, &e);
    } else {
        if (!alloc_ended_decode(&e, c))
            return ERR_CORRUPT;
        (void)alloc_apply_ended(b, queue, &e);
    }
    return 0;
}

void autoalloc_replay_worker(struct server *s, const struct worker *w)
{
    if (w->config.manager_job)
        alloc_apply_worker(&s->alloc->book, w->config.manager, w->config.manager_job,
                           &w->config.pools);
}

/* "<run>" of "<run>/autoalloc/<queue>/<number>"; malloc'ed, NULL: it is another path.
 */
static char *run_of(const char *dir)
{
    const char *found = NULL;
    for (const char *p = dir; (p = strstr(p, "/autoalloc/")) != NULL; p++)
        found = p;
    return found ? xstrndup(dir, (size_t)(found - dir)) : NULL;
}

/* Whether the run directory is one of this server's earlier lives. */
static bool run_is_ours(const struct server *s, const char *run)
{
    struct buf b = BUF_INIT((size_t)64 << 10);
    struct error err = ERROR_INIT;
    char *path = path_join(run, "access.json");
    char *mark = xasprintf("\"server_uid\": \"%s\"", s->uid);
    bool ours =
        path_read_file(path, &b, &err) == 0 && strstr(buf_cstr(&b), mark) != NULL;
    free(mark);
    free(path);
    buf_release(&b);
    return ours;
}

/* The access record of this run in place of that of an earlier one. */
static int forward_run(const struct server *s, const char *run, struct error *err)
{
    struct buf b = BUF_INIT((size_t)64 << 10);
    char *from = path_join(s->run_dir, "access.json"),
         *to = path_join(run, "access.json");
    char *fresh = xasprintf("%s.%ld", to, (long)getpid());
    int rc = path_read_file(from, &b, err);
    (void)unlink(fresh);
    if (rc == 0)
        rc = path_write_new(fresh, b.data, b.len, 0400, err);
    if (rc == 0 && rename(fresh, to) != 0)
        rc = error_sys(err, "cannot replace \"%s\"", to);
    free(from);
    free(to);
    free(fresh);
    buf_release(&b);
    return rc;
}

/* Workers of the allocation look for the server in the directory of the run that
 * submitted it. */
static bool adopt(struct server *s, const struct allocation *a)
{
    struct error err = ERROR_INIT;
    char *run = run_of(a->dir);
    bool ok = run && (strcmp(run, s->run_dir) == 0 ||
                      (run_is_ours(s, run) && forward_run(s, run, &err) == 0));
    if (err.code)
        log_warn("%s", err.text);
    free(run);
    return ok;
}

/* ---- submissions that the journal does not know ------------------------------------
 */

/* The run before this one; malloc'ed, NULL: there is none. */
static char *last_run(const struct server *s)
{
    uint32_t n;
    if (!text_to_u32(path_base(s->run_dir), &n))
        return NULL;
    while (--n >= 1) {
        char *run = xasprintf("%s/%03u", s->config->server_dir, n);
        if (run_is_ours(s, run))
            return run;
        free(run);
    }
    return NULL;
}

/* malloc'ed; NULL: the submission did not work, or nobody knows. */
static char *read_id(const char *dir)
{
    struct buf b = BUF_INIT(ALLOC_ID_MAX + 1);
    struct error err = ERROR_INIT;
    char *path = path_join(dir, AUTOALLOC_ID_FILE), *id = NULL;
    if (path_read_file(path, &b, &err) == 0 && b.len && b.len <= ALLOC_ID_MAX &&
        !memchr(b.data, 0, b.len))
        id = xstrndup((const char *)b.data, b.len);
    free(path);
    buf_release(&b);
    return id;
}

static uint32_t read_size(const struct alloc_queue *q, const char *dir)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    char *path = path_join(dir, BATCH_SCRIPT_NAME);
    uint32_t n =
        path_read_file(path, &b, &err) == 0
            ? batch_script_workers(batch_ops_of(q->params.manager), buf_cstr(&b))
            : 0;
    free(path);
    buf_release(&b);
    return n ? n : 1;
}

/* The newest allocations of a killed server may be missing in its journal: those that
 * come behind the last known one. */
static void find_lost(struct server *s, struct alloc_queue *q, const char *run)
{
    char *root = autoalloc_dir(run, q->id, &q->params), *id = NULL;
    uint32_t last = run_dir_last(root), k = last;
    for (; k >= 1; k--) {
        char *dir = xasprintf("%s/%03u", root, k);
        id = read_id(dir);
        bool known = id && alloc_queue_find(q, id);
        free(id);
        free(dir);
        if (known)
            break;
    }
    while (++k <= last) {
        char *dir = xasprintf("%s/%03u", root, k);
        id = read_id(dir);
        if (id) {
            log_warn("Allocation %s is not in the journal", id);
            (void)autoalloc_queued(s, q, id, read_size(q, dir), dir);
        }
        free(id);
        free(dir);
    }
    free(root);
}

static void restore_queue(struct server *s, struct alloc_queue *q)
{
    for (size_t i = 0; i < q->allocs.len; i++) {
        struct allocation *a = q->allocs.data[i];
        if (!allocation_active(a))
            continue;
        if (a->state == ALLOC_RUNNING)
            a->look_us = 1; /* until a worker comes back, if any does */
        if (!adopt(s, a) && a->state == ALLOC_QUEUED) {
            log_warn("Workers of allocation %s could not find this server", a->id);
            autoalloc_cancel_known(s, q, a);
        }
    }
    autoalloc_look(s, q);
}

static void cancel_trials(struct server *s)
{
    LIST_FOR_EACH_SAFE(&s->alloc->trials, node, next)
    {
        struct open_trial *t = CONTAINER_OF(node, struct open_trial, node);
        struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
        autoalloc_cancel(s, t->manager, t->id, NULL, NULL, NULL);
        event_begin(&event, EVENT_ALLOC_TRIAL, s->now_us);
        buf_str(&event, t->id);
        buf_u8(&event, t->manager);
        buf_u8(&event, 1);
        commit_event(s, &event);
        buf_release(&event);
        list_remove(node);
        free(t->id);
        free(t);
    }
}

void autoalloc_restored(struct server *s)
{
    const struct alloc_book *b = &s->alloc->book;
    char *run = b->queues.len ? last_run(s) : NULL;
    cancel_trials(s);
    for (size_t i = 0; i < b->queues.len; i++) {
        if (run)
            find_lost(s, b->queues.data[i], run);
        restore_queue(s, b->queues.data[i]);
    }
    free(run);
}
