/* Streamed tasks: their logs, and what the writer tells of them. */
#include "worker/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/xmem.h"

static bool streamed(const struct task_body *b, const struct stdio_spec *s)
{
    return stdio_effective(b, s) == STDIO_STREAM;
}

static void set_message(struct task *t, const char *text)
{
    free(t->message);
    t->message = xstrdup(text);
}

static char *text_path(const struct task *t)
{
    const char *path = t->group->body->body.text_view;
    struct path_context ctx = {
        .job = t->job, .task = true, .task_id = t->task_id, .instance = t->instance};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    if (!path)
        return NULL;
    placeholders_expand(path, &ctx, NULL, false, &b);
    return buf_steal(&b);
}

int streams_begin(struct worker *w, struct task *t)
{
    const struct task_body *b = &t->group->body->body;
    unsigned channels =
        (streamed(b, &b->out) ? 1u : 0) | (streamed(b, &b->err) ? 2u : 0);
    if (channels == 0)
        return OUTLOG_READY;
    struct error err = ERROR_INIT;
    char *path = b->stream_kind == STREAM_DIR
                     ? outlog_stream_path(b->stream, w->server_uid)
                     : xstrdup(b->stream);
    char *text = text_path(t);
    struct outlog_task_params p = {.path = path,
                                   .text = text,
                                   .replace = b->log_replace,
                                   .job = t->job,
                                   .task = t->task_id,
                                   .instance = t->instance,
                                   .channels = (uint8_t)channels,
                                   .max_output = b->max_output,
                                   .keep_tail = b->keep_tail,
                                   .user = t};
    int rc = path ? outlog_task_begin(w->writer, &p, clock_mono_us(), &t->stream, &err)
                  : error_nomem(&err);
    if (rc < 0)
        set_message(t, err.text);
    else
        output_limits_begin(w, t);
    free(text);
    free(path);
    return rc;
}

/* ---- events of the writer
 * ------------------------------------------------------------ */

static void on_ready(void *arg, void *user, const struct error *err)
{
    struct worker *w = arg;
    struct task *t = user;
    if (t->kill_sent || !task_may_start(w)) {
        if (!err)
            outlog_task_drop(t->stream);
        t->stream = NULL;
        t->discard |= !t->canceled;
        task_fail_before_start(w, t, false, xstrdup(""));
        return;
    }
    if (err) {
        t->stream = NULL;
        task_fail_before_start(w, t, true, xstrdup(err->text));
        return;
    }
    task_launch(w, t);
}

static void on_broken(void *arg, void *user, const struct error *err)
{
    struct worker *w = arg;
    struct task *t = user;
    set_message(t, err->text);
    t->broken = true;
    task_kill(w, t, LAUNCH_KILL_GRACEFUL);
}

static void on_done(void *arg, void *user, const struct error *err)
{
    struct worker *w = arg;
    struct task *t = user;
    t->stream = NULL;
    if (err && !t->message && !t->timed_out) {
        set_message(t, err->text);
        t->end.failure = FAILURE_MESSAGE;
    }
    task_complete(w, t);
}

static void on_resume(void *arg)
{
    pipes_resume(arg);
}

static void on_returned(void *arg, void *user, enum outlog_channel channel,
                        uint64_t bytes)
{
    pipes_returned(arg, user, channel, bytes);
}

static void need_log(void *arg, uint32_t log, const char *path, bool replace,
                     const struct outlog_probe *found)
{
    struct worker *w = arg;
    struct buf probe = BUF_INIT(BUF_MAX_DEFAULT);
    if (!w->registered)
        return; /* asked again after the reconnect */
    lease_probe_encode(found, &probe);
    struct msg_LOG_OPEN m = {.log = log,
                             .path = span_str(path),
                             .replace = replace,
                             .found = span_buf(&probe)};
    msg_put_LOG_OPEN(io_conn_batch(w->conn), &m);
    buf_release(&probe);
}

static struct span span_uid(const struct outlog_uid *uid)
{
    return (struct span){uid->b, sizeof uid->b};
}

static void need_lease(void *arg, uint32_t log, const struct outlog_uid *uid)
{
    struct worker *w = arg;
    struct msg_LOG_LEASE m = {.log = log, .uid = span_uid(uid)};
    if (w->registered)
        msg_put_LOG_LEASE(io_conn_batch(w->conn), &m);
}

static void lease_ended(void *arg, uint32_t log, const struct outlog_uid *uid,
                        uint64_t lease, uint64_t data_end, uint64_t n_blocks)
{
    struct worker *w = arg;
    struct msg_LOG_LEASE_END m = {.log = log,
                                  .uid = span_uid(uid),
                                  .lease = lease,
                                  .data_end = data_end,
                                  .blocks = n_blocks};
    if (w->registered)
        msg_put_LOG_LEASE_END(io_conn_batch(w->conn), &m);
}

