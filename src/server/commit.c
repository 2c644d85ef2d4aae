/*
 * Events on their way into the journal, and what waits for that.
 *
 * Reports of workers are applied at once and journaled in the same round; only their
 * acknowledgement waits until the record is in the file. Requests of clients that
 * change something are applied when their event is synced, so that a full disk refuses
 * them with nothing to undo. Requests of one round share a sync. A request on a job
 * that has a staged request waits for it.
 *
 * While the journal cannot be written, records of reports wait in the backlog. They are
 * tried again every second, and with each request, which goes behind them.
 */
#include "server/internal.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/xmem.h"
#include "server/feed.h"

#define ACK_MS 20
#define RETRY_MS 1000
/* Records are kept until they are synced, so that a failed sync loses none. */
#define SYNC_BYTES ((size_t)8 << 20)
/* No further tasks are assigned before so much can be written. */
#define BACKLOG_FULL_BYTES ((size_t)256 << 20)

struct staged {
    struct list_node node; /* server.staged, in order */
    uint64_t client_id;
    uint64_t seq; /* journal record */
    uint32_t job; /* 0: none */
    commit_apply_fn *apply;
    void *arg;
};

/* Messages that must not overtake the journal. */
struct held_messages {
    struct list_node node; /* server.held */
    uint32_t worker;
    uint64_t journal_seq; /* 0: of this round */
    struct buf messages;
};

uint64_t server_now_us(struct server *s)
{
    s->now_us = clock_real_us();
    return s->now_us;
}

static void put_aborted(struct server *s)
{
    struct aborted *a = &s->aborted;
    struct buf event = BUF_INIT(JOURNAL_RECORD_MAX);
    if (!a->job)
        return;
    buf_varint(&a->ranges, a->slot);
    buf_varint(&a->ranges, a->count);
    event_begin(&event, EVENT_TASKS_ABORTED, a->time_us);
    buf_u32(&event, a->job);
    buf_append(&event, a->ranges.data, a->ranges.len);
    a->job = 0;
    buf_clear(&a->ranges);
    buf_bytes(&a->events, event.data, event.len);
    buf_release(&event);
}

void commit_aborted(struct server *s, uint32_t job, uint32_t slot, uint32_t count,
                    uint64_t time_us)
{
    struct aborted *a = &s->aborted;
    if (!s->journal && !feeds_wanted(s))
        return;
    if (a->job && (a->job != job || a->time_us != time_us))
        put_aborted(s);
    if (!a->job) {
        a->job = job;
        a->time_us = time_us;
    } else if (slot == a->slot + a->count) {
        a->count += count;
        return;
    } else {
        buf_varint(&a->ranges, a->slot);
        buf_varint(&a->ranges, a->count);
    }
    a->slot = slot;
    a->count = count;
}

static void live_aborted(struct server *s)
{
    struct cursor c = cursor_make(s->aborted.events.data, s->aborted.events.len);
    while (cursor_left(&c))
        feeds_event(s, cursor_bytes(&c));
    buf_clear(&s->aborted.events);
}

/* Events of one round travel as one record. */
static void append_round(struct server *s)
{
    struct buf *b = &s->round_events;
    put_aborted(s);
    buf_append(b, s->aborted.events.data, s->aborted.events.len);
    buf_clear(&s->aborted.events);
    if (b->len == 0)
        return;
    bool waits = s->journal_failed && !s->journal_retry;
    uint64_t seq = waits ? 0 : journal_append(s->journal, b->data, b->len);
    backlog_add(&s->backlog, seq, b->data, b->len);
    buf_clear(b);
    if (!waits && backlog_bytes(&s->backlog) > SYNC_BYTES)
        journal_want_sync(s->journal, seq);
}

static void retry(struct server *s)
{
    append_round(s);
    if (!s->journal_failed || s->journal_retry)
        return;
    if (backlog_bytes(&s->backlog) == 0) {
        s->journal_failed = false; /* nothing that waits */
        return;
    }
    backlog_append(&s->backlog, s->journal);
    s->journal_retry = journal_appended(s->journal);
    journal_want_sync(s->journal, s->journal_retry);
    atomic_store(&s->journal_awaited, true);
}

void commit_retry_due(void *arg)
{
    struct server *s = arg;
    retry(s);
    if (s->journal_failed)
        io_timer_start(s->retry_timer, RETRY_MS, 0);
}

bool commit_overdue(const struct server *s)
{
    return s->journal_failed && backlog_bytes(&s->backlog) > BACKLOG_FULL_BYTES;
}

