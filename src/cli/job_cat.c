/* hq job cat */
#include "cli/cmds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "cli/task_select.h"

#define CHUNK_BYTES ((size_t)64 * 1024)

static void copy_file(struct output *o, const char *path)
{
    struct error why = ERROR_INIT;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_sys(&why, "%s", "");
        log_warn("File at `%s` cannot be opened: %s", path, why.text);
        return;
    }
    static char chunk[CHUNK_BYTES];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_sys(&why, "%s", "");
            log_warn("File at `%s` cannot be read: %s", path, why.text);
        }
        if (n <= 0)
            break;
        output_write(o, chunk, (size_t)n);
    }
    close(fd);
}

static int print_task(struct run *r, const struct job_view *v, const struct task_ref *t,
                      const char *uid, struct error *err)
{
    const char *channel = args_str(r->args, "STREAM");
    struct task_paths paths = {0};
    int rc = task_was_started(t) ? task_paths(v, t, uid, &paths, err) : 0;
    if (rc)
        return rc;
    const char *path = strcmp(channel, "stdout") == 0 ? paths.out : paths.err;
    if (!path) {
        log_warn("Task %u has no `%s` stream associated with it", t->id, channel);
    } else {
        if (args_flag(r->args, "print-task-header"))
            output_printf(r->out, "# Job %u, task %u\n", v->detail.info.id, t->id);
        copy_file(r->out, path);
    }
    task_paths_release(&paths);
    return 0;
}

static void warn_unknown(const struct job_view *v, const struct task_filter *f)
{
    struct idset_iter it = IDSET_ITER(&f->ids);
    struct task_ref t;
    for (uint32_t id; f->has_ids && idset_next(&it, &id);)
        if (!job_view_find_task(v, id, &t))
            log_warn("Task %u of job %u not found", id, v->detail.info.id);
}

static int print_job(struct run *r, const struct job_view *v,
                     const struct task_filter *f, const char *uid, struct error *err)
{
    bool any = false;
    int rc = 0;
    warn_unknown(v, f);
    for (uint32_t i = 0; rc == 0 && i < v->n_slots; i++) {
        struct task_ref t = job_view_task(v, i);
        if (!task_filter_takes(f, &t))
            continue;
        any = true;
        rc = print_task(r, v, &t, uid, err);
    }
    if (!any)
        log_warn("No tasks were selected for job %u, there is nothing to print",
                 v->detail.info.id);
    return rc;
}

int job_cat_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct job_views v;
    struct task_filter f;
    char *uid = NULL;
    int rc = task_filter_init(&f, r, err);
    if (rc == 0)
        rc = task_ids_check(&f.ids, err);
    if (rc) {
        task_filter_release(&f);
        return rc;
    }
    rc = task_views_fetch(r, UINT32_MAX, &c, &v, err);
    if (rc == 0)
        rc = session_server_uid(c, &uid, err);
    client_close(c);
    if (rc == 0 && v.n && r->out->mode == OUTPUT_JSON)
        rc = error_set(err, ERR_UNSUPPORTED,
                       "JSON output mode doesn't support job output");
    for (size_t i = 0; rc == 0 && i < v.n; i++)
        rc = print_job(r, &v.items[i], &f, uid, err);
    output_flush(r->out);
    for (size_t i = 0; rc == 0 && i < v.n_missing; i++)
        log_error("Job %u was not found", v.missing[i]);
    if (rc == 0 && v.n + v.n_missing == 0)
        log_error("No jobs were found");
    free(uid);
    job_views_release(&v);
    task_filter_release(&f);
    return rc;
}
