/* hq task notify: inside a task, through the local socket of its worker. */
#include "cli/cmds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "args/args.h"
#include "base/buf.h"
#include "base/xmem.h"

#define MESSAGE_MAX 1024
#define TOKEN_MAX 64

/* The request of worker/notify.c: token, newline, u32 length, message. */
static int exchange(int fd, const char *token, const char *message, struct error *err)
{
    struct buf request = BUF_INIT(TOKEN_MAX + 8 + MESSAGE_MAX);
    size_t n = strlen(message);
    buf_printf(&request, "%s\n", token);
    buf_u32(&request, (uint32_t)n);
    buf_append(&request, message, n);
    uint8_t answer = 1;
    ssize_t got = -1;
    if (request.failed) {
        buf_release(&request);
        return error_nomem(err);
    }
    if (send(fd, request.data, request.len, MSG_NOSIGNAL) == (ssize_t)request.len)
        do
            got = recv(fd, &answer, 1, 0);
        while (got < 0 && errno == EINTR);
    buf_release(&request);
    if (got < 0) {
        error_sys(err, "%s", "");
        return error_prefix(err, "IO error: ");
    }
    if (got == 0 || answer)
        return error_set(err, ERR_AUTH, "Error: the worker refused the message");
    return 0;
}

static int notify(const char *path, const char *token, const char *message,
                  struct error *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof addr.sun_path)
        return error_set(err, ERR_INVALID, "Value of HQ_ACCESS_KEY has a wrong format");
    memcpy(addr.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = 0;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof addr)) {
        error_sys(err, "%s", "");
        rc = error_prefix(err, "IO error: ");
    }
    if (rc == 0)
        rc = exchange(fd, token, message, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

int task_notify_run(struct run *r, struct error *err)
{
    const char *message = args_str(r->args, "MESSAGE");
    const char *key = getenv("HQ_ACCESS_KEY");
    size_t n = strlen(message);
    if (n > MESSAGE_MAX)
        return error_set(err, ERR_TOO_BIG,
                         "Notify message limit exceeded, message len: %zu, limit: %d",
                         n, MESSAGE_MAX);
    if (!key)
        return error_set(
            err, ERR_INVALID,
            "HQ_ACCESS_KEY variable not found. Are you running this command "
            "inside a task?");
    const char *colon = strrchr(key, ':');
    if (!colon || colon == key || !colon[1] || strlen(colon + 1) > TOKEN_MAX)
        return error_set(err, ERR_INVALID, "Value of HQ_ACCESS_KEY has a wrong format");
    char *path = xstrndup(key, (size_t)(colon - key));
    int rc = notify(path, colon + 1, message, err);
    free(path);
    return rc;
}