void commit_event(struct server *s, struct buf *event)
{
    HQ_ASSERT(!event->failed); /* a part of an event must not become one */
    if (s->journal)
        buf_bytes(&s->round_events, event->data, event->len);
    else
        feeds_event(s, span_buf(event));
}

/*
 * Nothing waits for an acknowledgement but memory of the worker, and each wakes both
 * ends on CPUs that run tasks: one in ACK_MS is enough.
 */
void commit_ack(struct server *s, struct worker_link *link)
{
    if (!list_linked(&link->ack_node))
        list_push_back(&s->unacked, &link->ack_node);
    if (s->ack_timer && !io_timer_active(s->ack_timer))
        io_timer_start(s->ack_timer, ACK_MS, 0);
}

/* What is not in the journal yet has its turn the next time. */
static void send_acks(struct server *s, uint64_t written)
{
    LIST_FOR_EACH_SAFE(&s->unacked, node, next)
    {
        struct worker_link *link = CONTAINER_OF(node, struct worker_link, ack_node);
        if (s->journal_failed)
            break;
        if (link->ack_next <= link->ack_seq) {
            link->ack_next = link->end_seq;
            link->ack_record = s->journal ? journal_appended(s->journal) : 0;
        }
        if (link->ack_record > written)
            continue;
        if (link->ack_next > link->ack_seq) {
            struct msg_TASKS_ACK m = {.seq = link->ack_next};
            msg_put_TASKS_ACK(io_conn_batch(link->conn), &m);
        }
        link->ack_seq = link->ack_next;
        if (link->end_seq == link->ack_seq)
            list_remove(node);
    }
    if (!list_empty(&s->unacked) && s->ack_timer)
        io_timer_start(s->ack_timer, ACK_MS, 0);
}

void commit_acks_due(void *arg)
{
    struct server *s = arg;
    struct journal_progress p = {.written = UINT64_MAX};
    if (s->journal) {
        append_round(s);
        journal_progress(s->journal, &p);
    }
    send_acks(s, p.failed ? p.failed - 1 : p.written);
}

void commit_hold(struct server *s, uint32_t worker, const struct buf *messages)
{
    struct worker_link *link = worker_link_of(s, worker);
    if (!s->journal && link) {
        buf_append(io_conn_batch(link->conn), messages->data, messages->len);
        return;
    }
    struct held_messages *h = xcalloc(1, sizeof *h);
    atomic_store(&s->journal_awaited, true);
    h->worker = worker;
    buf_init(&h->messages, BUF_MAX_DEFAULT);
    buf_append(&h->messages, messages->data, messages->len);
    list_push_back(&s->held, &h->node);
}

/* Sends what waits for records up to `written`; on a failed journal everything goes:
 * a lost mark costs nothing while this server lives. */
static void release_held(struct server *s, uint64_t written)
{
    LIST_FOR_EACH_SAFE(&s->held, node, next)
    {
        struct held_messages *h = CONTAINER_OF(node, struct held_messages, node);
        if (h->journal_seq == 0 || h->journal_seq > written)
            return;
        struct worker_link *link = worker_link_of(s, h->worker);
        if (link)
            buf_append(io_conn_batch(link->conn), h->messages.data, h->messages.len);
        list_remove(&h->node);
        buf_release(&h->messages);
        free(h);
    }
}

/* The request is decided; the client may go on with its next one. */
static void settle(struct server *s, struct staged *st, bool ok,
                   const struct error *err)
{
    struct job *job = st->job ? state_job(&s->state, st->job) : NULL;
    if (job && job->staged)
        job->staged--;
    struct client_link *client = client_find(s, st->client_id);
    st->apply(s, client, ok, err, st->arg);
    list_remove(&st->node);
    free(st);
    s->sched_dirty = true;
    if (client)
        client->busy = false;
    /* Anybody's request may have waited for this one. */
    LIST_FOR_EACH_SAFE(&s->clients, node, next)
    client_resume(CONTAINER_OF(node, struct client_link, node));
}

