#include "client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS_DEFAULT 15000
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_PERIOD_S 15
#define KEEPALIVE_PROBES 8
#define READ_CHUNK (64u * 1024u)
#define BATCH_MAX ((size_t)1 << 30)

struct client {
    int fd;
    struct channel *channel;
    int timeout_ms; /* that an answer may take; -1: for ever */
    struct buf batch;
    struct buf out;
    uint8_t chunk[READ_CHUNK];
};

static int wait_fd(int fd, short events, int timeout_ms, struct error *err)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return 0;
    return n < 0 ? error_sys(err, "cannot wait for the server")
                 : error_set(err, ERR_TIMEOUT, "the server did not answer in time");
}

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

/* Whoever waits for days for jobs sends nothing, and would wait for ever when the
 * server's machine is gone, or when something between forgets the connection. */
static void set_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_PERIOD_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

static int connect_address(const struct addrinfo *a, int timeout_ms, int *out,
                           struct error *err)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_sys(err, "cannot create a socket");
    int rc = 0, failed = 0;
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        failed = errno;
        if (failed == EINPROGRESS) {
            socklen_t len = sizeof failed;
            rc = wait_fd(fd, POLLOUT, timeout_ms, err);
            if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0)
                failed = errno;
        }
    }
    if (rc == 0 && failed)
        rc = error_errno(err, failed, "%s", "");
    if (rc != 0) {
        close(fd);
        return rc;
    }
    set_options(fd);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    *out = fd;
    return 0;
}

static int connect_host(const char *host, uint16_t port, int timeout_ms, int *out,
                        struct error *err)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int g = getaddrinfo(host, service, &hints, &list);
    if (g != 0)
        return error_set(err, ERR_NOT_FOUND, "failed to lookup address information: %s",
                         gai_strerror(g));
    int rc = ERR_NOT_FOUND;
    for (const struct addrinfo *a = list; a && rc != 0; a = a->ai_next)
        rc = connect_address(a, timeout_ms, out, err);
    freeaddrinfo(list);
    return rc;
}

static int send_out(struct client *c, struct error *err)
{
    const uint8_t *p = c->out.data;
    size_t left = c->out.len;
    if (c->out.failed)
        return error_nomem(err);
    while (left > 0) {
        int rc = c->timeout_ms < 0 ? 0 : wait_fd(c->fd, POLLOUT, c->timeout_ms, err);
        if (rc)
            return rc;
        int flags = c->timeout_ms < 0 ? 0 : MSG_DONTWAIT;
        ssize_t n = send(c->fd, p, left, MSG_NOSIGNAL | flags);
        if (n < 0 && (errno == EINTR || (flags && errno == EAGAIN)))
            continue;
        if (n < 0)
            return error_set(err, ERR_CLOSED, "Connection closed: %s", strerror(errno));
        p += n;
        left -= (size_t)n;
    }
    buf_clear(&c->out);
    return 0;
}

