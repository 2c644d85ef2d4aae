/* A journal becomes state again. */
#include "server/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/xmem.h"

#define TEXT_MAX 65536

static int replay_submit(struct server *s, struct cursor *c, uint64_t time_us,
                         struct error *err)
{
    uint32_t job = cursor_u32(c);
    struct submit spec;
    int rc = submit_decode(&spec, c, err);
    if (rc != 0)
        return rc;
    (void)state_apply_submit(&s->state, job, &spec, time_us);
    submit_release(&spec);
    return 0;
}

static int replay_worker(struct server *s, struct cursor *c, uint64_t time_us)
{
    uint32_t id = cursor_u32(c);
    struct worker_config config;
    if (id == 0 || id > (1u << 30) || worker_config_decode(&config, c) != 0)
        return ERR_CORRUPT;
    state_apply_worker(&s->state, id, &config, time_us);
    s->next_worker = MAX(s->next_worker, id + 1);
    autoalloc_replay_worker(s, state_worker(&s->state, id));
    return 0;
}

static void replay_open(struct server *s, struct cursor *c, uint64_t time_us)
{
    uint32_t job = cursor_u32(c);
    char *name = cursor_strdup(c, TEXT_MAX);
    int64_t max_fails = cursor_zigzag(c);
    char *dir = cursor_strdup(c, TEXT_MAX);
    if (!c->failed && !state_job(&s->state, job))
        (void)state_apply_open(&s->state, job, name, max_fails, dir, time_us);
    free(name);
    free(dir);
}

static void replay_cancel(struct server *s, struct cursor *c, uint64_t time_us)
{
    uint32_t job = cursor_u32(c), cancelled, before;
    char *reason = c->p == c->end ? NULL : cursor_strdup(c, TEXT_MAX);
    if (!c->failed)
        state_apply_cancel(&s->state, job, reason, time_us, &cancelled, &before);
    free(reason);
}

static void replay_started(struct server *s, struct cursor *c)
{
    uint32_t worker = cursor_u32(c);
    struct buf scratch = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_start st;
    while (task_start_decode(&st, c, &scratch))
        (void)state_apply_start(&s->state, worker, &st);
    buf_release(&scratch);
}

static void replay_ended(struct server *s, struct cursor *c)
{
    uint32_t worker = cursor_u32(c), count;
    struct task_end_reader r;
    struct task_end e;
    task_end_reader_init(&r, c);
    while (task_end_read(&r, &e, &count))
        (void)state_apply_end(&s->state, worker, &e, count);
}

static void replay_sent(struct server *s, struct cursor *c)
{
    struct task_sent sent;
    while (task_sent_decode(&sent, c))
        state_apply_sent(&s->state, &sent);
}

static void replay_start_of_server(struct server *s, struct cursor *c)
{
    char *uid = cursor_strdup(c, sizeof s->uid - 1);
    if (uid)
        snprintf(s->uid, sizeof s->uid, "%s", uid);
    free(uid);
}

