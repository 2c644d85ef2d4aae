/* Loop thread: the life of one log, from its first task to its closing. */
#include "outlog/writer_impl.h"

#include <stdlib.h>
#include "base/path.h"

char *outlog_stream_path(const char *dir, const char *server_uid)
{
    struct buf name = BUF_INIT(1024);
    buf_printf(&name, "%s%s", server_uid, OUTLOG_SUFFIX);
    char *path = name.failed ? NULL : path_join(dir, buf_cstr(&name));
    buf_release(&name);
    return path;
}

static struct wlog *wlog_create(struct outlog_writer *w, const char *path,
                                struct io_thread *io)
{
    struct wlog *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->w = w;
    log->io = io;
    log->lock_fd = -1;
    log->path = strdup(path);
    log->number = ++w->next_number;
    log->step.log = log->roll.log = log->refuse.log = log->want.log = log;
    log->roll.kind = IO_ROLL;
    log->refuse.kind = IO_REFUSE;
    log->want.kind = IO_WANT;
    list_init(&log->waiting);
    list_init(&log->tasks);
    list_init(&log->lanes);
    list_init(&log->io_groups);
    list_init(&log->io_leases);
    if (!log->path) {
        free(log);
        return NULL;
    }
    list_push_back(&w->logs, &log->node);
    return log;
}

static void unlink_if(struct list_node *node)
{
    if (list_linked(node))
        list_remove(node);
}

void wlog_free(struct wlog *log)
{
    unlink_if(&log->node);
    unlink_if(&log->dirty);
    unlink_if(&log->idle);
    free(log->first);
    free(log->refusal);
    free(log->fail_text);
    free(log->err);
    free(log->path);
    free(log);
}

struct wlog *wlog_get(struct outlog_writer *w, const char *path)
{
    struct wlog *log = strmap_get(w->by_path, path, strlen(path));
    if (log)
        return log;
    log = wlog_create(w, path, &w->io[0]);
    if (!log)
        return NULL;
    if (strmap_add(w->by_path, path, strlen(path), log) < 0) {
        wlog_free(log);
        return NULL;
    }
    w->stats.logs++;
    wlog_probe(log);
    return log;
}

struct wlog *wlog_by_number(struct outlog_writer *w, uint32_t number)
{
    LIST_FOR_EACH(&w->logs, node)
    {
        struct wlog *log = CONTAINER_OF(node, struct wlog, node);
        if (log->number == number && !log->dead)
            return log;
    }
    return NULL;
}

void wlog_destroy(struct wlog *log)
{
    struct outlog_writer *w = log->w;
    if (log->home) {
        list_remove(&log->lane_node);
    } else {
        (void)strmap_remove(w->by_path, log->path, strlen(log->path));
        w->stats.logs--;
    }
    log->dead = true;
    if (log->n_msgs == 0)
        wlog_free(log);
}

static void step_send(struct wlog *log, enum io_kind kind)
{
    free(log->err);
    log->err = NULL;
    log->step.kind = kind;
    writer_send(log->w, &log->step);
}

void wlog_probe(struct wlog *log)
{
    log->state = WLOG_PROBING;
    step_send(log, IO_PROBE);
}

/* Nothing may be under way for the log. */
void wlog_close(struct wlog *log)
{
    unlink_if(&log->idle);
    group_release(log);
    log->state = WLOG_CLOSING;
    step_send(log, IO_CLOSE);
}

struct wlog *wlog_lane(struct wlog *home, struct io_thread *io)
{
    LIST_FOR_EACH(&home->lanes, node)
    {
        struct wlog *lane = CONTAINER_OF(node, struct wlog, lane_node);
        if (lane->io == io)
            return lane->state == WLOG_OPEN && !lane->roll_sent ? lane : NULL;
    }
    if (home->no_lanes || home->state != WLOG_OPEN)
        return NULL;
    struct wlog *lane = wlog_create(home->w, home->path, io);
    if (!lane)
        return NULL;
    lane->home = home;
    lane->ident = home->ident;
    list_push_back(&home->lanes, &lane->lane_node);
    lane->state = WLOG_OPENING;
    step_send(lane, IO_OPEN);
    return NULL;
}

