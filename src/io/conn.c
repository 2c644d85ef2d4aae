/* Connections: a TCP stream with a channel on it. */
#include "io/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/xmem.h"

#define HANDSHAKE_DEADLINE_MS 10000
#define PENDING_MAX 1024 /* connections that are not authenticated yet */
#define OUT_MAX ((size_t)2 << 30)

struct io_listener {
    uv_tcp_t uv;
    struct io_loop *loop;
    enum channel_role role;
    bool has_key;
    uint8_t key[CHANNEL_KEY_BYTES];
    uint16_t port;
    const struct io_conn_ops *ops;
    void *arg;
};

struct io_conn {
    uv_tcp_t uv;
    uv_timer_t deadline; /* of the handshake */
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    struct io_loop *loop;
    struct channel *channel;
    const struct io_conn_ops *ops;
    void *arg;
    struct list_node dirty;
    struct buf batch;  /* messages of this round */
    struct buf sealed; /* bytes for the kernel */
    uint16_t port;
    bool initiator, opened, closing, silent, finishing, resolving;
    int handles;        /* libuv handles that still have to close */
    size_t in_flight;   /* bytes given to uv_write */
    struct error error; /* why it closes */
    char peer[64];
    char host[256];
};

struct write_request {
    uv_write_t uv;
    struct io_conn *conn;
    struct buf data;
};

struct io_conn *io_conn_of_dirty(struct list_node *n)
{
    return CONTAINER_OF(n, struct io_conn, dirty);
}

/* ---- closing --------------------------------------------------------------------- */

static void release_conn(struct io_conn *c)
{
    channel_destroy(c->channel);
    buf_release(&c->batch);
    buf_release(&c->sealed);
    free(c);
}

static void maybe_gone(struct io_conn *c)
{
    if (c->handles > 0 || c->resolving)
        return;
    if (!c->silent && (c->opened || c->initiator))
        c->ops->on_close(c, &c->error);
    release_conn(c);
}

static void on_closed(uv_handle_t *h)
{
    struct io_conn *c = h->data;
    c->handles--;
    maybe_gone(c);
}

static void begin_close(struct io_conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    if (!c->opened && !c->initiator)
        c->loop->n_pending--;
    if (list_linked(&c->dirty))
        list_remove(&c->dirty);
    uv_close((uv_handle_t *)&c->deadline, on_closed);
    uv_close((uv_handle_t *)&c->uv, on_closed);
    if (c->resolving)
        uv_cancel((uv_req_t *)&c->resolve);
}

static void fail(struct io_conn *c, const struct error *err)
{
    if (c->closing)
        return;
    c->error = *err;
    if (!c->opened && !c->initiator)
        log_warn("Connection from %s refused: %s", c->peer, err->text);
    begin_close(c);
}

static void fail_text(struct io_conn *c, int code, const char *text)
{
    struct error err = ERROR_INIT;
    (void)error_set(&err, code, "%s", text);
    fail(c, &err);
}

void io_conn_destroy(struct io_conn *c)
{
    if (!c)
        return;
    c->silent = true;
    begin_close(c);
}

/* ---- writing --------------------------------------------------------------------- */

static void after_write(struct io_conn *c)
{
    if (c->closing || c->in_flight || c->sealed.len)
        return;
    if (c->finishing)
        begin_close(c);
    else if (c->opened && c->ops->on_drained)
        c->ops->on_drained(c);
}

static void on_written(uv_write_t *req, int status)
{
    struct write_request *w = CONTAINER_OF(req, struct write_request, uv);
    struct io_conn *c = w->conn;
    c->in_flight -= w->data.len;
    buf_release(&w->data);
    free(w);
    if (c->closing)
        return;
    if (status < 0)
        fail_text(c, ERR_CLOSED, "Connection closed");
    else
        after_write(c);
}

/* Hands the sealed bytes to the kernel, the rest to libuv. */
static void write_sealed(struct io_conn *c)
{
    if (c->sealed.len == 0)
        return;
    size_t done = 0;
    if (c->in_flight == 0) {
        uv_buf_t b = uv_buf_init((char *)c->sealed.data,
                                 (unsigned)MIN(c->sealed.len, INT32_MAX));
        int n = uv_try_write((uv_stream_t *)&c->uv, &b, 1);
        if (n > 0)
            done = (size_t)n;
        else if (n < 0 && n != UV_EAGAIN) {
            fail_text(c, ERR_CLOSED, "Connection closed");
            return;
        }
    }
    if (done == c->sealed.len) {
        buf_clear(&c->sealed);
        if (c->sealed.cap > 4u * 1024 * 1024) {
            buf_release(&c->sealed);
            buf_init(&c->sealed, OUT_MAX);
        }
        return;
    }
    struct write_request *w = xcalloc(1, sizeof *w);
    w->conn = c;
    buf_consume(&c->sealed, done);
    w->data = c->sealed;
    buf_init(&c->sealed, OUT_MAX);
    c->in_flight += w->data.len;
    uv_buf_t b =
        uv_buf_init((char *)w->data.data, (unsigned)MIN(w->data.len, UINT32_MAX));
    if (uv_write(&w->uv, (uv_stream_t *)&c->uv, &b, 1, on_written) != 0) {
        c->in_flight -= w->data.len;
        buf_release(&w->data);
        free(w);
        fail_text(c, ERR_CLOSED, "Connection closed");
    }
}