static int replay_event(void *arg, struct span event, struct error *err)
{
    struct server *s = arg;
    struct cursor c = cursor_make(event.p, event.n);
    struct event_head h;
    struct task_restart restart;
    int rc = event_read_head(&c, &h);
    if (rc != 0)
        return error_set(err, rc, "unknown event in the journal");
    switch ((enum event_type)h.type) {
    case EVENT_SERVER_START:
        replay_start_of_server(s, &c);
        break;
    case EVENT_SERVER_STOP:
        break;
    case EVENT_WORKER_CONNECTED:
        rc = replay_worker(s, &c, h.time_us);
        break;
    case EVENT_WORKER_LOST: {
        uint32_t id = cursor_u32(&c);
        uint8_t reason = cursor_u8(&c);
        if (reason > WORKER_RUNNING && reason < WORKER_END_COUNT)
            state_apply_worker_lost(&s->state, id, (enum worker_end)reason, h.time_us);
        break;
    }
    case EVENT_JOB_SUBMITTED:
        rc = replay_submit(s, &c, h.time_us, err);
        break;
    case EVENT_JOB_OPENED:
        replay_open(s, &c, h.time_us);
        break;
    case EVENT_JOB_CLOSED:
        state_apply_close(&s->state, cursor_u32(&c), h.time_us);
        break;
    case EVENT_JOB_CANCELED:
        replay_cancel(s, &c, h.time_us);
        break;
    case EVENT_JOB_FORGOTTEN:
        state_apply_forget(&s->state, cursor_u32(&c));
        break;
    case EVENT_TASKS_STARTED:
        replay_started(s, &c);
        break;
    case EVENT_TASKS_ENDED:
        replay_ended(s, &c);
        break;
    case EVENT_TASKS_RESTARTED:
        while (task_restart_decode(&restart, &c))
            (void)state_apply_restart(&s->state, &restart);
        break;
    case EVENT_TASKS_SENT:
        replay_sent(s, &c);
        break;
    case EVENT_LOG_MARK:
        rc = log_restore_mark(s, &c);
        break;
    case EVENT_PLACEMENT: {
        uint32_t number = cursor_u32(&c);
        (void)state_apply_placement(&s->state, number,
                                    cursor_take(&c, cursor_left(&c)));
        break;
    }
    case EVENT_ALLOC_QUEUE_CREATED:
    case EVENT_ALLOC_QUEUE_REMOVED:
    case EVENT_ALLOC_QUEUE_STATE:
    case EVENT_ALLOC_QUEUED:
    case EVENT_ALLOC_STARTED:
    case EVENT_ALLOC_ENDED:
    case EVENT_ALLOC_TRIAL:
        rc = autoalloc_replay(s, (enum event_type)h.type, &c, h.time_us);
        break;
    case EVENT_WORKER_OVERVIEW: /* of a worker that is not connected any more */
    case EVENT_TASKS_CANCELED:
    case EVENT_TASKS_ABORTED:
    case EVENT_TYPE_COUNT:
        break; /* what they tell follows from other events here */
    }
    if (rc == 0 && c.failed)
        rc = ERR_CORRUPT;
    if (rc != 0 && (!err->text[0] || rc == ERR_CORRUPT))
        return error_set(err, rc, "malformed event in the journal");
    return rc;
}

/* Tasks that ran when the server ended wait again; a rank that still runs one and comes
 * back before it was started anew keeps it (report_resumed). */
static void requeue_running(struct server *s, struct job *job, struct buf *event)
{
    for (uint32_t slot = job_next_recorded(job, 0); slot < job->n_slots;
         slot = job_next_recorded(job, slot + 1)) {
        const struct task_record *r = job_record(job, slot);
        if (r->state != TASK_RUNNING)
            continue;
        struct task_restart restart = {.job = job->id,
                                       .slot = slot,
                                       .instance = r->instance + 1,
                                       .crashes = r->crashes};
        if (state_apply_restart(&s->state, &restart))
            task_restart_encode(&restart, event);
    }
}

static void forget_surplus(struct server *s)
{
    uint32_t kept = 0;
    for (uint32_t id = s->state.last_job; id >= 1; id--) {
        const struct job *job = state_job(&s->state, id);
        if (job && job_completed(job) && ++kept > s->config->keep_completed)
            state_apply_forget(&s->state, id);
    }
}

static void after_replay(struct server *s)
{
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_TASKS_RESTARTED, s->now_us);
    size_t head = event.len;
    forget_surplus(s);
    for (uint32_t id = 1; id <= s->state.n_workers; id++) {
        const struct worker *w = state_worker(&s->state, id);
        if (w && w->end == WORKER_RUNNING &&
            w->config.on_server_lost == LOST_RECONNECT &&
            u64map_set(&s->expected, worker_token_key(&w->config), 1) != 0)
            abort();
    }
    for (uint32_t id = 1; id <= s->state.n_workers; id++)
        state_apply_worker_lost(&s->state, id, WORKER_CONNECTION_LOST, s->now_us);
    for (uint32_t id = 1; id <= s->state.last_job; id++) {
        struct job *job = state_job(&s->state, id);
        if (job)
            requeue_running(s, job, &event);
    }
    if (event.len > head)
        buf_bytes(&s->round_events, event.data, event.len);
    buf_release(&event);
    s->next_job = s->state.last_job + 1;
}

int restore_journal(struct server *s, uint64_t torn, struct error *err)
{
    struct journal_header header;
    int rc = journal_read(s->config->journal_path, &header, replay_event, NULL, s, NULL,
                          err);
    if (rc != 0)
        return rc;
    snprintf(s->uid, sizeof s->uid, "%.15s", header.server_uid);
    s->state_us = header.created_us;
    s->state.last_job = MAX(s->state.last_job, header.last_job);
    s->next_worker = MAX(s->next_worker, header.last_worker + 1);
    if (torn)
        log_warn(
            "Journal contains not fully written data; they will be removed from the "
            "log");
    after_replay(s);
    log_info("State restoration completed");
    return 0;
}