static void log_closed(void *arg, uint32_t log, const struct outlog_uid *uid)
{
    struct worker *w = arg;
    struct msg_LOG_CLOSED m = {.log = log, .uid = span_uid(uid)};
    if (w->registered)
        msg_put_LOG_CLOSED(io_conn_batch(w->conn), &m);
}

static void on_drained(void *arg)
{
    struct worker *w = arg;
    w->mode = MODE_GONE;
    worker_check_leave(w);
}

static const struct outlog_writer_events writer_events = {
    .on_ready = on_ready,
    .on_broken = on_broken,
    .on_done = on_done,
    .on_resume = on_resume,
    .on_returned = on_returned,
    .need_log = need_log,
    .need_lease = need_lease,
    .lease_ended = lease_ended,
    .log_closed = log_closed,
    .on_drained = on_drained,
};

/* ---- answers of the server
 * ------------------------------------------------------------ */

static void log_opened(struct worker *w, const struct msg_LOG_OPENED *m)
{
    struct outlog_ident ident;
    struct cursor c = cursor_make(m->ident.p, m->ident.n);
    struct outlog_lease first = {m->lease, m->offset, m->length};
    char text[512];
    if (m->error.n || !lease_ident_decode(&ident, &c)) {
        snprintf(text, sizeof text, "%.*s", m->error.n ? (int)m->error.n : 16,
                 m->error.n ? (const char *)m->error.p : "malformed answer");
        outlog_writer_log_refused(w->writer, m->log, text);
        return;
    }
    outlog_writer_log_opened(w->writer, m->log, &ident, m->replace,
                             m->length ? &first : NULL);
}

static void log_leased(struct worker *w, const struct msg_LOG_LEASED *m)
{
    struct outlog_lease lease = {m->lease, m->offset, m->length};
    char text[512];
    if (m->error.n) {
        snprintf(text, sizeof text, "%.*s", (int)m->error.n, (const char *)m->error.p);
        outlog_writer_lease_refused(w->writer, m->log, text);
        return;
    }
    outlog_writer_lease(w->writer, m->log, &lease);
}

void streams_message(struct worker *w, uint8_t type, struct span body)
{
    struct msg_LOG_OPENED opened;
    struct msg_LOG_LEASED leased;
    struct msg_LOG_ROLL roll;
    if (type == MSG_LOG_OPENED && msg_get_LOG_OPENED(body, &opened, NULL) == 0)
        log_opened(w, &opened);
    else if (type == MSG_LOG_LEASED && msg_get_LOG_LEASED(body, &leased, NULL) == 0)
        log_leased(w, &leased);
    else if (type == MSG_LOG_ROLL && msg_get_LOG_ROLL(body, &roll, NULL) == 0)
        outlog_writer_log_roll(w->writer, roll.log, clock_mono_us());
}

/* ---- the writer on the loop
 * ------------------------------------------------------------ */

static void on_writer(void *arg, int events)
{
    struct worker *w = arg;
    (void)events;
    outlog_writer_dispatch(w->writer, clock_mono_us());
}

static void on_writer_timer(void *arg)
{
    streams_flush(arg);
}

void streams_flush(struct worker *w)
{
    if (!w->writer)
        return;
    uint64_t now = clock_mono_us(), watch = pipes_watch_due(w, now);
    uint64_t next = MIN(outlog_writer_flush(w->writer, now), watch);
    if (next == UINT64_MAX)
        io_timer_stop(w->writer_timer);
    else
        io_timer_start(w->writer_timer, next > now ? (next - now + 999) / 1000 : 0, 0);
}

int streams_create(struct worker *w, struct error *err)
{
    struct outlog_writer_config c = {
        .io = w->setup->log_io,
        .io_ctx = w->setup->log_io_ctx,
        .events = &writer_events,
        .arg = w,
        .sync = w->setup->log_sync,
        .min_free = w->setup->log_min_free,
        .compress = true,
    };
    int rc = outlog_writer_create(&w->writer, &c, err);
    if (rc == 0)
        rc = outlog_writer_wait_started(w->writer, err);
    if (rc != 0)
        return rc;
    w->writer_timer = io_timer_create(w->loop, on_writer_timer, w);
    w->writer_poll = io_poll_create(w->loop, outlog_writer_fd(w->writer), on_writer, w);
    if (!w->writer_poll)
        return error_set(err, ERR_SYSTEM, "cannot watch the writer of shared logs");
    io_poll_set(w->writer_poll, IO_READ);
    return 0;
}

void streams_destroy(struct worker *w)
{
    io_timer_destroy(w->writer_timer);
    io_poll_destroy(w->writer_poll);
    if (w->writer)
        outlog_writer_destroy(w->writer);
    w->writer = NULL;
}
