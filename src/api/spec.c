/* Descriptions of jobs, and their submits. */
#include <hq/submit.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "api/internal.h"
#include "client/requests.h"

/* --- life --------------------------------------------------------------- */

static int current_dir(char **dir, struct error *err)
{
    char room[PATH_MAX];
    if (!getcwd(room, sizeof room))
        return error_sys(err, "cannot find the current directory");
    *dir = strdup(room);
    return *dir ? 0 : error_nomem(err);
}

static int fill_spec(struct hq_spec *spec, struct error *err)
{
    submit_init(&spec->submit);
    spec->last_body = (struct buf)BUF_INIT(BUF_MAX_DEFAULT);
    spec->submit.name = strdup("job");
    return spec->submit.name ? current_dir(&spec->submit.submit_dir, err)
                             : error_nomem(err);
}

int hq_spec_create(struct hq_spec **spec, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct hq_spec *made = calloc(1, sizeof *made);
    int rc = made ? fill_spec(made, &e) : error_nomem(&e);
    if (rc) {
        hq_spec_destroy(made);
        return api_fail(err, &e);
    }
    *spec = made;
    return 0;
}

void hq_spec_destroy(struct hq_spec *spec)
{
    if (!spec)
        return;
    submit_release(&spec->submit);
    buf_release(&spec->last_body);
    free(spec);
}

/* --- the job ------------------------------------------------------------ */

static int set_text(char **to, const char *from, struct error *err)
{
    char *copy = strdup(from);
    if (!copy)
        return error_nomem(err);
    free(*to);
    *to = copy;
    return 0;
}

int hq_spec_set_name(struct hq_spec *spec, const char *name, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    int rc = job_name_check(name, &e);
    if (rc == 0)
        rc = set_text(&spec->submit.name, name, &e);
    return api_result(rc, err, &e);
}

int hq_spec_set_dir(struct hq_spec *spec, const char *dir, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    int rc = dir[0] == '/' ? set_text(&spec->submit.submit_dir, dir, &e)
                           : error_set(&e, ERR_INVALID,
                                       "the directory '%s' is not absolute", dir);
    return api_result(rc, err, &e);
}

void hq_spec_set_max_fails(struct hq_spec *spec, uint32_t max_fails)
{
    spec->submit.max_fails = max_fails;
}

int hq_spec_set_job(struct hq_spec *spec, uint32_t job, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    if (job == 0) { /* to the server it means a new job */
        api_no_job(job, &e);
        return api_fail(err, &e);
    }
    spec->submit.job = job;
    return 0;
}

/* --- tasks -------------------------------------------------------------- */

struct addition {
    uint32_t first, count;
    const struct hq_task *task;
    const uint32_t *needs;
    size_t n_needs;
    const struct hq_bytes *entries; /* NULL: none */
};

/* The task's body, which is often the same as the one before. */
static int add_body(struct hq_spec *spec, const struct hq_task *task, uint32_t *index,
                    struct error *err)
{
    struct submit *s = &spec->submit;
    struct buf bytes = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_body body;
    int rc = api_task_body(task, &body, err);
    if (rc)
        return rc;
    task_body_encode(&body, &bytes);
    if (bytes.failed) {
        rc = error_nomem(err);
    } else if (s->n_bodies && spec->last_body.len == bytes.len &&
               memcmp(spec->last_body.data, bytes.data, bytes.len) == 0) {
        *index = (uint32_t)s->n_bodies - 1;
    } else {
        *index = submit_add_body(s, &body);
        if (*index == UINT32_MAX)
            rc = error_nomem(err);
    }
    if (rc == 0) {
        buf_release(&spec->last_body);
        spec->last_body = bytes;
    } else {
        buf_release(&bytes);
    }
    task_body_release(&body);
    return rc;
}

static int check_entries(const struct addition *a, struct error *err)
{
    size_t total = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct hq_bytes *entry = &a->entries[i];
        if (entry->n > ENTRIES_BYTES_MAX - total)
            return error_set(err, ERR_TOO_BIG, "the entries are larger than %zu MiB",
                             ENTRIES_BYTES_MAX >> 20);
        if (entry->n && memchr(entry->data, 0, entry->n))
            return error_set(err, ERR_INVALID, "entry %u has a NUL byte", i);
        total += entry->n;
    }
    return 0;
}

static int add_entries(struct submit *s, const struct addition *a, uint32_t *extra,
                       struct error *err)
{
    struct group_extra entries;
    int rc = check_entries(a, err);
    if (rc)
        return rc;
    group_extra_init(&entries);
    for (uint32_t i = 0; rc == 0 && i < a->count; i++)
        if (group_extra_add_entry(&entries, a->entries[i].data, a->entries[i].n))
            rc = error_nomem(err);
    if (rc == 0 && (*extra = submit_add_extra(s, &entries) + 1) == 0)
        rc = error_nomem(err);
    group_extra_release(&entries);
    return rc;
}

static int add_argv(struct submit *s, const struct hq_task *task, uint32_t *argv,
                    struct error *err)
{
    size_t room = SUBMIT_TEXT_MAX - s->text.len, total = VARINT_SIZE_MAX;
    for (size_t i = 0; i < task->n_argv; i++)
        total += strlen(task->argv[i]) + 1;
    if (total > room)
        return error_set(err, ERR_TOO_BIG, "the commands are larger than %u MiB",
                         SUBMIT_TEXT_MAX >> 20);
    *argv = submit_add_argv(s, (const char *const *)task->argv, task->n_argv);
    return *argv == UINT32_MAX ? error_nomem(err) : 0;
}

