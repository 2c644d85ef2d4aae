#include "journal/prune.h"

#include "model/event.h"

static bool kept(const struct u64map *ids, uint32_t last, uint32_t id)
{
    uint64_t unused;
    return id > last || u64map_get(ids, id, &unused);
}

static bool job_kept(const struct journal_keep *k, uint32_t id)
{
    return kept(&k->jobs, k->last_job, id);
}

/* ---- lists of tasks: the events without those of other jobs ---------------------- */

static void put_starts(const struct journal_keep *k, struct cursor *c, struct buf *out)
{
    struct buf scratch = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_start s;
    while (task_start_decode(&s, c, &scratch))
        if (job_kept(k, s.job))
            task_start_encode(&s, out);
    buf_release(&scratch);
}

static void put_ends(const struct journal_keep *k, struct cursor *c, struct buf *out)
{
    struct task_end_reader r;
    struct task_end_writer w;
    struct task_end e;
    uint32_t count;
    task_end_reader_init(&r, c);
    task_end_writer_init(&w, out);
    while (task_end_read(&r, &e, &count))
        if (job_kept(k, e.job))
            task_end_write_run(&w, &e, count);
    task_end_writer_finish(&w);
}

static void put_restarts(const struct journal_keep *k, struct cursor *c,
                         struct buf *out)
{
    struct task_restart r;
    while (task_restart_decode(&r, c))
        if (job_kept(k, r.job))
            task_restart_encode(&r, out);
}

static void put_sent(const struct journal_keep *k, struct cursor *c, struct buf *out)
{
    struct task_sent s;
    while (task_sent_decode(&s, c))
        if (job_kept(k, s.job))
            task_sent_encode(&s, out);
}

typedef void put_list_fn(const struct journal_keep *k, struct cursor *c,
                         struct buf *out);

/* `fixed`: bytes in front of the list, which are copied. */
static bool put_list(const struct journal_keep *k, struct span event,
                     const struct cursor *at, size_t fixed, put_list_fn *put,
                     struct buf *out)
{
    struct cursor c = *at;
    struct buf kept_part = BUF_INIT(JOURNAL_RECORD_MAX);
    (void)cursor_take(&c, fixed);
    size_t head = (size_t)(c.p - event.p);
    buf_append(&kept_part, event.p, head);
    if (!c.failed)
        put(k, &c, &kept_part);
    if (kept_part.len > head)
        buf_bytes(out, kept_part.data, kept_part.len);
    bool fine = !c.failed && !kept_part.failed;
    buf_release(&kept_part);
    return fine;
}

int prune_event(const struct journal_keep *keep, struct span event, struct buf *out,
                struct error *err)
{
    struct cursor c = cursor_make(event.p, event.n);
    struct event_head h;
    bool fine = event_read_head(&c, &h) == 0, whole = true;
    struct cursor id = c;
    if (!fine)
        return error_set(err, ERR_CORRUPT, "unknown event in the journal");
    switch ((enum event_type)h.type) {
    case EVENT_WORKER_CONNECTED:
    case EVENT_WORKER_LOST:
    case EVENT_WORKER_OVERVIEW:
        whole = kept(&keep->workers, keep->last_worker, cursor_u32(&id));
        fine = !id.failed;
        break;
    case EVENT_JOB_SUBMITTED:
    case EVENT_JOB_OPENED:
    case EVENT_JOB_CLOSED:
    case EVENT_JOB_CANCELED:
    case EVENT_JOB_FORGOTTEN:
    case EVENT_TASKS_CANCELED:
    case EVENT_TASKS_ABORTED:
        whole = job_kept(keep, cursor_u32(&id));
        fine = !id.failed;
        break;
    case EVENT_TASKS_STARTED:
        whole = false;
        fine = put_list(keep, event, &c, 4, put_starts, out);
        break;
    case EVENT_TASKS_ENDED:
        whole = false;
        fine = put_list(keep, event, &c, 4, put_ends, out);
        break;
    case EVENT_TASKS_RESTARTED:
        whole = false;
        fine = put_list(keep, event, &c, 0, put_restarts, out);
        break;
    case EVENT_TASKS_SENT:
        whole = false;
        fine = put_list(keep, event, &c, 0, put_sent, out);
        break;
    case EVENT_SERVER_START:
    case EVENT_SERVER_STOP:
    case EVENT_LOG_MARK:
    case EVENT_PLACEMENT:
    case EVENT_ALLOC_QUEUE_CREATED:
    case EVENT_ALLOC_QUEUE_REMOVED:
    case EVENT_ALLOC_QUEUE_STATE:
    case EVENT_ALLOC_QUEUED:
    case EVENT_ALLOC_STARTED:
    case EVENT_ALLOC_ENDED:
    case EVENT_ALLOC_TRIAL:
    case EVENT_TYPE_COUNT:
        break;
    }
    if (!fine)
        return error_set(err, ERR_CORRUPT, "malformed event in the journal");
    if (whole)
        buf_bytes(out, event.p, event.n);
    return out->failed ? error_nomem(err) : 0;
}
