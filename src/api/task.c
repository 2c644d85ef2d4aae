/* Descriptions of tasks. */
#include <hq/submit.h>
#include <stdlib.h>
#include <string.h>
#include "api/internal.h"

#define NS_PER_MS UINT64_C(1000000)

static uint64_t ms_to_ns(uint64_t ms)
{
    return ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : ms * NS_PER_MS;
}

/* --- life --------------------------------------------------------------- */

static int copy_argv(struct hq_task *task, const char *const *argv)
{
    size_t n = 0;
    while (argv[n])
        n++;
    task->argv = calloc(n + 1, sizeof *task->argv);
    if (!task->argv)
        return ERR_NOMEM;
    for (; task->n_argv < n; task->n_argv++) {
        task->argv[task->n_argv] = strdup(argv[task->n_argv]);
        if (!task->argv[task->n_argv])
            return ERR_NOMEM;
    }
    return 0;
}

static int add_variant(struct hq_task *task, struct error *err)
{
    struct request_variant variant = REQUEST_VARIANT_INIT;
    return request_add(&task->body.request, &variant, err);
}

int hq_task_create(const char *const *argv, struct hq_task **task, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    if (!argv || !argv[0]) {
        error_set(&e, ERR_INVALID, "a command needs a word at least");
        return api_fail(err, &e);
    }
    struct hq_task *made = calloc(1, sizeof *made);
    if (!made) {
        error_nomem(&e);
        return api_fail(err, &e);
    }
    task_body_init(&made->body);
    int rc = copy_argv(made, argv) ? error_nomem(&e) : add_variant(made, &e);
    if (rc) {
        hq_task_destroy(made);
        return api_fail(err, &e);
    }
    *task = made;
    return 0;
}

void hq_task_destroy(struct hq_task *task)
{
    if (!task)
        return;
    for (size_t i = 0; i < task->n_argv; i++)
        free(task->argv[i]);
    free(task->argv);
    task_body_release(&task->body);
    free(task);
}

/* --- texts -------------------------------------------------------------- */

/* Replaces *to by a copy; NULL stays NULL. */
static int set_text(char **to, const char *from, const char *what, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    if (from && !*from) {
        error_set(&e, ERR_INVALID, "%s cannot be empty", what);
        return api_fail(err, &e);
    }
    char *copy = from ? strdup(from) : NULL;
    if (from && !copy) {
        error_nomem(&e);
        return api_fail(err, &e);
    }
    free(*to);
    *to = copy;
    return 0;
}

int hq_task_setenv(struct hq_task *task, const char *name, const char *value,
                   struct hq_error *err)
{
    struct error e = ERROR_INIT;
    int rc = 0;
    if (!*name || strchr(name, '='))
        rc = error_set(&e, ERR_INVALID,
                       "'%s' cannot be the name of an environment variable", name);
    else if (task_body_setenv(&task->body, name, value))
        rc = error_nomem(&e);
    return api_result(rc, err, &e);
}

int hq_task_set_cwd(struct hq_task *task, const char *path, struct hq_error *err)
{
    return set_text(&task->body.cwd, path, "the working directory", err);
}

static int set_channel(struct stdio_spec *channel, const char *path,
                       struct hq_error *err)
{
    int rc = set_text(&channel->path, path, "the path of an output file", err);
    if (rc == 0)
        channel->kind = path ? STDIO_FILE : STDIO_NONE;
    return rc;
}

int hq_task_set_stdout(struct hq_task *task, const char *path, struct hq_error *err)
{
    return set_channel(&task->body.out, path, err);
}

int hq_task_set_stderr(struct hq_task *task, const char *path, struct hq_error *err)
{
    return set_channel(&task->body.err, path, err);
}

int hq_task_set_stdin(struct hq_task *task, const void *data, size_t n,
                      struct hq_error *err)
{
    struct error e = ERROR_INIT;
    if (n > TASK_INPUT_MAX) {
        error_set(&e, ERR_TOO_BIG, "standard input is larger than %zu MiB",
                  TASK_INPUT_MAX >> 20);
        return api_fail(err, &e);
    }
    uint8_t *copy = malloc(n + 1);
    if (!copy) {
        error_nomem(&e);
        return api_fail(err, &e);
    }
    if (n)
        memcpy(copy, data, n);
    free(task->body.input);
    task->body.input = copy;
    task->body.n_input = n;
    task->body.has_input = true;
    return 0;
}

static int set_stream(struct hq_task *task, const char *path, uint8_t kind,
                      struct hq_error *err)
{
    struct error e = ERROR_INIT;
    if (!path) {
        error_set(&e, ERR_INVALID, "a log needs a path");
        return api_fail(err, &e);
    }
    int rc = set_text(&task->body.stream, path, "the path of a log", err);
    if (rc == 0)
        task->body.stream_kind = kind;
    return rc;
}

int hq_task_set_log(struct hq_task *task, const char *path, struct hq_error *err)
{
    return set_stream(task, path, STREAM_FILE, err);
}

