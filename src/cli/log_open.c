#include "cli/log_open.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "client/job_view.h"
#include "cli/session.h"
#include "cli/values.h"

#define DAMAGES_TOLD 10u

static uint64_t place_key(const struct outlog_damage *d)
{
    return d->offset ^ (uint64_t)(uintptr_t)d->path << 20;
}

int log_source_know(struct log_source *s, const struct outlog_damage *d)
{
    return u64map_set(&s->known, place_key(d), 0);
}

void log_source_damage(struct log_source *s, const struct outlog_damage *d)
{
    uint64_t ignored;
    if (u64map_get(&s->known, place_key(d), &ignored))
        return;
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

/* The job that the word names: an id or "last". */
static int fetch_job(struct client *c, const char *word, struct job_views *views,
                     struct error *err)
{
    struct selector selector;
    struct buf encoded = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = selector_parse(word, &selector, err);
    if (rc < 0)
        return rc;
    selector_put(&encoded, &selector);
    selector_release(&selector);
    rc = job_views_fetch(c, &encoded, views, err);
    if (rc == 0 && views->n == 0)
        rc = error_set(err, ERR_NOT_FOUND, "Job %s not found", word);
    buf_release(&encoded);
    return rc;
}

static void note_job(struct log_source *s, const struct job_detail *d)
{
    s->n_tasks = d->info.open ? 0 : d->info.n_tasks;
}

/* The job, its log and the server, whose files alone count where several servers
 * write. When following, an open job without tasks may get a log yet: no path. */
static int ask_server(struct log_source *s, const struct run *r, const char *word,
                      struct error *err)
{
    struct job_views views = {0};
    struct client *c = NULL;
    int rc = session_open(r, &c, err);
    if (rc == 0)
        rc = fetch_job(c, word, &views, err);
    if (rc == 0) {
        const struct job_view *v = &views.items[0];
        s->has_job = true;
        s->heard_us = clock_mono_us();
        s->job = v->detail.info.id;
        note_job(s, &v->detail);
        if (!s->follow || v->n_groups || !v->detail.info.open)
            rc = job_view_stream(v, &s->path, err);
    }
    if (rc == 0 && !s->job_uid)
        rc = session_server_uid(c, &s->job_uid, err);
    client_close(c);
    job_views_release(&views);
    return rc;
}

/* What the server says of the job; *forever: what is wrong will not change. A job that
 * it does not know any more was forgotten, which only those are that have ended. */
static int ask_whether_ended(struct log_source *s, const struct run *r, bool *ended,
                             bool *forever, struct error *err)
{
    char id[16], *uid = NULL;
    struct job_views views = {0};
    struct client *c = NULL;
    (void)snprintf(id, sizeof id, "%u", s->job);
    int rc = session_open(r, &c, err);
    if (rc == 0)
        rc = session_server_uid(c, &uid, err);
    if (rc == 0 && strcmp(uid, s->job_uid) != 0) {
        *forever = true;
        rc =
            error_set(err, ERR_NOT_FOUND,
                      "another server has taken the place of '%s', of which job %u was",
                      s->job_uid, s->job);
    }
    if (rc == 0 && (rc = fetch_job(c, id, &views, err)) == ERR_NOT_FOUND) {
        *ended = true;
        rc = 0;
    } else if (rc == 0) {
        const struct job_detail *d = &views.items[0].detail;
        *ended = d->finished_us && !d->info.open;
        note_job(s, d);
    }
    free(uid);
    client_close(c);
    job_views_release(&views);
    return rc;
}

/* As long as ranks wait for a server, unless told otherwise. */
#define AWAY_MAX_US UINT64_C(300000000)

int log_source_job_ended(struct log_source *s, const struct run *r, bool *ended,
                         struct error *err)
{
    bool forever = false;
    struct error why = ERROR_INIT;
    uint64_t now_us = clock_mono_us();
    int rc = ask_whether_ended(s, r, ended, &forever, &why);
    if (rc == 0) {
        s->heard_us = now_us;
        s->away = false;
        return 0;
    }
    if (rc == ERR_NOMEM || forever || now_us - s->heard_us > AWAY_MAX_US) {
        *err = why;
        return rc;
    }
    if (!s->away)
        log_warn("the server does not answer; following the log until it does");
    s->away = true;
    return 0;
}

#define WAIT_MS 200

static int find_job(struct log_source *s, const struct run *r, struct error *err)
{
    char id[16];
    int rc = ask_server(s, r, s->shown, err);
    (void)snprintf(id, sizeof id, "%u", s->job);
    while (rc == 0 && !s->path) {
        (void)poll(NULL, 0, WAIT_MS);
        rc = ask_server(s, r, id, err);
    }
    return rc;
}

/* ---- opening ----------------------------------------------------------------------
 */

/* A path that exists wins over the number of a job. */
static bool names_job(const struct run *r, const char *word)
{
    struct stat st;
    uint32_t id;
    if (strncmp(args_path(r->args), "hq log", 6) != 0 || stat(word, &st) == 0)
        return false;
    return strcmp(word, "last") == 0 || text_to_u32(word, &id);
}

const char *log_source_path(const struct log_source *s)
{
    return s->path ? s->path : s->shown;
}

static int open_reader(const struct log_source *s, struct outlog_reader **out,
                       struct error *err)
{
    size_t n = 1 + s->also.n;
    const char **paths = malloc(n * sizeof *paths);
    if (!paths)
        return error_nomem(err);
    paths[0] = log_source_path(s);
    for (size_t i = 1; i < n; i++)
        paths[i] = s->also.items[i - 1];
    bool by_job = s->has_job && !s->server_uid && s->also.n == 0;
    int rc =
        outlog_reader_open_all(out, paths, n, by_job ? s->job_uid : s->server_uid, err);
    free(paths);
    if (rc < 0 || !by_job || outlog_reader_n_files(*out))
        return rc;
    outlog_reader_destroy(*out);
    *out = NULL;
    return error_set(err, ERR_NOT_FOUND, "none of the server");
}

/* A log that is just being made is an empty file for a moment. */
static bool is_absent(const struct log_source *s, const struct error *err)
{
    struct stat st;
    return err->code == ERR_NOT_FOUND ||
           (err->code == ERR_SYSTEM && err->sys == ENOENT) ||
           (stat(log_source_path(s), &st) == 0 && S_ISREG(st.st_mode) &&
            st.st_size == 0);
}

static int wait_for_reader(struct log_source *s, const struct run *r, struct error *err)
{
    bool ended = false;
    for (;;) {
        int rc = open_reader(s, &s->reader, err);
        if (rc == 0 || !s->follow || ended || !is_absent(s, err))
            return rc;
        if (s->has_job && args_flag(r->args, "until-finished") &&
            (rc = log_source_job_ended(s, r, &ended, err)) < 0)
            return rc;
        if (!ended)
            (void)poll(NULL, 0, WAIT_MS);
    }
}

/* Tells which file it was, and one that is no log: the older spelling, which took
 * directories alone, keeps the words of former versions. */
static int name_file(const struct log_source *s, const struct run *r, int rc,
                     struct error *err)
{
    const char *path = log_source_path(s);
    struct stat st;
    if (s->has_job && is_absent(s, err))
        return error_set(err, ERR_NOT_FOUND, "There is no log of job %u at '%s'",
                         s->job, path);
    if (!err->sys || strncmp(args_path(r->args), "hq log", 6) != 0 || s->also.n)
        return rc;
    if (err->sys != ENOTDIR || stat(path, &st) != 0)
        return strstr(err->text, path) ? rc : error_prefix(err, "'%s': ", path);
    return error_set(err, ERR_CORRUPT, "'%s' is not an output log%s", path,
                     st.st_size ? "" : ": it is empty");
}

int log_source_open(struct log_source *s, const struct run *r, struct error *err)
{
    const struct args *a = r->args;
    *s = (struct log_source){
        .shown = args_str(a, "LOG"),
        .also = args_list(a, "also"),
        .server_uid = args_str(a, "server-uid"),
        .follow = args_declared(a, "follow") && args_flag(a, "follow"),
        .known = U64MAP_INIT,
    };
    int rc = names_job(r, s->shown) ? find_job(s, r, err) : 0;
    if (rc == 0 && (rc = wait_for_reader(s, r, err)) < 0)
        rc = name_file(s, r, rc, err);
    if (rc == 0)
        outlog_reader_on_damage(s->reader, on_damage, s);
    return rc;
}

void log_source_release(struct log_source *s)
{
    if (s->n_damages > DAMAGES_TOLD)
        log_warn("%s: %llu damaged places in all, %llu bytes", log_source_path(s),
                 (unsigned long long)s->n_damages,
                 (unsigned long long)s->damaged_bytes);
    outlog_reader_destroy(s->reader);
    s->reader = NULL;
    u64map_release(&s->known);
    free(s->path);
    free(s->job_uid);
    s->path = s->job_uid = NULL;
}
