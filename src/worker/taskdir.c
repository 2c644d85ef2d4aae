/* Task directories: node files of gangs, the error file, removal at the end. */
#include "worker/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "base/xmem.h"

#define ERROR_FILE_MAX 2048

static int write_hosts(const struct task *t, const char *name, bool short_names,
                       struct error *err)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    char *path = path_join(t->dir, name);
    for (size_t i = 0; i < t->gang->n; i++) {
        const char *host = t->gang->hosts[i];
        /* Addresses of digits and dots stay whole. */
        bool address = strspn(host, "0123456789.") == strlen(host);
        size_t n = short_names && !address ? strcspn(host, ".") : strlen(host);
        buf_append(&b, host, n);
        buf_putc(&b, '\n');
    }
    int rc = path_write_new(path, b.data, b.len, 0644, err);
    free(path);
    buf_release(&b);
    return rc;
}

int taskdir_create(struct worker *w, struct task *t, struct error *err)
{
    for (int tries = 0; tries < 100 && !t->dir; tries++) {
        uint32_t random;
        channel_random(&random, sizeof random);
        char *path = xasprintf("%s/t%08x", w->work_dir, random);
        if (mkdir(path, 0700) == 0) {
            t->dir = path;
            break;
        }
        int sys = errno;
        free(path);
        if (sys != EEXIST)
            return error_errno(err, sys,
                               "Cannot create task_dir in worker's workdir at %s",
                               w->work_dir);
    }
    if (!t->dir)
        return error_set(
            err, ERR_EXISTS,
            "Cannot create task_dir in worker's workdir at %s: no free name",
            w->work_dir);
    if (!t->gang)
        return 0;
    int rc = write_hosts(t, "hq-nodefile", true, err);
    return rc == 0 ? write_hosts(t, "hq-hostfile", false, err) : rc;
}

void taskdir_remove(struct task *t)
{
    struct error err = ERROR_INIT;
    if (!t->dir)
        return;
    if (path_remove_tree(t->dir, &err) != 0)
        log_warn("%s", err.text);
    free(t->dir);
    t->dir = NULL;
}

char *taskdir_error_text(const struct task *t)
{
    if (!t->dir)
        return NULL;
    char bytes[ERROR_FILE_MAX];
    char *path = path_join(t->dir, "hq-error");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    free(path);
    if (fd < 0)
        return NULL;
    size_t n = 0;
    ssize_t got;
    while (n < sizeof bytes && (got = read(fd, bytes + n, sizeof bytes - n)) > 0)
        n += (size_t)got;
    close(fd);
    if (n == 0)
        return xstrdup("Task created an error file, but it is empty");
    /* A NUL would end the text; no UTF-8 has this byte, so it is shown as damage. */
    for (size_t i = 0; i < n; i++)
        bytes[i] = bytes[i] ? bytes[i] : '\xff';
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    text_lossy(&b, bytes, n);
    if (n == sizeof bytes)
        buf_puts(&b, "\n[The message was truncated]");
    return buf_steal(&b);
}
