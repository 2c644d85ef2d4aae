/* Reading output logs. */
#include <hq/log.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "api/internal.h"
#include "client/job_view.h"
#include "client/requests.h"
#include "outlog/reader.h"

_Static_assert((int)HQ_STDOUT == OUTLOG_STDOUT && (int)HQ_STDERR == OUTLOG_STDERR,
               "channels are those of the public header");

struct hq_log {
    struct outlog_reader *reader;
};

/* --- opening ------------------------------------------------------------ */

/* What the command line tells beside a path; here it has to be in the text. */
static int fail_open(const char *path, int rc, struct error *err)
{
    struct stat st;
    if (rc != ERR_SYSTEM && rc != ERR_NOT_FOUND)
        return rc;
    if (err->sys == ENOTDIR && stat(path, &st) == 0)
        return error_set(err, ERR_CORRUPT, "'%s' is no log", path);
    if (rc == ERR_NOT_FOUND || err->sys == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "there is no log at '%s'", path);
    error_prefix(err, "cannot open the log '%s': ", path);
    return rc;
}

static int open_log(const char *path, const char *server_uid, struct hq_log **out,
                    struct error *err)
{
    struct hq_log *log = calloc(1, sizeof *log);
    if (!log)
        return error_nomem(err);
    int rc = outlog_reader_open(&log->reader, path, server_uid, err);
    if (rc < 0) {
        free(log);
        return fail_open(path, rc, err);
    }
    *out = log;
    return 0;
}

int hq_log_open(const char *path, struct hq_log **log, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    return api_result(open_log(path, NULL, log, &e), err, &e);
}

/* Where the job's tasks write to, as *path; malloc'ed. */
static int find_log(struct client *conn, uint32_t job, char **path, struct error *err)
{
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    struct job_views views;
    int rc = api_select(job, &selector, err);
    if (rc == 0)
        rc = job_views_fetch(conn, &selector, &views, err);
    buf_release(&selector);
    if (rc)
        return rc;
    rc = views.n ? job_view_stream(&views.items[0], path, err) : api_no_job(job, err);
    job_views_release(&views);
    return rc;
}

int hq_log_open_job(struct hq_client *client, uint32_t job, struct hq_log **log,
                    struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct client *conn = NULL;
    struct server_info server;
    char *path = NULL;
    int rc = api_connection(client, &conn, &e);
    if (rc)
        return api_fail(err, &e);
    rc = find_log(conn, job, &path, &e);
    if (rc == 0)
        rc = client_server_info(conn, &server, &e);
    if (api_requested(client, rc)) {
        free(path);
        return api_fail(err, &e);
    }
    rc = open_log(path, server.uid, log, &e);
    server_info_release(&server);
    free(path);
    return api_result(rc, err, &e);
}

void hq_log_close(struct hq_log *log)
{
    if (!log)
        return;
    outlog_reader_destroy(log->reader);
    free(log);
}

/* --- reading ------------------------------------------------------------ */

struct choice {
    uint32_t job, task;
    unsigned channels;
    hq_output_fn fn;
    void *arg;
};

static bool channel_of(const struct outlog_entry *e, enum hq_channel *channel)
{
    *channel = e->type == OUTLOG_BLOCK_STDERR ? HQ_STDERR : HQ_STDOUT;
    return e->type == OUTLOG_BLOCK_STDOUT || e->type == OUTLOG_BLOCK_STDERR;
}

/* 0, or what the caller's function returned. */
static int read_run(struct hq_log *log, const struct choice *c,
                    const struct outlog_run *run)
{
    int result = 0;
    for (size_t i = 0; i < run->n_refs && result == 0; i++) {
        const struct outlog_ref *ref = &run->refs[i];
        struct hq_output output = {.job = run->job,
                                   .task = run->task,
                                   .instance = run->instance,
                                   .time_us = ref->e.time_us};
        const uint8_t *data;
        if (!channel_of(&ref->e, &output.channel) || ref->e.output == 0 ||
            !(c->channels & 1u << output.channel) ||
            outlog_read_block(log->reader, ref, &data, &output.n))
            continue; /* what is damaged is counted by the reader */
        output.data = data;
        result = c->fn(c->arg, &output);
    }
    return result;
}

static int read_runs(struct hq_log *log, const struct choice *c, int *result,
                     struct error *err)
{
    struct outlog_runs *runs = NULL;
    struct outlog_run run;
    bool one_job = c->job != HQ_ANY, one_task = c->task != HQ_ANY;
    int rc = outlog_runs_create(&runs, log->reader, err);
    if (rc == 0)
        rc = outlog_runs_seek(runs, one_job ? c->job : 0,
                              one_job && one_task ? c->task : 0, err);
    while (rc == 0 && *result == 0) {
        int got = outlog_runs_next(runs, &run, err);
        if (got < 0)
            rc = got;
        if (got <= 0 || (one_job && run.job != c->job) ||
            (one_job && one_task && run.task != c->task))
            break;
        if (run.newest && (!one_task || run.task == c->task))
            *result = read_run(log, c, &run);
    }
    outlog_runs_destroy(runs);
    return rc;
}

int hq_log_read(struct hq_log *log, uint32_t job, uint32_t task, unsigned channels,
                hq_output_fn fn, void *arg, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    const struct choice c = {job, task, channels, fn, arg};
    int result = 0;
    int rc = channels & 3 ? read_runs(log, &c, &result, &e)
                          : error_set(&e, ERR_INVALID, "no channel is chosen");
    return rc ? api_fail(err, &e) : result;
}

uint64_t hq_log_damaged(const struct hq_log *log)
{
    struct outlog_reader_stats stats;
    outlog_reader_get_stats(log->reader, &stats);
    return stats.damaged_bytes;
}