/* Without a task there is nothing for the lanes to write. */
static void close_lanes(struct wlog *home)
{
    LIST_FOR_EACH_SAFE(&home->lanes, node, next)
    {
        struct wlog *lane = CONTAINER_OF(node, struct wlog, lane_node);
        if (lane->state == WLOG_OPEN && lane->n_tasks == 0 && !lane->roll_sent &&
            !lane->refuse_sent)
            wlog_close(lane);
    }
}

/* All tasks that wait for the log get the answer. */
static void tell_waiting(struct wlog *log, const struct error *err)
{
    struct list_node *node;
    while ((node = list_first(&log->waiting)) != NULL) {
        list_remove(node);
        task_log_ready(CONTAINER_OF(node, struct outlog_task, node), err);
    }
}

static void fail_waiting(struct wlog *log, const char *text)
{
    struct error err = ERROR_INIT;
    if (log->err)
        err = *log->err;
    else
        error_set(&err, ERR_SYSTEM, "%s", text);
    streaming_error(&err);
    tell_waiting(log, &err);
}

void wlog_check_idle(struct wlog *log, uint64_t now_us)
{
    struct outlog_writer *w = log->w;
    if (log->n_tasks || log->in_flight || (log->cur && log->cur->len) ||
        log->state != WLOG_OPEN) {
        unlink_if(&log->idle);
        return;
    }
    close_lanes(log);
    if (log->roll_sent || log->refuse_sent || list_linked(&log->idle) ||
        !list_empty(&log->lanes))
        return;
    log->idle_since_us = now_us;
    list_push_back(&w->idle, &log->idle);
}

void wlog_task_left(struct wlog *log, uint64_t now_us)
{
    log->n_tasks--;
    wlog_check_idle(log, now_us);
}

/* The file could not be opened, or the server said no: without tasks it is forgotten.
 */
static void give_up(struct wlog *log, const char *text)
{
    fail_waiting(log, text);
    if (log->n_tasks == 0)
        wlog_destroy(log);
    else
        wlog_probe(log); /* a callback began a new task: try again */
}

static void ask_server(struct wlog *log)
{
    struct outlog_writer *w = log->w;
    log->state = WLOG_ASKING;
    w->c.events->need_log(w->c.arg, log->number, log->path, log->replace, &log->probe);
}

static void on_lane_opened(struct wlog *lane, int rc)
{
    struct wlog *home = lane->home;
    if (rc < 0) {
        home->no_lanes = true;
        wlog_destroy(lane);
    } else {
        lane->state = WLOG_OPEN;
        wlog_check_idle(lane, lane->w->now_us);
    }
    wlog_check_idle(home, home->w->now_us);
}

static void on_opened(struct wlog *log, int rc)
{
    if (log->home) {
        on_lane_opened(log, rc);
        return;
    }
    if (rc < 0) {
        give_up(log, "cannot open the log");
        return;
    }
    log->state = WLOG_OPEN;
    tell_waiting(log, NULL);
    wlog_check_idle(log, log->w->now_us);
}

static void on_closed(struct wlog *log)
{
    struct outlog_writer *w = log->w;
    struct wlog *home = log->home;
    if (home) {
        wlog_destroy(log);
        wlog_check_idle(home, w->now_us);
        return;
    }
    w->c.events->log_closed(w->c.arg, log->number, &log->ident.uid);
    if (log->n_tasks == 0)
        wlog_destroy(log);
    else
        wlog_probe(log);
}

static void on_lease_back(struct wlog *log, struct lease_msg *l)
{
    struct outlog_writer *w = log->w;
    struct extents_ended ended = l->ended;
    free(l);
    w->c.events->lease_ended(w->c.arg, log->number, &log->ident.uid, ended.lease,
                             ended.data_end, ended.n_blocks);
}

static void on_want(struct wlog *log)
{
    struct outlog_writer *w = log->w;
    if (log->lease_asked || log->state == WLOG_CLOSING)
        return;
    log->lease_asked = true;
    w->c.events->need_lease(w->c.arg, log->number, &log->ident.uid);
}

static void on_refused(struct wlog *log)
{
    log->refuse_sent = false;
    if (log->state == WLOG_ASKING)
        give_up(log, log->refusal ? log->refusal : "refused by the server");
    else
        wlog_check_idle(log, log->w->now_us);
}

