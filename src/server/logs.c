/* Space in shared logs: who may write where (outlog/lease.h). */
#include "server/internal.h"

#include <stdlib.h>
#include "base/log.h"
#include "base/strmap.h"
#include "base/xmem.h"

#define PATH_BYTES_MAX 65536

struct server_log {
    struct list_node node; /* server.logs */
    struct lease_book book;
    char *path;
};

static struct server_log *log_add(struct server *s, const char *path)
{
    struct server_log *log = xcalloc(1, sizeof *log);
    log->path = xstrdup(path);
    list_push_back(&s->logs, &log->node);
    return log;
}

/* The book is filled in: from now on it is found. */
static void log_index(struct server *s, struct server_log *log)
{
    const struct outlog_uid *uid = &log->book.ident.uid;
    if (strmap_add(s->logs_by_path, log->path, strlen(log->path), log) == ERR_NOMEM ||
        strmap_add(s->logs_by_uid, (const char *)uid->b, sizeof uid->b, log) ==
            ERR_NOMEM)
        abort();
}

static void journal_mark(struct server *s, const struct server_log *log, uint64_t mark)
{
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT), ident = BUF_INIT(BUF_MAX_DEFAULT);
    lease_ident_encode(&log->book.ident, &ident);
    event_begin(&event, EVENT_LOG_MARK, s->now_us);
    buf_str(&event, log->path);
    buf_bytes(&event, ident.data, ident.len);
    buf_varint(&event, mark);
    commit_event(s, &event);
    buf_release(&ident);
    buf_release(&event);
}

int log_restore_mark(struct server *s, struct cursor *c)
{
    char *path = cursor_strdup(c, PATH_BYTES_MAX);
    struct span span = cursor_bytes(c);
    uint64_t mark = cursor_varint(c);
    struct cursor ic = cursor_make(span.p, span.n);
    struct outlog_ident ident;
    if (!path || c->failed || !lease_ident_decode(&ident, &ic)) {
        free(path);
        return ERR_CORRUPT;
    }
    struct server_log *log = strmap_get(s->logs_by_path, path, strlen(path));
    if (!log) {
        log = log_add(s, path);
        lease_book_restore(&log->book, &ident, mark);
        log_index(s, log);
    } else {
        lease_book_release(&log->book);
        lease_book_restore(&log->book, &ident, mark);
    }
    free(path);
    return 0;
}

/* Grants an extent into *m; sends `batch` at once or behind the journaled mark. */
static int grant(struct server *s, struct server_log *log, uint32_t worker,
                 struct outlog_lease *lease, bool *journal_first)
{
    uint64_t mark = 0;
    int rc = lease_book_grant(&log->book, worker, lease, journal_first, &mark);
    if (rc == 0 && *journal_first)
        journal_mark(s, log, mark);
    return rc;
}

static void send(struct worker_link *link, const struct buf *messages,
                 bool journal_first)
{
    if (journal_first)
        commit_hold(link->server, link->id, messages);
    else
        buf_append(io_conn_batch(link->conn), messages->data, messages->len);
}

void log_open(struct worker_link *link, const struct msg_LOG_OPEN *m)
{
    struct server *s = link->server;
    struct outlog_probe found = {0};
    struct cursor c = cursor_make(m->found.p, m->found.n);
    struct msg_LOG_OPENED answer = {.log = m->log};
    struct outlog_lease lease = {0};
    struct buf ident = BUF_INIT(BUF_MAX_DEFAULT), out = BUF_INIT(BUF_MAX_DEFAULT);
    bool journal_first = false;
    char *path = span_dup(m->path);
    if (!path)
        abort();
    if (m->path.n == 0 || m->path.n > PATH_BYTES_MAX ||
        !lease_probe_decode(&found, &c)) {
        answer.error = span_str("malformed request for a log");
    } else {
        struct server_log *log = strmap_get(s->logs_by_path, path, m->path.n);
        if (!log) {
            struct outlog_uid uid;
            channel_random(uid.b, sizeof uid.b);
            log = log_add(s, path);
            lease_book_create(&log->book, &found, uid, s->uid, s->now_us);
            log_index(s, log);
        }
        answer.replace = lease_book_open(&log->book, link->id, &found, m->replace);
        if (grant(s, log, link->id, &lease, &journal_first) != 0)
            answer.error = span_str("the server is out of memory");
        lease_ident_encode(&log->book.ident, &ident);
        answer.ident = span_buf(&ident);
        answer.lease = lease.id;
        answer.offset = lease.offset;
        answer.length = lease.length;
    }
    msg_put_LOG_OPENED(&out, &answer);
    send(link, &out, journal_first);
    buf_release(&out);
    buf_release(&ident);
    free(path);
}

static struct server_log *find(struct server *s, struct span uid)
{
    return uid.n == sizeof(struct outlog_uid)
               ? strmap_get(s->logs_by_uid, (const char *)uid.p, uid.n)
               : NULL;
}

void log_lease(struct worker_link *link, uint32_t number, struct span uid)
{
    struct server *s = link->server;
    struct server_log *log = find(s, uid);
    struct msg_LOG_LEASED answer = {.log = number};
    struct outlog_lease lease = {0};
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    bool journal_first = false;
    if (!log)
        answer.error = span_str("the server does not know this log");
    else if (grant(s, log, link->id, &lease, &journal_first) != 0)
        answer.error = span_str("the server is out of memory");
    answer.lease = lease.id;
    answer.offset = lease.offset;
    answer.length = lease.length;
    msg_put_LOG_LEASED(&out, &answer);
    send(link, &out, journal_first);
    buf_release(&out);
}

void log_lease_end(struct worker_link *link, struct span uid, uint64_t lease)
{
    struct server_log *log = find(link->server, uid);
    if (log)
        lease_book_end(&log->book, link->id, lease);
}

void log_worker_lost(struct server *s, uint32_t worker)
{
    LIST_FOR_EACH(&s->logs, node)
    lease_book_worker_lost(&CONTAINER_OF(node, struct server_log, node)->book, worker);
}

void logs_release(struct server *s)
{
    LIST_FOR_EACH_SAFE(&s->logs, node, next)
    {
        struct server_log *log = CONTAINER_OF(node, struct server_log, node);
        lease_book_release(&log->book);
        free(log->path);
        free(log);
    }
    strmap_destroy(s->logs_by_path);
    strmap_destroy(s->logs_by_uid);
}
