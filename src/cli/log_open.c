#include "cli/log_open.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/text.h"
#include "cli/job_view.h"
#include "cli/session.h"

#define DAMAGES_TOLD 10u

void log_source_damage(struct log_source *s, const struct outlog_damage *d)
{
    s->damaged_bytes += d->bytes;
    if (s->n_damages++ < DAMAGES_TOLD)
        log_warn("%s: %s at offset %llu (%llu bytes)", d->path, d->what,
                 (unsigned long long)d->offset, (unsigned long long)d->bytes);
}

static void on_damage(void *arg, const struct outlog_damage *d)
{
    log_source_damage(arg, d);
}

/* ---- the log of a job -------------------------------------------------------------
 */

/* The one stream of the job's tasks. */
static int stream_of_job(const struct job_view *v, char **path, struct error *err)
{
    const char *found = NULL;
    for (size_t i = 0; i < v->n_groups; i++) {
        const struct submit *sub = v->groups[i].submit;
        const char *stream = sub->bodies[v->groups[i].group->body].stream;
        if (!stream || (found && strcmp(found, stream) == 0))
            continue;
        if (found)
            return error_set(err, ERR_INVALID,
                             "Job %u writes into several logs: '%s', '%s'; name one",
                             v->detail.info.id, found, stream);
        found = stream;
    }
    if (!found)
        return error_set(err, ERR_NOT_FOUND, "Job %u writes into no log",
                         v->detail.info.id);
    *path = strdup(found);
    return *path ? 0 : error_nomem(err);
}

static int ask_server(const struct run *r, uint32_t *job, char **path,
                      struct error *err)
{
    struct client *c = NULL;
    struct job_views views = {0};
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = session_selector(r, "LOG", &selector, err);
    if (rc == 0)
        rc = session_open(r, &c, err);
    if (rc == 0)
        rc = job_views_fetch(c, &selector, &views, err);
    if (rc == 0 && views.n == 0)
        rc =
            error_set(err, ERR_NOT_FOUND, "Job %s not found", args_str(r->args, "LOG"));
    if (rc == 0) {
        *job = views.items[0].detail.info.id;
        rc = stream_of_job(&views.items[0], path, err);
    }
    job_views_release(&views);
    client_close(c);
    buf_release(&selector);
    return rc;
}

/* A path that exists wins over the number of a job. */
static bool names_job(const struct run *r, const char *word)
{
    struct stat st;
    uint32_t id;
    if (strncmp(args_path(r->args), "hq log", 6) != 0 || stat(word, &st) == 0)
        return false;
    return strcmp(word, "last") == 0 || text_to_u32(word, &id);
}

int log_source_reader(const struct log_source *s, struct outlog_reader **out,
                      struct error *err)
{
    size_t n = 1 + s->also.n;
    const char **paths = malloc(n * sizeof *paths);
    if (!paths)
        return error_nomem(err);
    paths[0] = s->path ? s->path : s->shown;
    for (size_t i = 1; i < n; i++)
        paths[i] = s->also.items[i - 1];
    int rc = outlog_reader_open_all(out, paths, n, s->server_uid, err);
    free(paths);
    return rc;
}

int log_source_open(struct log_source *s, const struct run *r, struct error *err)
{
    *s = (struct log_source){.shown = args_str(r->args, "LOG")};
    char *path = NULL;
    int rc = 0;
    if (names_job(r, s->shown)) {
        s->has_job = true;
        rc = ask_server(r, &s->job, &path, err);
    }
    s->path = path;
    s->also = args_list(r->args, "also");
    s->server_uid = args_str(r->args, "server-uid");
    if (rc == 0)
        rc = log_source_reader(s, &s->reader, err);
    if (rc == 0)
        outlog_reader_on_damage(s->reader, on_damage, s);
    return rc;
}

void log_source_release(struct log_source *s)
{
    if (s->n_damages > DAMAGES_TOLD)
        log_warn("%s: %llu damaged places in all, %llu bytes", s->shown,
                 (unsigned long long)s->n_damages,
                 (unsigned long long)s->damaged_bytes);
    outlog_reader_destroy(s->reader);
    s->reader = NULL;
    free(s->path);
    s->path = NULL;
}
