/* Text views: the end of a run's output in a file of its own, for programs that want to
 * read text where they asked for a stream. */
#include "outlog/writer_impl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/path.h"

#define TEXT_MAX ((size_t)64 << 10)
/* Twice that, so that moving the end to the front costs little per byte. */
#define TEXT_ROOM (2 * TEXT_MAX)
/* Not blocking: a pipe without a reader at that place must not hold up the thread. */
#define TEXT_OPEN (O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC)

struct task_text *text_create(struct outlog_task *t, const char *path)
{
    struct task_text *x = calloc(1, sizeof *x);
    if (x)
        x->path = strdup(path);
    if (!x || !x->path) {
        free(x);
        return NULL;
    }
    x->task = t;
    x->msg.kind = IO_TEXT;
    return x;
}

void text_destroy(struct task_text *x)
{
    if (!x)
        return;
    free(x->data);
    free(x->path);
    free(x);
}

static void keep_last(struct task_text *x, size_t keep)
{
    x->dropped += x->n - keep;
    memmove(x->data, x->data + x->n - keep, keep);
    x->n = keep;
}

void text_add(struct task_text *x, const uint8_t *p, size_t n)
{
    if (!x || x->failed)
        return;
    if (!x->data && !(x->data = malloc(TEXT_ROOM))) {
        x->failed = true;
        return;
    }
    /* At most one read at a time comes here, and that is not longer than TEXT_MAX. */
    HQ_ASSERT(n <= TEXT_MAX);
    if (x->n + n > TEXT_ROOM)
        keep_last(x, TEXT_MAX);
    memcpy(x->data + x->n, p, n);
    x->n += n;
}

void text_send(struct task_text *x)
{
    x->msg.log = x->task->log;
    if (x->n > TEXT_MAX)
        keep_last(x, TEXT_MAX);
    writer_send(x->msg.log->w, &x->msg);
}

static int write_file(const struct task_text *x, struct error *err)
{
    const struct outlog_task *t = x->task;
    if (x->failed)
        return error_nomem(err);
    int fd = open(x->path, TEXT_OPEN, 0666);
    if (fd < 0 && path_mkparents(x->path, 0777, NULL) == 0)
        fd = open(x->path, TEXT_OPEN, 0666);
    if (fd < 0)
        return error_sys(err, "cannot open");
    char head[128];
    const char *log = x->msg.log->path;
    size_t n = (size_t)snprintf(
        head, sizeof head, "[%llu bytes before this are in job %u, task %u of the log ",
        (unsigned long long)x->dropped, t->job, t->id);
    bool good = !x->dropped ||
                (write_all(fd, head, n) == 0 && write_all(fd, log, strlen(log)) == 0 &&
                 write_all(fd, "]\n", 2) == 0);
    good = good && write_all(fd, x->data, x->n) == 0;
    int rc = good ? 0 : error_sys(err, "cannot write");
    if (close(fd) != 0 && rc == 0)
        rc = error_sys(err, "cannot close");
    return rc;
}

void text_write(struct task_text *x)
{
    struct error err = ERROR_INIT;
    if (write_file(x, &err) != 0)
        log_warn("Text view %s: %s", x->path, err.text);
}
