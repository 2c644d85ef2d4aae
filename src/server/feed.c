#include "server/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/xmem.h"
#include "server/feed_reader.h"
#include "server/history.h"

#define PIECE_BYTES ((size_t)256 << 10)
/* A client that has not taken so much gets nothing more. */
#define BACKLOG_HIGH ((size_t)1 << 20)
#define NOTES_MAX ((size_t)16 << 20)
#define LIVE_MAX ((size_t)64 << 20)
#define LIVE_KEEP ((size_t)1 << 20) /* a larger buffer is given back when empty */

/* A file to read: that of the journal, and behind it the one that a pruning made. */
struct feed_part {
    int fd;
    uint64_t at, end; /* end: UINT64_MAX while the file grows */
};

/* A live message that is no state, and where in the events its place is. */
struct feed_note {
    struct list_node node;
    uint64_t seq;  /* the record behind which it comes */
    uint64_t part; /* then: the part, counted from 0, and the offset there */
    uint64_t at;
    bool placed;
    struct buf message;
};

struct feed {
    struct client_link *client;
    struct list_node node; /* server.feeds */
    bool live;             /* goes on behind the past */
    bool overviews;        /* workers are to report their load meanwhile */
    bool past_told;
    struct list notes;
    size_t notes_bytes;

    /* with a journal */
    VEC(struct feed_part) parts;
    uint64_t n_parts_done;
    uint64_t goal;             /* in the first part: where the past ends */
    struct feed_read *reading; /* on its way; NULL: none */

    /* without one */
    struct history history;
    bool history_told;
    uint64_t at; /* in the live events */
};

bool feeds_want_overviews(const struct server *s)
{
    LIST_FOR_EACH(&s->feeds, node)
    if (CONTAINER_OF(node, struct feed, node)->overviews)
        return true;
    return false;
}

static void feed_destroy(struct feed *f)
{
    struct server *s = f->client->server;
    bool overviews = f->overviews;
    f->client->feed = NULL;
    list_remove(&f->node);
    for (size_t i = 0; i < f->parts.len; i++) {
        if (i == 0 && f->reading) {
            f->reading->owner = NULL;
            f->reading->close_fd = true;
        } else {
            (void)close(f->parts.data[i].fd);
        }
    }
    LIST_FOR_EACH_SAFE(&f->notes, node, next)
    {
        struct feed_note *n = CONTAINER_OF(node, struct feed_note, node);
        list_remove(node);
        buf_release(&n->message);
        free(n);
    }
    vec_release(&f->parts);
    history_release(&f->history);
    free(f);
    if (overviews && !feeds_want_overviews(s))
        workers_ask_overviews(s);
    if (list_empty(&s->feeds)) {
        buf_release(&s->live);
        buf_init(&s->live, LIVE_MAX * 2);
    }
}

void feed_end(struct client_link *c)
{
    if (c->feed)
        feed_destroy(c->feed);
}

static void feed_fail(struct feed *f, int code, const char *text)
{
    struct error err = ERROR_INIT;
    struct client_link *c = f->client;
    (void)error_set(&err, code, "%s", text);
    log_warn("A reader of events at %s is dropped: %s", io_conn_peer(c->conn), text);
    feed_destroy(f);
    client_reply_error(c, &err);
}

static void put_ok(struct feed *f)
{
    struct msg_RSP_OK m;
    memset(&m, 0, sizeof m);
    msg_put_RSP_OK(io_conn_batch(f->client->conn), &m);
}

/* The past is complete; false: that was all the client wanted. */
static bool past_told(struct feed *f)
{
    put_ok(f);
    f->past_told = true;
    if (f->live)
        return true;
    feed_destroy(f);
    return false;
}

/* ---- notes ----------------------------------------------------------------------- */

static bool note_due(const struct feed *f, const struct feed_note *n)
{
    if (!f->past_told || !n->placed)
        return false;
    return f->client->server->journal
               ? n->part < f->n_parts_done || n->at <= f->parts.data[0].at
               : n->at <= f->at;
}

static void send_notes(struct feed *f)
{
    LIST_FOR_EACH_SAFE(&f->notes, node, next)
    {
        struct feed_note *n = CONTAINER_OF(node, struct feed_note, node);
        if (!note_due(f, n))
            return;
        buf_append(io_conn_batch(f->client->conn), n->message.data, n->message.len);
        f->notes_bytes -= n->message.len;
        list_remove(node);
        buf_release(&n->message);
        free(n);
    }
}