/* `flags` of recv(2). 1: with MSG_DONTWAIT, there is nothing. */
static int receive_some(struct client *c, int flags, struct error *err)
{
    ssize_t n;
    int rc = c->timeout_ms < 0 ? 0 : wait_fd(c->fd, POLLIN, c->timeout_ms, err);
    if (rc)
        return rc;
    do
        n = recv(c->fd, c->chunk, sizeof c->chunk, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 1;
    if (n < 0)
        return error_set(err, ERR_CLOSED, "Connection closed: %s", strerror(errno));
    if (n == 0)
        return error_set(err, ERR_CLOSED, "Connection closed");
    return channel_input(c->channel, c->chunk, (size_t)n, &c->out, err);
}

static int handshake(struct client *c, int timeout_ms, struct error *err)
{
    channel_start(c->channel, &c->out);
    int rc = send_out(c, err);
    while (rc == 0 && !channel_established(c->channel)) {
        rc = wait_fd(c->fd, POLLIN, timeout_ms, err);
        if (rc == 0)
            rc = receive_some(c, 0, err);
    }
    return rc == 0 ? send_out(c, err) : rc;
}

static bool is_own_name(const char *host)
{
    char name[256];
    return gethostname(name, sizeof name) == 0 && strcmp(name, host) == 0;
}

int client_connect(const char *host, uint16_t port, const uint8_t *key,
                   uint32_t timeout_ms, struct client **out, struct error *err)
{
    int t = timeout_ms ? (int)timeout_ms : TIMEOUT_MS_DEFAULT, fd = -1;
    int rc = connect_host(host, port, t, &fd, err);
    if (rc != 0 && is_own_name(host) &&
        connect_host("localhost", port, t, &fd, NULL) == 0)
        rc = 0;
    if (rc != 0)
        return rc;
    struct client *c = calloc(1, sizeof *c);
    if (c)
        c->channel = channel_create(true, ROLE_CLIENT, key);
    if (!c || !c->channel) {
        free(c);
        close(fd);
        return error_nomem(err);
    }
    c->fd = fd;
    c->timeout_ms = -1;
    buf_init(&c->batch, BATCH_MAX);
    buf_init(&c->out, 2 * BATCH_MAX);
    rc = handshake(c, t, err);
    if (rc != 0) {
        client_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

void client_set_timeout(struct client *c, uint32_t timeout_ms)
{
    c->timeout_ms = timeout_ms ? (int)MIN(timeout_ms, (uint32_t)INT_MAX) : -1;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    close(c->fd);
    channel_destroy(c->channel);
    buf_release(&c->batch);
    buf_release(&c->out);
    free(c);
}

struct buf *client_batch(struct client *c)
{
    return &c->batch;
}

int client_send(struct client *c, struct error *err)
{
    if (c->batch.failed)
        return error_nomem(err);
    channel_seal(c->channel, c->batch.data, c->batch.len, &c->out);
    buf_clear(&c->batch);
    return send_out(c, err);
}

/* 0: there are bytes to read; 1: `watched` has no reader. */
static int wait_watching(const struct client *c, int watched, struct error *err)
{
    struct pollfd p[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = watched}};
    int n;
    do
        n = poll(p, 2, -1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_sys(err, "cannot wait for the server");
    return p[0].revents ? 0 : 1;
}

/* watched -1: nothing. */
static int receive(struct client *c, int watched, uint8_t *type, struct span *body,
                   struct error *err)
{
    int rc;
    while ((rc = channel_message(c->channel, type, body)) == ERR_TIMEOUT) {
        channel_rewind(c->channel);
        rc = watched >= 0 ? wait_watching(c, watched, err) : 0;
        if (rc == 0)
            rc = receive_some(c, 0, err);
        if (rc != 0)
            return rc;
    }
    return rc == 0 ? 0 : error_set(err, rc, "malformed message from the server");
}

int client_receive(struct client *c, uint8_t *type, struct span *body,
                   struct error *err)
{
    return receive(c, -1, type, body, err);
}

int client_receive_ready(struct client *c, uint8_t *type, struct span *body,
                         struct error *err)
{
    int rc;
    while ((rc = channel_message(c->channel, type, body)) == ERR_TIMEOUT) {
        channel_rewind(c->channel);
        rc = receive_some(c, MSG_DONTWAIT, err);
        if (rc != 0)
            return rc;
    }
    return rc == 0 ? 0 : error_set(err, rc, "malformed message from the server");
}

int client_receive_watching(struct client *c, int watched, uint8_t *type,
                            struct span *body, struct error *err)
{
    return receive(c, watched, type, body, err);
}

int client_unwanted(uint8_t type, struct span body, struct error *err)
{
    struct msg_RSP_ERROR m;
    if (type != MSG_RSP_ERROR)
        return error_set(err, ERR_CORRUPT, "unexpected answer %s from the server",
                         msg_name(type));
    int rc = msg_get_RSP_ERROR(body, &m, err);
    if (rc != 0)
        return rc;
    return error_set(err, m.code < 0 ? (int)m.code : ERR_INVALID, "%.*s",
                     (int)m.message.n, (const char *)m.message.p);
}

int client_next(struct client *c, uint8_t wanted, struct span *body, struct error *err)
{
    uint8_t type;
    int rc = client_receive(c, &type, body, err);
    if (rc != 0)
        return rc;
    if (type == wanted)
        return 0;
    if (type == MSG_RSP_OK)
        return 1;
    return client_unwanted(type, *body, err);
}

int client_call(struct client *c, uint8_t wanted, struct span *body, struct error *err)
{
    int rc = client_send(c, err);
    if (rc == 0)
        rc = client_next(c, wanted, body, err);
    if (rc != 1 || wanted == MSG_RSP_OK)
        return rc;
    return error_set(err, ERR_CORRUPT, "unexpected answer RSP_OK from the server");
}

int client_fd(const struct client *c)
{
    return c->fd;
}