void commit_request(struct server *s, struct client_link *client, struct buf *event,
                    uint32_t job, commit_apply_fn *apply, void *arg)
{
    struct staged *st = xcalloc(1, sizeof *st);
    st->client_id = client ? client->id : 0;
    st->job = job;
    st->apply = apply;
    st->arg = arg;
    if (client)
        client->busy = true;
    HQ_ASSERT(!event || !event->failed);
    list_push_back(&s->staged, &st->node);
    struct job *j = job ? state_job(&s->state, job) : NULL;
    if (j)
        j->staged++;
    if (!s->journal) {
        if (event && event->len)
            feeds_event(s, span_buf(event));
        if (event)
            buf_release(event);
        settle(s, st, true, NULL);
        return;
    }
    atomic_store(&s->journal_awaited, true);
    /* After everything that was applied before it. */
    retry(s);
    st->seq = journal_appended(s->journal);
    if (event) {
        struct buf record = BUF_INIT(JOURNAL_RECORD_MAX + 64);
        buf_bytes(&record, event->data, event->len);
        buf_release(event);
        st->seq = journal_append(s->journal, record.data, record.len);
        buf_release(&record);
    }
    journal_want_sync(s->journal, st->seq);
}

bool commit_pending(const struct server *s)
{
    return s->staged.head.next != &s->staged.head;
}

void commit_round(struct server *s)
{
    if (!s->journal) {
        put_aborted(s);
        live_aborted(s);
        return;
    }
    append_round(s);
    /* Everything of this round is in records up to the last one appended. */
    uint64_t seq = journal_appended(s->journal);
    LIST_FOR_EACH(&s->held, node)
    {
        struct held_messages *h = CONTAINER_OF(node, struct held_messages, node);
        if (h->journal_seq == 0)
            h->journal_seq = seq;
    }
    commit_news(s);
}

/*
 * The journal could not be written. Staged requests from there on are refused; reports
 * that were applied stay in the backlog and with their workers, which keep them because
 * they are not acknowledged.
 */
static void on_failure(struct server *s, const struct journal_progress *p)
{
    if (!s->journal_told)
        log_error("%s; requests that change something are refused", p->error.text);
    s->journal_told = p->failed;
    s->journal_failed = true;
    s->journal_retry = 0;
    while (commit_pending(s)) {
        struct staged *st = CONTAINER_OF(list_first(&s->staged), struct staged, node);
        if (st->seq < p->failed && st->seq <= p->synced)
            settle(s, st, true, NULL);
        else
            settle(s, st, false, &p->error);
    }
    /* Their records come again under other numbers. */
    LIST_FOR_EACH(&s->unacked, node)
    {
        struct worker_link *link = CONTAINER_OF(node, struct worker_link, ack_node);
        link->ack_next = link->ack_seq;
    }
    journal_resume(s->journal);
    if (s->retry_timer && !io_timer_active(s->retry_timer))
        io_timer_start(s->retry_timer, RETRY_MS, 0);
}

static void on_success(struct server *s, uint64_t synced)
{
    if (s->journal_told && synced >= s->journal_told) {
        log_info("the journal can be written again");
        s->journal_told = 0;
    }
    if (s->journal_retry && synced >= s->journal_retry) {
        s->journal_failed = false;
        s->journal_retry = 0;
        s->sched_dirty = true;
    }
}

void commit_news(void *arg)
{
    struct server *s = arg;
    struct journal_progress p;
    if (!s->journal)
        return;
    journal_progress(s->journal, &p);
    backlog_drop(&s->backlog, p.synced);
    if (!p.failed)
        on_success(s, p.synced);
    while (commit_pending(s)) {
        struct staged *st = CONTAINER_OF(list_first(&s->staged), struct staged, node);
        if (st->seq > p.synced || (p.failed && st->seq >= p.failed))
            break;
        settle(s, st, true, NULL);
    }
    release_held(s, p.failed ? UINT64_MAX : p.written);
    if (p.failed) {
        send_acks(s, p.failed - 1);
        on_failure(s, &p);
    }
    if (p.prune_over)
        prune_over(s);
    feeds_journal(s, &p);
    atomic_store(&s->journal_awaited, commit_pending(s) || !list_empty(&s->held) ||
                                          s->journal_retry || !list_empty(&s->feeds) ||
                                          s->prune_client);
}

void commit_finish(struct server *s)
{
    commit_round(s);
    retry(s);
}

void commit_drop(struct server *s, const struct error *err)
{
    while (commit_pending(s))
        settle(s, CONTAINER_OF(list_first(&s->staged), struct staged, node), false,
               err);
    LIST_FOR_EACH_SAFE(&s->held, node, next)
    {
        struct held_messages *h = CONTAINER_OF(node, struct held_messages, node);
        list_remove(&h->node);
        buf_release(&h->messages);
        free(h);
    }
}