/* What was told before a record has its place behind it once that is written. */
static void place_notes(struct feed *f, const struct journal_progress *p)
{
    LIST_FOR_EACH(&f->notes, node)
    {
        struct feed_note *n = CONTAINER_OF(node, struct feed_note, node);
        if (n->placed || n->seq > p->written)
            continue;
        n->placed = true;
        n->part = f->n_parts_done + f->parts.len - 1;
        n->at = p->end;
    }
}

/* The record behind which a note of now belongs: that of this round, if there is one.
 */
static uint64_t note_seq(const struct server *s)
{
    bool more = s->round_events.len > 0 || s->aborted.events.len > 0;
    return journal_appended(s->journal) + more;
}

void feeds_notify(struct server *s, const struct msg_RSP_NOTIFY *m)
{
    LIST_FOR_EACH_SAFE(&s->feeds, node, next)
    {
        struct feed *f = CONTAINER_OF(node, struct feed, node);
        if (!f->live)
            continue;
        struct feed_note *n = xcalloc(1, sizeof *n);
        buf_init(&n->message, BUF_MAX_DEFAULT);
        msg_put_RSP_NOTIFY(&n->message, m);
        n->seq = s->journal ? note_seq(s) : 0;
        n->placed = !s->journal;
        n->at = s->live_base + s->live.len;
        list_push_back(&f->notes, &n->node);
        f->notes_bytes += n->message.len;
        if (f->notes_bytes > NOTES_MAX)
            feed_fail(f, ERR_TOO_BIG,
                      "this reader is too slow: messages of tasks would be lost");
    }
    /* No news of the journal may come for long. */
    struct journal_progress p = {.failed = 1};
    if (s->journal && !list_empty(&s->feeds))
        journal_progress(s->journal, &p);
    if (!p.failed && !p.prune_over)
        feeds_journal(s, &p);
}

void feeds_passing(struct server *s, struct span event)
{
    struct buf events = BUF_INIT(BUF_MAX_DEFAULT);
    buf_bytes(&events, event.p, event.n);
    struct msg_RSP_EVENTS m = {.events = span_buf(&events)};
    LIST_FOR_EACH(&s->feeds, node)
    {
        struct feed *f = CONTAINER_OF(node, struct feed, node);
        struct io_conn *conn = f->client->conn;
        if (f->live && f->past_told && io_conn_backlog(conn) < BACKLOG_HIGH)
            msg_put_RSP_EVENTS(io_conn_batch(conn), &m);
    }
    buf_release(&events);
}

/* ---- with a journal -------------------------------------------------------------- */

static void read_piece(struct feed *f, const struct feed_part *part, uint64_t limit)
{
    struct feed_read *r = xcalloc(1, sizeof *r);
    r->owner = f;
    r->fd = part->fd;
    r->offset = part->at;
    r->n = (size_t)MIN(limit - part->at, (uint64_t)PIECE_BYTES);
    f->reading = r;
    feed_reader_add(f->client->server->feed_reader, r);
}

/* Asks for the next bytes, unless there are none or the client has enough. */
static void pump_journal(struct feed *f)
{
    struct server *s = f->client->server;
    while (!f->reading) {
        struct feed_part *part = &f->parts.data[0];
        bool grows = part->end == UINT64_MAX;
        uint64_t limit = grows ? s->journal_end : part->end;
        if (part->at > limit) {
            feed_fail(f, ERR_SYSTEM,
                      "the journal could not be written and was taken back: events "
                      "that were shown will come again; start anew");
            return;
        }
        if (!f->past_told && part->at == f->goal && !past_told(f))
            return;
        send_notes(f);
        if (!grows && part->at == part->end) {
            (void)close(part->fd);
            f->parts.len--;
            memmove(part, part + 1, f->parts.len * sizeof *part);
            f->n_parts_done++;
            continue;
        }
        if (!f->past_told)
            limit = MIN(limit, f->goal);
        if (part->at == limit || io_conn_backlog(f->client->conn) >= BACKLOG_HIGH)
            return;
        read_piece(f, part, limit);
    }
}