int hq_task_set_stream(struct hq_task *task, const char *dir, struct hq_error *err)
{
    return set_stream(task, dir, STREAM_DIR, err);
}

/* --- numbers ------------------------------------------------------------ */

void hq_task_set_priority(struct hq_task *task, int32_t priority)
{
    task->body.priority = priority;
}

void hq_task_set_time_limit(struct hq_task *task, uint64_t limit_ms)
{
    task->body.time_limit_ns = ms_to_ns(limit_ms);
}

void hq_task_set_task_dir(struct hq_task *task, int on)
{
    task->body.task_dir = on != 0;
}

int hq_task_set_crash_limit(struct hq_task *task, uint32_t limit, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    if (limit > UINT16_MAX && limit != HQ_CRASH_UNLIMITED) {
        error_set(&e, ERR_INVALID, "a crash limit is 1 to 65535, or one of two words");
        return api_fail(err, &e);
    }
    task->body.crash_limit = limit;
    return 0;
}

_Static_assert(HQ_CRASH_NEVER_RESTART == CRASH_LIMIT_NEVER_RESTART &&
                   HQ_CRASH_UNLIMITED == CRASH_LIMIT_UNLIMITED,
               "limits are those of the public header");
_Static_assert((int)HQ_PIN_DOMAINS == PIN_NONE && (int)HQ_PIN_TASKSET == PIN_TASKSET &&
                   (int)HQ_PIN_OMP == PIN_OMP && (int)HQ_PIN_OFF == PIN_OFF,
               "numbers of pinning are those of the public header");

int hq_task_set_pin(struct hq_task *task, enum hq_pin pin, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    switch (pin) {
    case HQ_PIN_DOMAINS:
    case HQ_PIN_TASKSET:
    case HQ_PIN_OMP:
    case HQ_PIN_OFF:
        task->body.pin = (uint8_t)pin;
        return 0;
    }
    error_set(&e, ERR_INVALID, "there is no pinning number %d", (int)pin);
    return api_fail(err, &e);
}

/* --- resources ---------------------------------------------------------- */

static struct request_variant *last_variant(struct hq_task *task)
{
    return &task->body.request.variants[task->body.request.n_variants - 1];
}

static int require(struct request_variant *v, const char *resource, const char *amount,
                   struct error *err)
{
    enum request_policy policy;
    uint64_t n;
    if (!resource_name_valid(resource))
        return error_set(err, ERR_INVALID,
                         "'%s' cannot be the name of a resource: letters, digits and "
                         "'/' are possible, the first is a letter",
                         resource);
    if (v->n_nodes)
        return error_set(err, ERR_INVALID, "whole nodes are asked for, not resources");
    int rc = request_value_parse(amount, &policy, &n, err);
    return rc ? rc : request_variant_add(v, resource, policy, n, err);
}

int hq_task_require(struct hq_task *task, const char *resource, const char *amount,
                    struct hq_error *err)
{
    struct error e = ERROR_INIT;
    int rc = require(last_variant(task), resource, amount, &e);
    return api_result(rc, err, &e);
}

int hq_task_set_nodes(struct hq_task *task, uint32_t nodes, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    struct request_variant *v = last_variant(task);
    if (nodes && (v->n_entries || task->body.request.n_variants > 1)) {
        error_set(&e, ERR_INVALID,
                  "whole nodes cannot be asked for beside resources or other variants");
        return api_fail(err, &e);
    }
    v->n_nodes = nodes;
    return 0;
}

void hq_task_set_time_request(struct hq_task *task, uint64_t request_ms)
{
    last_variant(task)->min_time_ns = ms_to_ns(request_ms);
}

int hq_task_add_variant(struct hq_task *task, struct hq_error *err)
{
    struct error e = ERROR_INIT;
    int rc = 0;
    if (last_variant(task)->n_nodes)
        rc = error_set(&e, ERR_INVALID,
                       "a multi-node request cannot have several variants");
    else if (task->body.request.n_variants >= REQUEST_VARIANTS_MAX)
        rc = error_set(&e, ERR_TOO_BIG, "a request has %d variants at most",
                       REQUEST_VARIANTS_MAX);
    else
        rc = add_variant(task, &e);
    return api_result(rc, err, &e);
}

/* One cpu where nothing else is said, as `hq submit` does it. */
static int add_cpu(struct request *request, struct error *err)
{
    struct request_variant *v = &request->variants[0];
    if (request->n_variants > 1 || v->n_nodes || request_variant_find(v, "cpus"))
        return 0;
    return request_variant_add(v, "cpus", POLICY_COMPACT, AMOUNT_ONE, err);
}

int api_task_body(const struct hq_task *task, struct task_body *out, struct error *err)
{
    task_body_init(out);
    if (task_body_copy(out, &task->body))
        return error_nomem(err);
    if (out->request.variants[0].n_nodes)
        out->pin = PIN_NONE; /* whole nodes are pinned by what runs there */
    int rc = add_cpu(&out->request, err);
    if (rc)
        task_body_release(out);
    return rc;
}