void io_conn_flush(struct io_conn *c)
{
    if (list_linked(&c->dirty))
        list_remove(&c->dirty);
    if (c->closing)
        return;
    if (c->opened && c->batch.len) {
        channel_seal(c->channel, c->batch.data, c->batch.len, &c->sealed);
        bool failed = c->batch.failed || c->sealed.failed;
        buf_clear(&c->batch);
        if (c->batch.cap > 4u * 1024 * 1024) {
            buf_release(&c->batch);
            buf_init(&c->batch, OUT_MAX);
        }
        if (failed) {
            fail_text(c, ERR_NOMEM, "out of memory for messages to the peer");
            return;
        }
    }
    if (c->finishing && c->opened)
        channel_finish(c->channel, &c->sealed);
    write_sealed(c);
    if (!c->closing)
        after_write(c);
}

static void mark_dirty(struct io_conn *c)
{
    if (!list_linked(&c->dirty) && !c->closing)
        list_push_back(&c->loop->dirty, &c->dirty);
}

struct buf *io_conn_batch(struct io_conn *c)
{
    mark_dirty(c);
    return &c->batch;
}

size_t io_conn_backlog(const struct io_conn *c)
{
    return c->in_flight + c->sealed.len + c->batch.len;
}

void io_conn_finish(struct io_conn *c)
{
    if (c->closing || c->finishing)
        return;
    c->finishing = true;
    mark_dirty(c);
}

/* ---- reading --------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
    struct io_conn *c = h->data;
    (void)suggested;
    *b = uv_buf_init((char *)c->loop->read_buffer, sizeof c->loop->read_buffer);
}

static void opened(struct io_conn *c)
{
    c->opened = true;
    uv_timer_stop(&c->deadline);
    if (!c->initiator)
        c->loop->n_pending--;
    c->ops->on_open(c, c->arg);
}

static void deliver(struct io_conn *c)
{
    uint8_t type;
    struct span body;
    int rc = 0;
    while (!c->closing && (rc = channel_message(c->channel, &type, &body)) == 0)
        c->ops->on_message(c, type, body);
    if (c->closing)
        return;
    channel_rewind(c->channel);
    if (rc != ERR_TIMEOUT)
        fail_text(c, rc, "malformed message from the peer");
    else if (channel_finished(c->channel))
        fail_text(c, ERR_CLOSED, "Connection closed");
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct io_conn *c = stream->data;
    if (c->closing || n == 0)
        return;
    if (n < 0) {
        fail_text(c, ERR_CLOSED, "Connection closed");
        return;
    }
    struct error err = ERROR_INIT;
    int rc = channel_input(c->channel, b->base, (size_t)n, &c->sealed, &err);
    if (rc != 0) {
        write_sealed(c); /* a refusal tells the peer why */
        fail(c, &err);
        return;
    }
    if (c->sealed.len)
        write_sealed(c);
    if (!c->closing && !c->opened && channel_established(c->channel))
        opened(c);
    if (!c->closing && c->opened)
        deliver(c);
}

void io_conn_pause(struct io_conn *c, bool pause)
{
    if (c->closing)
        return;
    if (pause)
        uv_read_stop((uv_stream_t *)&c->uv);
    else
        uv_read_start((uv_stream_t *)&c->uv, on_alloc, on_read);
}

/* ---- making ---------------------------------------------------------------------- */

static void on_deadline(uv_timer_t *t)
{
    fail_text(t->data, ERR_TIMEOUT, "the handshake took too long");
}

static struct io_conn *conn_create(struct io_loop *l, bool initiator,
                                   enum channel_role role, const uint8_t *key)
{
    struct io_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->channel = channel_create(initiator, role, key);
    if (!c->channel) {
        free(c);
        return NULL;
    }
    c->loop = l;
    c->initiator = initiator;
    buf_init(&c->batch, OUT_MAX);
    buf_init(&c->sealed, OUT_MAX);
    uv_tcp_init(&l->uv, &c->uv);
    uv_timer_init(&l->uv, &c->deadline);
    c->uv.data = c;
    c->deadline.data = c;
    c->handles = 2;
    snprintf(c->peer, sizeof c->peer, "unknown");
    return c;
}