static void take_piece(struct feed *f, const struct feed_read *r)
{
    struct msg_RSP_JOURNAL_BYTES m = {.offset = r->offset, .bytes = {r->data, r->got}};
    struct error err = ERROR_INIT;
    f->reading = NULL;
    if (r->sys || r->got == 0) {
        (void)error_errno(&err, r->sys ? r->sys : EIO, "cannot read the journal");
        feed_fail(f, ERR_SYSTEM, err.text);
        return;
    }
    msg_put_RSP_JOURNAL_BYTES(io_conn_batch(f->client->conn), &m);
    f->parts.data[0].at += r->got;
    pump_journal(f);
}

void feeds_news(void *arg)
{
    struct server *s = arg;
    struct feed_read *r;
    while ((r = feed_reader_next(s->feed_reader)) != NULL) {
        if (r->owner && !s->stopping)
            take_piece(r->owner, r);
        feed_read_destroy(r);
    }
}

void feeds_journal(struct server *s, const struct journal_progress *p)
{
    s->journal_end = p->end;
    if (s->stopping)
        return;
    LIST_FOR_EACH_SAFE(&s->feeds, node, next)
    {
        struct feed *f = CONTAINER_OF(node, struct feed, node);
        place_notes(f, p);
        pump_journal(f);
    }
}

/* Readers go on to the end of the old file, then in the new one. */
void feeds_pruned(struct server *s, const struct journal_pruned *p)
{
    LIST_FOR_EACH_SAFE(&s->feeds, node, next)
    {
        struct feed *f = CONTAINER_OF(node, struct feed, node);
        struct feed_part part = {.at = p->new_end, .end = UINT64_MAX};
        struct error err = ERROR_INIT;
        if (journal_dup(s->journal, &part.fd, &err) != 0) {
            feed_fail(f, err.code, err.text);
            continue;
        }
        vec_last(&f->parts).end = p->old_end;
        if (!vec_push(&f->parts, part))
            abort();
    }
}

/* By the thread that reads. */
static void on_read(void *arg)
{
    struct server *s = arg;
    io_wakeup_send(s->feed_news);
}

static int begin_journal(struct feed *f, struct server *s, struct error *err)
{
    struct journal_progress p;
    struct feed_part part = {.end = UINT64_MAX};
    int rc = 0;
    if (!s->feed_reader) {
        s->feed_news = io_wakeup_create(s->loop, feeds_news, s);
        rc = feed_reader_create(&s->feed_reader, on_read, s, err);
    }
    journal_progress(s->journal, &p);
    if (p.prune_over)
        prune_over(s); /* the offset is one of the new file already */
    if (rc == 0)
        rc = journal_dup(s->journal, &part.fd, err);
    if (rc != 0)
        return rc;
    s->journal_end = f->goal = p.end;
    if (!vec_push(&f->parts, part))
        abort();
    return 0;
}

/* ---- without --------------------------------------------------------------------- */

bool feeds_wanted(const struct server *s)
{
    return !s->journal && s->feeds.head.next != &s->feeds.head;
}

static void send_events(struct feed *f, struct span events)
{
    struct msg_RSP_EVENTS m = {.events = events};
    msg_put_RSP_EVENTS(io_conn_batch(f->client->conn), &m);
}

/* Whole events from the reader's place on, up to about a piece. */
static struct span next_live(const struct server *s, uint64_t at)
{
    size_t from = (size_t)(at - s->live_base);
    struct cursor c = cursor_make(s->live.data + from, s->live.len - from);
    const uint8_t *begin = c.p;
    while (cursor_left(&c) && (size_t)(c.p - begin) < PIECE_BYTES)
        (void)cursor_bytes(&c);
    return (struct span){begin, (size_t)(c.p - begin)};
}

static void pump_memory(struct feed *f)
{
    struct server *s = f->client->server;
    struct buf events = BUF_INIT(BUF_MAX_DEFAULT);
    if (io_conn_backlog(f->client->conn) >= BACKLOG_HIGH)
        return;
    if (!f->history_told) {
        f->history_told = !history_step(&f->history, s, &events);
        send_events(f, span_buf(&events));
        buf_release(&events);
        if (!f->history_told) {
            io_loop_again(s->loop);
            return;
        }
    }
    if (!f->past_told && !past_told(f))
        return;
    while (f->at < s->live_base + s->live.len &&
           io_conn_backlog(f->client->conn) < BACKLOG_HIGH) {
        struct span some = next_live(s, f->at);
        send_events(f, some);
        f->at += some.n;
    }
    send_notes(f);
}