void wlog_on_reply(struct wlog *log, struct io_msg *msg)
{
    switch (msg->kind) {
    case IO_PROBE:
        if (msg->rc < 0)
            give_up(log, "cannot open the log");
        else
            ask_server(log);
        break;
    case IO_OPEN:
        on_opened(log, msg->rc);
        break;
    case IO_CLOSE:
        on_closed(log);
        break;
    case IO_LEASE:
        on_lease_back(log, CONTAINER_OF(msg, struct lease_msg, msg));
        break;
    case IO_WANT:
        on_want(log);
        break;
    case IO_REFUSE:
        on_refused(log);
        break;
    case IO_ROLL:
        log->roll_sent = false;
        wlog_check_idle(log->home ? log->home : log, log->w->now_us);
        wlog_check_idle(log, log->w->now_us);
        break;
    case IO_GROUP:
    case IO_PULL:
    case IO_TEXT:
    case IO_BOUNCE:
        break; /* not for logs */
    }
}

/* ---- answers of the server --------------------------------------------------------
 */

static struct lease_msg *lease_msg_create(struct wlog *log,
                                          const struct outlog_lease *lease)
{
    struct lease_msg *l = calloc(1, sizeof *l);
    if (l) {
        l->msg.kind = IO_LEASE;
        l->msg.log = log;
        l->lease = *lease;
    }
    return l;
}

void outlog_writer_log_opened(struct outlog_writer *w, uint32_t number,
                              const struct outlog_ident *ident, bool replace,
                              const struct outlog_lease *first)
{
    struct wlog *log = wlog_by_number(w, number);
    if (!log || log->state != WLOG_ASKING || log->refuse_sent)
        return;
    log->ident = *ident;
    log->may_replace = replace;
    free(log->first);
    log->first = first ? lease_msg_create(log, first) : NULL;
    log->n_msgs += log->first ? 1 : 0; /* travels with IO_OPEN, comes back by itself */
    log->lease_asked = false;
    log->state = WLOG_OPENING;
    step_send(log, IO_OPEN);
}

void outlog_writer_lease(struct outlog_writer *w, uint32_t number,
                         const struct outlog_lease *lease)
{
    struct wlog *log = wlog_by_number(w, number);
    if (!log)
        return;
    log->lease_asked = false;
    struct lease_msg *l = lease_msg_create(log, lease);
    if (l)
        writer_send(w, &l->msg);
}

static void refuse(struct wlog *log, const char *text)
{
    if (log->refuse_sent)
        return;
    free(log->refusal);
    log->refusal = strdup(text);
    log->refuse_sent = true;
    unlink_if(&log->idle);
    writer_send(log->w, &log->refuse);
}

void outlog_writer_log_refused(struct outlog_writer *w, uint32_t number,
                               const char *text)
{
    struct wlog *log = wlog_by_number(w, number);
    if (log && log->state == WLOG_ASKING)
        refuse(log, text);
}

void outlog_writer_lease_refused(struct outlog_writer *w, uint32_t number,
                                 const char *text)
{
    struct wlog *log = wlog_by_number(w, number);
    if (!log || !log->lease_asked)
        return;
    log->lease_asked = false;
    refuse(log, text);
}

static void roll(struct wlog *log)
{
    if (log->state != WLOG_OPEN || log->roll_sent)
        return;
    if (log->cur && log->cur->len)
        group_submit(log);
    if (log->n_tasks == 0 && log->in_flight == 0 && !log->refuse_sent &&
        list_empty(&log->lanes)) {
        wlog_close(log);
        return;
    }
    unlink_if(&log->idle);
    log->roll_sent = true;
    writer_send(log->w, &log->roll);
}

void outlog_writer_log_roll(struct outlog_writer *w, uint32_t number, uint64_t now_us)
{
    struct wlog *log = wlog_by_number(w, number);
    if (!log)
        return;
    w->now_us = now_us;
    LIST_FOR_EACH_SAFE(&log->lanes, node, next)
    roll(CONTAINER_OF(node, struct wlog, lane_node));
    roll(log);
}
