/*
 * HQ_ACCESS_KEY=<socket>:<token>: a task tells the waiting clients something through a
 * local socket of its worker. One connection carries one request, "<token>\n" and then
 * u32 length and the message, answered by one byte: 0 taken, 1 refused.
 */
#include "worker/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/checksum.h"
#include "base/log.h"
#include "base/path.h"
#include "base/xmem.h"

#define MESSAGE_MAX 1024
#define REQUEST_MAX (64 + 4 + MESSAGE_MAX)

struct notify_conn {
    struct list_node node;
    struct worker *w;
    int fd;
    struct io_poll *poll;
    struct buf in;
};

/* The handle in clear, and a part that only this worker can make. */
static void put_token(const struct worker *w, uint64_t handle, struct buf *out)
{
    uint8_t bytes[40];
    memcpy(bytes, w->secret, 32);
    put_u64(bytes + 32, handle);
    uint64_t mac = checksum64(bytes, sizeof bytes, get_u64(w->secret));
    buf_printf(out, "hq0-%llx-%08llx", (unsigned long long)handle,
               (unsigned long long)(mac & 0xffffffffu));
}

void notify_token(const struct worker *w, const struct task *t, struct buf *out)
{
    buf_puts(out, w->socket_path);
    buf_putc(out, ':');
    put_token(w, t->handle, out);
}

static void conn_close(struct notify_conn *c)
{
    io_poll_destroy(c->poll);
    close(c->fd);
    list_remove(&c->node);
    buf_release(&c->in);
    free(c);
}

static struct task *task_of_token(struct worker *w, const char *token)
{
    unsigned long long handle, mac;
    struct buf expected = BUF_INIT(256);
    if (sscanf(token, "hq0-%llx-%llx", &handle, &mac) != 2)
        return NULL;
    put_token(w, handle, &expected);
    struct task *t =
        strcmp(buf_cstr(&expected), token) == 0 ? task_of_handle(w, handle) : NULL;
    buf_release(&expected);
    return t;
}

static bool take_request(struct notify_conn *c, const char *token, struct span message)
{
    struct task *t = task_of_token(c->w, token);
    if (!t || message.n > MESSAGE_MAX || !c->w->registered)
        return false;
    /* Clients hear of the start before they hear from the task. */
    report_flush(c->w);
    struct msg_TASK_NOTIFY m = {
        .job = t->job, .slot = t->slot, .instance = t->instance, .message = message};
    msg_put_TASK_NOTIFY(io_conn_batch(c->w->conn), &m);
    return true;
}

static void on_data(void *arg, int events)
{
    struct notify_conn *c = arg;
    uint8_t bytes[REQUEST_MAX];
    (void)events;
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    buf_append(&c->in, bytes, (size_t)n);
    uint8_t *line = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
    bool too_long = c->in.failed || (!line && c->in.len > 64);
    if (line && !too_long) {
        struct cursor cur =
            cursor_make(line + 1, c->in.len - (size_t)(line + 1 - c->in.data));
        if (cursor_left(&cur) < 4)
            return;
        uint32_t size = cursor_u32(&cur);
        too_long = size > MESSAGE_MAX;
        if (!too_long && cursor_left(&cur) < size)
            return;
        *line = '\0';
        uint8_t answer = !too_long && take_request(c, (const char *)c->in.data,
                                                   (struct span){cur.p, size})
                             ? 0
                             : 1;
        (void)!send(c->fd, &answer, 1, MSG_NOSIGNAL);
        conn_close(c);
        return;
    }
    if (too_long)
        conn_close(c);
}

static void on_connect(void *arg, int events)
{
    struct worker *w = arg;
    (void)events;
    int fd = accept4(w->socket_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct notify_conn *c = xcalloc(1, sizeof *c);
    c->w = w;
    c->fd = fd;
    buf_init(&c->in, REQUEST_MAX * 2);
    list_push_back(&w->notify_conns, &c->node);
    c->poll = io_poll_create(w->loop, fd, on_data, c);
    if (!c->poll) {
        conn_close(c);
        return;
    }
    io_poll_set(c->poll, IO_READ);
}

/* Names of sockets are short. */
static const char *socket_dir(void)
{
    const char *dir = path_temporary_dir();
    return strlen(dir) < 80 ? dir : "/tmp";
}

int notify_create(struct worker *w, struct error *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    uint32_t random[2];
    list_init(&w->notify_conns);
    channel_random(w->secret, sizeof w->secret);
    channel_random(random, sizeof random);
    w->socket_path = xasprintf("%s/hq-lc-%08x", socket_dir(), random[0]);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", w->socket_path);
    w->socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->socket_fd < 0)
        return error_sys(err, "cannot create a local socket");
    mode_t old = umask(0077);
    int rc = bind(w->socket_fd, (const struct sockaddr *)&addr, sizeof addr);
    if (rc == 0)
        rc = listen(w->socket_fd, 128);
    umask(old);
    if (rc != 0)
        return error_sys(err, "cannot listen on \"%s\"", w->socket_path);
    w->socket_poll = io_poll_create(w->loop, w->socket_fd, on_connect, w);
    io_poll_set(w->socket_poll, IO_READ);
    return 0;
}

void notify_destroy(struct worker *w)
{
    if (!w->socket_path)
        return;
    LIST_FOR_EACH_SAFE(&w->notify_conns, node, next)
    conn_close(CONTAINER_OF(node, struct notify_conn, node));
    io_poll_destroy(w->socket_poll);
    if (w->socket_fd >= 0)
        close(w->socket_fd);
    (void)unlink(w->socket_path);
    free(w->socket_path);
}