/* Forgets what all readers have, and those who are too far behind. */
static void trim_live(struct server *s)
{
    uint64_t end = s->live_base + s->live.len, first = end;
    LIST_FOR_EACH_SAFE(&s->feeds, node, next)
    {
        struct feed *f = CONTAINER_OF(node, struct feed, node);
        if (end - f->at > LIVE_MAX)
            feed_fail(f, ERR_TOO_BIG,
                      "this reader is too slow: without a journal events are not kept "
                      "for it");
        else
            first = MIN(first, f->at);
    }
    size_t done = (size_t)(first - s->live_base);
    if (done == s->live.len && s->live.cap > LIVE_KEEP) {
        buf_release(&s->live);
        buf_init(&s->live, LIVE_MAX * 2);
    } else if (done >= s->live.len - done) {
        buf_consume(&s->live, done);
    } else {
        return;
    }
    s->live_base = first;
}

void feeds_event(struct server *s, struct span event)
{
    if (!feeds_wanted(s))
        return;
    buf_bytes(&s->live, event.p, event.n);
    if (s->live.failed) { /* one event alone is larger than all that may wait */
        LIST_FOR_EACH_SAFE(&s->feeds, node, next)
        feed_fail(CONTAINER_OF(node, struct feed, node), ERR_TOO_BIG,
                  "an event is too large for readers of a server without a journal");
    }
}

void feeds_before_submit(struct server *s, uint32_t id)
{
    const struct job *job = feeds_wanted(s) ? state_job(&s->state, id) : NULL;
    LIST_FOR_EACH(&s->feeds, node)
    {
        struct feed *f = CONTAINER_OF(node, struct feed, node);
        if (job && !f->history_told)
            history_before_submit(&f->history, job);
    }
}

void feeds_round(struct server *s)
{
    if (!feeds_wanted(s) || s->stopping)
        return;
    LIST_FOR_EACH_SAFE(&s->feeds, node, next)
    pump_memory(CONTAINER_OF(node, struct feed, node));
    trim_live(s);
}

/* ---- requests -------------------------------------------------------------------- */

/* What a request asked for, until the journal is ready for it. */
struct feed_wish {
    bool live, overviews;
};

static void begin(struct server *s, struct client_link *c, bool ok,
                  const struct error *err, void *arg)
{
    struct feed_wish wish = *(struct feed_wish *)arg;
    bool first = !feeds_want_overviews(s);
    struct error why = ERROR_INIT;
    int rc = 0;
    free(arg);
    if (!c)
        return;
    if (!ok) {
        client_reply_error(c, err);
        return;
    }
    struct feed *f = xcalloc(1, sizeof *f);
    f->client = c;
    f->live = wish.live;
    f->overviews = wish.overviews;
    list_init(&f->notes);
    c->feed = f;
    list_push_back(&s->feeds, &f->node);
    if (f->overviews && first)
        workers_ask_overviews(s);
    struct msg_RSP_JOURNAL_BEGIN m = {.from_memory = !s->journal};
    msg_put_RSP_JOURNAL_BEGIN(io_conn_batch(c->conn), &m);
    if (s->journal) {
        rc = begin_journal(f, s, &why);
    } else {
        history_begin(&f->history, s);
        f->at = s->live_base + s->live.len;
    }
    if (rc != 0)
        feed_fail(f, rc, why.text);
    else if (s->journal)
        pump_journal(f);
    /* The history begins with the end of this round. */
}

void feed_request(struct client_link *c, bool live, bool overviews)
{
    struct feed_wish wish = {live, overviews};
    feed_end(c);
    commit_request(c->server, c, NULL, 0, begin, xmemdup(&wish, sizeof wish));
}

void feed_drained(struct client_link *c)
{
    if (!c->feed || c->server->stopping)
        return;
    if (c->server->journal)
        pump_journal(c->feed);
    else
        io_loop_again(c->server->loop);
}

void feeds_init(struct server *s)
{
    list_init(&s->feeds);
    buf_init(&s->live, LIVE_MAX * 2);
}

void feeds_release(struct server *s)
{
    feed_reader_destroy(s->feed_reader);
    s->feed_reader = NULL;
    io_wakeup_destroy(s->feed_news);
    buf_release(&s->live);
}