static int add_group(struct hq_spec *spec, const struct addition *a, struct error *err)
{
    struct submit *s = &spec->submit;
    struct task_group g = {.first_id = a->first, .count = a->count};
    int rc = add_body(spec, a->task, &g.body, err);
    if (rc == 0)
        rc = add_argv(s, a->task, &g.argv, err);
    if (rc == 0 && a->entries)
        rc = add_entries(s, a, &g.extra, err);
    if (rc)
        return rc;
    if (submit_add_group(s, &g) == UINT32_MAX)
        return error_nomem(err);
    for (size_t i = 0; i < a->n_needs; i++)
        if (submit_add_need(s, NEED_TASK, a->needs[i]))
            return error_nomem(err);
    return 0;
}

/* What was added behind these counts is taken away again. */
static void roll_back(struct hq_spec *spec, const struct submit *before)
{
    struct submit *s = &spec->submit;
    while (s->n_bodies > before->n_bodies)
        task_body_release(&s->bodies[--s->n_bodies]);
    while (s->n_extras > before->n_extras)
        group_extra_release(&s->extras[--s->n_extras]);
    s->n_groups = before->n_groups;
    s->n_needs = before->n_needs;
    s->text.len = before->text.len;
    s->text.failed = false;
    buf_clear(&spec->last_body);
}

static int add(struct hq_spec *spec, const struct addition *a, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    const struct submit before = spec->submit;
    int rc = 0;
    if (a->count == 0)
        rc = error_set(&e, ERR_INVALID, "an array needs a task at least");
    else if (a->first >= HQ_TASK_ID_END || a->count > HQ_TASK_ID_END - a->first)
        rc = error_set(&e, ERR_TOO_BIG, "ids of tasks end before %u", HQ_TASK_ID_END);
    else if (spec->n_tasks + a->count > SUBMIT_TASKS_MAX)
        rc = error_set(&e, ERR_TOO_BIG, "a job cannot have more than %u tasks",
                       SUBMIT_TASKS_MAX);
    else if ((rc = add_group(spec, a, &e)) != 0)
        roll_back(spec, &before);
    else
        spec->n_tasks += a->count;
    return api_result(rc, err, &e);
}

int hq_spec_add(struct hq_spec *spec, uint32_t id, const struct hq_task *task,
                const uint32_t *needs, size_t n_needs, struct hq_error *err)
{
    const struct addition a = {
        .first = id, .count = 1, .task = task, .needs = needs, .n_needs = n_needs};
    return add(spec, &a, err);
}

int hq_spec_add_array(struct hq_spec *spec, uint32_t first, uint32_t count,
                      const struct hq_task *task, const uint32_t *needs, size_t n_needs,
                      struct hq_error *err)
{
    const struct addition a = {.first = first,
                               .count = count,
                               .task = task,
                               .needs = needs,
                               .n_needs = n_needs};
    return add(spec, &a, err);
}

int hq_spec_add_entries(struct hq_spec *spec, uint32_t first,
                        const struct hq_bytes *entries, uint32_t count,
                        const struct hq_task *task, const uint32_t *needs,
                        size_t n_needs, struct hq_error *err)
{
    const struct addition a = {.first = first,
                               .count = count,
                               .task = task,
                               .needs = needs,
                               .n_needs = n_needs,
                               .entries = entries};
    return add(spec, &a, err);
}

/* --- submitting --------------------------------------------------------- */

int hq_job_submit(struct hq_client *client, const struct hq_spec *spec, uint32_t *job,
                  struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct client *conn = NULL;
    /* Borrowed: what is one array is shown like one of `hq submit`. */
    struct submit submit = spec->submit;
    uint32_t id = 0;
    submit.graph = submit.n_groups > 1 || submit.n_needs;
    if (submit.n_groups == 0) {
        error_set(&e, ERR_INVALID, "a job needs a task at least");
        return api_fail(err, &e);
    }
    int rc = api_connection(client, &conn, &e);
    if (rc)
        return api_fail(err, &e);
    rc = client_put_submit(conn, &submit, &e);
    if (rc == 0)
        rc = client_submitted(conn, &id, &e);
    if (api_requested(client, rc))
        return api_fail(err, &e);
    *job = id;
    return 0;
}

int hq_job_open(struct hq_client *client, const char *name, int64_t max_fails,
                uint32_t *job, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct client *conn = NULL;
    uint32_t id = 0;
    char *dir = NULL;
    int rc = max_fails > UINT32_MAX
                 ? error_set(&e, ERR_INVALID, "max_fails is %u at most", UINT32_MAX)
                 : job_name_check(name, &e);
    if (rc == 0)
        rc = api_connection(client, &conn, &e);
    if (rc == 0)
        rc = current_dir(&dir, &e);
    if (rc)
        return api_fail(err, &e);
    struct msg_REQ_JOB_OPEN m = {.name = span_str(name),
                                 .max_fails = max_fails < 0 ? -1 : max_fails,
                                 .submit_dir = span_str(dir)};
    msg_put_REQ_JOB_OPEN(client_batch(conn), &m);
    free(dir);
    rc = api_requested(client, client_submitted(conn, &id, &e));
    if (rc)
        return api_fail(err, &e);
    *job = id;
    return 0;
}
