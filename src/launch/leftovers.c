/*
 * What a worker leaves behind when it is killed: the launcher, which lives a little
 * longer, removes it. Nothing is touched while the worker lives, nor what is not the
 * very file or directory that the worker named.
 */
#include "launch/process.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/path.h"

/* A process closes its files before it counts as ended. */
#define EXIT_MS 2000

struct leftover {
    struct leftover *next;
    uint64_t device, inode;
    char *path;
};

void leftover_add(struct process *p, struct cursor *c)
{
    struct leftover *l = calloc(1, sizeof *l);
    HQ_ASSERT(l);
    l->device = cursor_u64(c);
    l->inode = cursor_u64(c);
    l->path = cursor_strdup(c, LAUNCH_REQUEST_MAX);
    HQ_ASSERT(l->path);
    l->next = p->leftovers;
    p->leftovers = l;
}

static bool worker_is_gone(const struct process *p)
{
    struct pollfd ended = {.fd = p->worker_pidfd, .events = POLLIN};
    return p->worker_pidfd >= 0 && poll(&ended, 1, EXIT_MS) == 1 &&
           (ended.revents & POLLIN);
}

static void remove_leftover(const struct leftover *l)
{
    struct stat st;
    struct error err = ERROR_INIT;
    if (lstat(l->path, &st) != 0 || st.st_dev != l->device || st.st_ino != l->inode)
        return;
    /* Nobody is there to be told that it failed. */
    if (S_ISDIR(st.st_mode))
        (void)!path_remove_tree(l->path, &err);
    else
        (void)unlink(l->path);
}

void leftovers_remove(const struct process *p)
{
    if (!p->leftovers || p->goodbye || !worker_is_gone(p))
        return;
    for (const struct leftover *l = p->leftovers; l; l = l->next)
        remove_leftover(l);
}
