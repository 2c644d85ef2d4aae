/* Lists of jobs and of their tasks. */
#include <hq/job.h>
#include <stdlib.h>
#include "api/internal.h"
#include "client/job_view.h"
#include "client/requests.h"

_Static_assert((int)HQ_TASK_WAITING == TASK_WAITING &&
                   (int)HQ_TASK_RUNNING == TASK_RUNNING &&
                   (int)HQ_TASK_FINISHED == TASK_FINISHED &&
                   (int)HQ_TASK_FAILED == TASK_FAILED &&
                   (int)HQ_TASK_CANCELED == TASK_CANCELED &&
                   (int)HQ_TASK_ABORTED == TASK_ABORTED &&
                   HQ_TASK_STATES == TASK_STATE_COUNT,
               "states of tasks are those of the public header");
_Static_assert((int)HQ_JOB_WAITING == JOB_WAITING &&
                   (int)HQ_JOB_RUNNING == JOB_RUNNING &&
                   (int)HQ_JOB_FINISHED == JOB_FINISHED &&
                   (int)HQ_JOB_FAILED == JOB_FAILED &&
                   (int)HQ_JOB_CANCELED == JOB_CANCELED &&
                   (int)HQ_JOB_ABORTED == JOB_ABORTED &&
                   (int)HQ_JOB_OPENED == JOB_OPENED,
               "states of jobs are those of the public header");

const char *hq_task_state_name(enum hq_task_state state)
{
    return (unsigned)state < TASK_STATE_COUNT ? task_state_words[state] : "unknown";
}

const char *hq_job_state_name(enum hq_job_state state)
{
    return (unsigned)state < JOB_STATE_COUNT ? job_state_words[state] : "unknown";
}

/* --- jobs --------------------------------------------------------------- */

struct hq_jobs {
    struct job_list list; /* what the shown ones point to */
    struct hq_job *shown;
    size_t next;
};

static struct hq_job show_job(const struct job_info *info)
{
    struct hq_job job = {.id = info->id,
                         .n_tasks = info->n_tasks,
                         .state =
                             (enum hq_job_state)job_state_of(&info->counts, info->open),
                         .is_open = info->open,
                         .name = info->name,
                         .cancel_reason = info->cancel_reason};
    for (size_t i = 0; i < HQ_TASK_STATES; i++)
        job.counts.n[i] = info->counts.n[i];
    return job;
}

int hq_job_list(struct hq_client *client, struct hq_jobs **jobs, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct client *conn = NULL;
    int rc = api_connection(client, &conn, &e);
    if (rc)
        return api_fail(err, &e);
    struct hq_jobs *made = calloc(1, sizeof *made);
    rc = made ? api_requested(client, client_list_jobs(conn, NULL, &made->list, &e))
              : error_nomem(&e);
    if (rc == 0) {
        made->shown = calloc(made->list.n + 1, sizeof *made->shown);
        rc = made->shown ? 0 : error_nomem(&e);
    }
    if (rc) {
        hq_jobs_free(made);
        return api_fail(err, &e);
    }
    for (size_t i = 0; i < made->list.n; i++)
        made->shown[i] = show_job(&made->list.items[i]);
    *jobs = made;
    return 0;
}

size_t hq_jobs_count(const struct hq_jobs *jobs)
{
    return jobs->list.n;
}

const struct hq_job *hq_jobs_next(struct hq_jobs *jobs)
{
    if (jobs->next < jobs->list.n)
        return &jobs->shown[jobs->next++];
    jobs->next = 0;
    return NULL;
}

const struct hq_job *hq_jobs_find(const struct hq_jobs *jobs, uint32_t id)
{
    size_t low = 0, high = jobs->list.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (jobs->shown[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < jobs->list.n && jobs->shown[low].id == id ? &jobs->shown[low] : NULL;
}

void hq_jobs_free(struct hq_jobs *jobs)
{
    if (!jobs)
        return;
    job_list_release(&jobs->list);
    free(jobs->shown);
    free(jobs);
}

/* --- tasks -------------------------------------------------------------- */

struct visit {
    hq_task_fn fn;
    void *arg;
    int result; /* of fn */
    const char *server_uid;
    struct buf error; /* text of the present task */
};

/* A code that no failure has: the caller's function wants no more. */
#define VISIT_STOPPED 1

static void show_record(const struct task_view *view, struct hq_task_info *info)
{
    const struct task_record *r = &view->record;
    info->instance = r->instance;
    info->worker = view->n_nodes ? get_u32(view->nodes) : r->worker;
    info->user_us = (uint64_t)r->user_ms * 1000;
    info->system_us = (uint64_t)r->system_ms * 1000;
    info->max_rss_bytes = (uint64_t)r->max_rss_kib << 10;
}

static int visit_task(void *arg, const struct job_view *v, const struct task_ref *task,
                      struct error *err)
{
    struct visit *visit = arg;
    struct task_paths paths = {NULL, NULL, NULL};
    struct hq_task_info info = {.id = task->id,
                                .state = (enum hq_task_state)task->state,
                                .start_us = task_start_us(task),
                                .end_us = task_end_us(task)};
    if (task->record)
        show_record(task->record, &info);
    if (task->state == TASK_FAILED) {
        buf_clear(&visit->error);
        task_print_error(task, &visit->error);
        if (visit->error.failed)
            return error_nomem(err);
        info.error = buf_cstr(&visit->error);
    }
    if (task_was_started(task)) {
        int rc = task_paths(v, task, visit->server_uid, &paths, err);
        if (rc)
            return rc;
        info.cwd = paths.cwd;
        info.stdout_path = paths.out;
        info.stderr_path = paths.err;
    }
    visit->result = visit->fn(visit->arg, &info);
    task_paths_release(&paths);
    return visit->result ? VISIT_STOPPED : 0;
}

static int visit_tasks(struct client *conn, uint32_t job, struct visit *visit,
                       struct error *err)
{
    struct buf selector = BUF_INIT(BUF_MAX_DEFAULT);
    struct server_info server;
    struct job_views views;
    int rc = client_server_info(conn, &server, err);
    if (rc)
        return rc;
    rc = api_select(job, &selector, err);
    if (rc == 0)
        rc = job_views_fetch(conn, &selector, &views, err);
    buf_release(&selector);
    if (rc == 0) {
        visit->server_uid = server.uid;
        rc = views.n ? job_view_visit(conn, &views.items[0], visit_task, visit, err)
                     : api_no_job(job, err);
        job_views_release(&views);
    }
    server_info_release(&server);
    return rc;
}

int hq_task_list(struct hq_client *client, uint32_t job, hq_task_fn fn, void *arg,
                 struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct client *conn = NULL;
    struct visit visit = {.fn = fn, .arg = arg, .error = BUF_INIT(BUF_MAX_DEFAULT)};
    int rc = api_connection(client, &conn, &e);
    if (rc)
        return api_fail(err, &e);
    client->busy = true;
    rc = visit_tasks(conn, job, &visit, &e);
    client->busy = false;
    buf_release(&visit.error);
    if (rc == VISIT_STOPPED)
        return visit.result;
    return api_result(api_requested(client, rc), err, &e);
}