static void remember_peer(struct io_conn *c)
{
    struct sockaddr_storage addr;
    int len = sizeof addr;
    char host[INET6_ADDRSTRLEN] = "";
    unsigned port = 0;
    if (uv_tcp_getpeername(&c->uv, (struct sockaddr *)&addr, &len) != 0)
        return;
    if (addr.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&addr;
        uv_ip4_name(in, host, sizeof host);
        port = ntohs(in->sin_port);
    } else if (addr.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&addr;
        uv_ip6_name(in, host, sizeof host);
        port = ntohs(in->sin6_port);
    }
    snprintf(c->peer, sizeof c->peer, "%s:%u", host, port);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct io_listener *l = stream->data;
    if (status < 0)
        return;
    struct io_conn *c =
        conn_create(l->loop, false, l->role, l->has_key ? l->key : NULL);
    if (!c)
        return; /* tried again with the next event */
    c->ops = l->ops;
    c->arg = l->arg;
    l->loop->n_pending++;
    if (uv_accept(stream, (uv_stream_t *)&c->uv) != 0) {
        begin_close(c);
        return;
    }
    remember_peer(c);
    if (l->loop->n_pending > PENDING_MAX) {
        fail_text(c, ERR_BUSY, "too many unfinished handshakes");
        return;
    }
    uv_tcp_nodelay(&c->uv, 1);
    uv_timer_start(&c->deadline, on_deadline, HANDSHAKE_DEADLINE_MS, 0);
    uv_read_start((uv_stream_t *)&c->uv, on_alloc, on_read);
}

static void free_listener(uv_handle_t *h)
{
    struct io_listener *l = h->data;
    memset(l->key, 0, sizeof l->key);
    free(l);
}

int io_listen(struct io_loop *loop, const struct io_listen_config *config,
              struct io_listener **out, struct error *err)
{
    struct io_listener *l = calloc(1, sizeof *l);
    if (!l)
        return error_nomem(err);
    l->loop = loop;
    l->role = config->role;
    l->has_key = config->key != NULL;
    if (config->key)
        memcpy(l->key, config->key, sizeof l->key);
    l->ops = config->ops;
    l->arg = config->arg;
    uv_tcp_init(&loop->uv, &l->uv);
    l->uv.data = l;
    struct sockaddr_in addr;
    uv_ip4_addr("0.0.0.0", config->port, &addr);
    int rc = uv_tcp_bind(&l->uv, (const struct sockaddr *)&addr, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&l->uv, 1024, on_connection);
    int len = sizeof addr;
    if (rc == 0)
        rc = uv_tcp_getsockname(&l->uv, (struct sockaddr *)&addr, &len);
    if (rc != 0) {
        uv_close((uv_handle_t *)&l->uv, free_listener);
        return error_errno(err, -rc, "%s", "");
    }
    l->port = ntohs(addr.sin_port);
    *out = l;
    return 0;
}

uint16_t io_listener_port(const struct io_listener *l)
{
    return l->port;
}

void io_listener_destroy(struct io_listener *l)
{
    if (l)
        uv_close((uv_handle_t *)&l->uv, free_listener);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct io_conn *c = req->data;
    if (c->closing)
        return;
    if (status < 0) {
        struct error err = ERROR_INIT;
        (void)error_errno(&err, -status, "cannot connect to %s:%u", c->host, c->port);
        fail(c, &err);
        return;
    }
    uv_tcp_nodelay(&c->uv, 1);
    uv_tcp_keepalive(&c->uv, 1, 60);
    remember_peer(c);
    channel_start(c->channel, &c->sealed);
    write_sealed(c);
    if (!c->closing)
        uv_read_start((uv_stream_t *)&c->uv, on_alloc, on_read);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
    struct io_conn *c = req->data;
    c->resolving = false;
    if (c->closing) {
        uv_freeaddrinfo(res);
        maybe_gone(c);
        return;
    }
    struct error err = ERROR_INIT;
    if (status != 0) {
        (void)error_set(&err, ERR_NOT_FOUND, "Cannot resolve server address \"%s\": %s",
                        c->host, uv_strerror(status));
        fail(c, &err);
        return;
    }
    c->connect.data = c;
    int rc = uv_tcp_connect(&c->connect, &c->uv, res->ai_addr, on_connected);
    uv_freeaddrinfo(res);
    if (rc != 0) {
        (void)error_errno(&err, -rc, "cannot connect to %s:%u", c->host, c->port);
        fail(c, &err);
    }
}

int io_connect(struct io_loop *l, const char *host, uint16_t port,
               enum channel_role role, const uint8_t *key,
               const struct io_conn_ops *ops, void *arg, struct io_conn **out,
               struct error *err)
{
    struct io_conn *c = conn_create(l, true, role, key);
    if (!c)
        return error_nomem(err);
    c->ops = ops;
    c->arg = arg;
    c->port = port;
    snprintf(c->host, sizeof c->host, "%s", host);
    snprintf(c->peer, sizeof c->peer, "%.50s:%u", host, port);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    c->resolve.data = c;
    c->resolving = true;
    uv_timer_start(&c->deadline, on_deadline, HANDSHAKE_DEADLINE_MS, 0);
    int rc = uv_getaddrinfo(&l->uv, &c->resolve, on_resolved, c->host, service, &hints);
    if (rc != 0) {
        c->resolving = false;
        io_conn_destroy(c);
        return error_set(err, ERR_SYSTEM, "cannot resolve \"%s\": %s", host,
                         uv_strerror(rc));
    }
    *out = c;
    return 0;
}

void io_conn_set_arg(struct io_conn *c, void *arg)
{
    c->arg = arg;
}

void *io_conn_arg(const struct io_conn *c)
{
    return c->arg;
}

const char *io_conn_peer(const struct io_conn *c)
{
    return c->peer;
}
