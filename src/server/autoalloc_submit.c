/* Submissions: the directory, the script, the program, and what it says. */
#include "server/autoalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/xmem.h"

/* One submission. The helper's thread works on it until its callback. */
struct submission {
    const struct batch_ops *ops;
    char *dir;
    struct buf script;
    char *id;            /* what the batch system gave */
    struct error parsed; /* why there is none */
    bool no_id_file;
};

static int write_files(void *arg, struct error *err)
{
    struct submission *sub = arg;
    int rc = path_mkdirs(sub->dir, 0700, err);
    if (rc != 0)
        return rc;
    char *path = path_join(sub->dir, BATCH_SCRIPT_NAME);
    rc = path_write_new(path, sub->script.data, sub->script.len, 0600, err);
    free(path);
    return rc;
}

static void read_id(void *arg, struct io_command_result *r)
{
    struct submission *sub = arg;
    struct error err = ERROR_INIT;
    if (!helper_ok(sub->ops->submit_program, r, &sub->parsed) ||
        sub->ops->read_id((struct span){r->out.data, r->out.len}, &sub->id,
                          &sub->parsed) != 0)
        return;
    char *path = path_join(sub->dir, AUTOALLOC_ID_FILE);
    sub->no_id_file = path_write_new(path, sub->id, strlen(sub->id), 0600, &err) != 0;
    free(path);
}

int autoalloc_check_worker(const struct server *s, const struct alloc_params *p,
                           struct error *err)
{
    if (!p->mpi_worker || access(s->alloc->mpi_worker, X_OK) == 0)
        return 0;
    return error_sys(err, "cannot start \"%s\" in allocations", s->alloc->mpi_worker);
}

static const char *worker_program(const struct server *s, const struct alloc_params *p)
{
    return p->mpi_worker ? s->alloc->mpi_worker : s->alloc->hq;
}

static void submission_begin(struct server *s, struct submission *sub,
                             const struct batch_script *script, helper_fn *fn,
                             void *arg)
{
    struct batch_command command = {VEC_INIT};
    sub->ops = batch_ops_of(script->params->manager);
    sub->dir = xstrdup(script->dir);
    buf_init(&sub->script, BUF_MAX_DEFAULT);
    sub->ops->script(script, &sub->script);
    batch_submit_command(sub->ops, sub->dir, &command);
    const struct helper_spec spec = {
        .command = &command, .dir = sub->dir, .before = write_files, .behind = read_id};
    helper_run(s, &spec, fn, arg);
}

/* Whether it worked; else why. */
static bool submission_ended(struct submission *sub, const struct io_command_result *r,
                             struct error *err)
{
    if (sub->id)
        return true;
    if (!r->started)
        (void)helper_ok(sub->ops->submit_program, r, err);
    else
        *err = sub->parsed;
    return false;
}

static void submission_release(struct submission *sub)
{
    free(sub->dir);
    free(sub->id);
    buf_release(&sub->script);
}

char *autoalloc_dir(const char *run, uint32_t queue, const struct alloc_params *p)
{
    return p->name ? xasprintf("%s/autoalloc/%u-%s", run, queue, p->name)
                   : xasprintf("%s/autoalloc/%u", run, queue);
}

static char *allocation_dir(const char *run, uint32_t queue,
                            const struct alloc_params *p, uint32_t k)
{
    char *of_queue = autoalloc_dir(run, queue, p);
    char *dir = xasprintf("%s/%03u", of_queue, k);
    free(of_queue);
    return dir;
}

/* ---- rounds ---------------------------------------------------------------------- */

struct round {
    struct submission sub; /* first: the thread gets the round */
    uint32_t queue;
    size_t n, at;
    uint32_t sizes[];
};

static void round_next(struct server *s, struct alloc_queue *q, struct round *r);

static void round_end(struct server *s, uint32_t queue, struct round *r)
{
    struct alloc_queue *q = alloc_book_queue(&s->alloc->book, queue);
    free(r);
    if (!q)
        return;
    q->asked = NULL;
    q->n_asked = 0;
    if (q->removing)
        autoalloc_removal_continue(s, queue);
}

struct allocation *autoalloc_queued(struct server *s, struct alloc_queue *q,
                                    const char *id, uint32_t workers, const char *dir)
{
    struct alloc_event e = {
        .id = span_str(id), .workers = workers, .dir = span_str(dir)};
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_ALLOC_QUEUED, s->now_us);
    buf_u32(&event, q->id);
    alloc_queued_encode(&e, &event);
    struct allocation *a = alloc_apply_queued(&s->alloc->book, q->id, &e, s->now_us);
    commit_event(s, &event);
    buf_release(&event);
    log_info("Queued %u worker(s) into queue %u: allocation ID %s", a->workers, q->id,
             a->id);
    return a;
}

static void take_submitted(struct server *s, struct alloc_queue *q, struct round *r)
{
    struct allocation *a =
        autoalloc_queued(s, q, r->sub.id, r->sizes[r->at], r->sub.dir);
    alloc_submit_ended(q, true);
    a->look_us = clock_mono_us() + s->alloc->look_ms * 1000;
    if (r->sub.no_id_file)
        log_warn("the file \"%s/jobid\" could not be written", r->sub.dir);
    autoalloc_find_workers(s, q, a);
    if (s->stopping)
        autoalloc_cancel_known(s, q, a);
}

static void on_submitted(struct server *s, void *arg, struct io_command_result *res)
{
    struct round *r = arg;
    struct error err = ERROR_INIT;
    struct alloc_queue *q = alloc_book_queue(&s->alloc->book, r->queue);
    HQ_ASSERT(q); /* a removal waits for the round */
    bool ok = submission_ended(&r->sub, res, &err);
    free(q->last_error);
    q->last_error = ok ? NULL : xstrdup(err.text);
    if (ok) {
        take_submitted(s, q, r);
    } else {
        log_error("Failed to submit allocation into queue %u: %s", q->id, err.text);
        alloc_submit_ended(q, false);
        autoalloc_note_inactive(s, r->sub.dir);
        autoalloc_judge(s, q);
    }
    submission_release(&r->sub);
    r->at++;
    if (ok && r->at < r->n && q->state == QUEUE_ACTIVE && !q->removing && !s->stopping)
        round_next(s, q, r);
    else
        round_end(s, q->id, r);
}

static void round_next(struct server *s, struct alloc_queue *q, struct round *r)
{
    uint32_t k = ++q->n_dirs;
    q->asked = r->sizes + r->at;
    q->n_asked = r->n - r->at;
    struct buf name = BUF_INIT(BUF_MAX_DEFAULT);
    char *dir = allocation_dir(s->run_dir, q->id, &q->params, k);
    batch_allocation_name(&q->params, q->id, k, &name);
    const struct batch_script script = {
        .params = &q->params,
        .name = buf_cstr(&name),
        .dir = dir,
        .server_dir = s->run_dir,
        .hq = worker_program(s, &q->params),
        .log_filter = getenv("RUST_LOG"),
        .workers = r->sizes[r->at],
    };
    memset(&r->sub, 0, sizeof r->sub);
    submission_begin(s, &r->sub, &script, on_submitted, r);
    buf_release(&name);
    free(dir);
}

void autoalloc_round(struct server *s, struct alloc_queue *q, const uint32_t *sizes,
                     size_t n)
{
    struct round *r = xcalloc(1, sizeof *r + n * sizeof *sizes);
    r->queue = q->id;
    r->n = n;
    memcpy(r->sizes, sizes, n * sizeof *sizes);
    round_next(s, q, r);
}

/* ---- trials ---------------------------------------------------------------------- */

struct trial {
    struct submission sub;
    struct alloc_params params;
    char *root; /* temporary directory */
    trial_fn *done;
    void *arg;
};

/* A server that is killed meanwhile cancels it when it comes back. */
static void note_trial(struct server *s, const struct trial *t, bool over)
{
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&event, EVENT_ALLOC_TRIAL, s->now_us);
    buf_str(&event, t->sub.id);
    buf_u8(&event, t->params.manager);
    buf_u8(&event, over);
    commit_event(s, &event);
    buf_release(&event);
}

static void trial_end(struct server *s, struct trial *t, const struct error *err)
{
    t->done(s, err, t->arg);
    submission_release(&t->sub);
    alloc_params_release(&t->params);
    free(t->root);
    free(t);
}

static int remove_root(void *arg, struct error *err)
{
    const struct trial *t = arg;
    return path_remove_tree(t->root, err);
}

static void on_removed(struct server *s, void *arg, struct io_command_result *r)
{
    struct trial *t = arg;
    if (r->rc != 0)
        log_warn("%s", r->err.text);
    trial_end(s, t, NULL);
}

static void on_trial_cancelled(struct server *s, void *arg, struct io_command_result *r)
{
    struct trial *t = arg;
    struct error err = ERROR_INIT;
    if (!helper_cancelled(t->sub.ops, r, &err)) {
        (void)error_prefix(&err,
                           "The trial allocation %s was submitted but could not be "
                           "canceled: ",
                           t->sub.id);
        trial_end(s, t, &err);
        return;
    }
    note_trial(s, t, true);
    const struct helper_spec spec = {.before = remove_root, .urgent = true};
    helper_run(s, &spec, on_removed, t);
}

static void on_trial_submitted(struct server *s, void *arg, struct io_command_result *r)
{
    struct trial *t = arg;
    struct error err = ERROR_INIT;
    if (!submission_ended(&t->sub, r, &err)) {
        struct error told = ERROR_INIT;
        (void)error_set(&told, err.code,
                        "Could not submit allocation: %s\nYou can find the submitted "
                        "script at %s/%s",
                        err.text, t->sub.dir, BATCH_SCRIPT_NAME);
        trial_end(s, t, &told);
        return;
    }
    struct batch_command command = {VEC_INIT};
    note_trial(s, t, false);
    batch_cancel_command(t->sub.ops, t->sub.id, &command);
    const struct helper_spec spec = {
        .command = &command, .dir = t->sub.dir, .urgent = true};
    helper_run(s, &spec, on_trial_cancelled, t);
}

void autoalloc_trial(struct server *s, struct alloc_params *params, trial_fn *done,
                     void *arg)
{
    struct trial *t = xcalloc(1, sizeof *t);
    struct buf name = BUF_INIT(BUF_MAX_DEFAULT);
    t->params = *params;
    alloc_params_init(params);
    t->done = done;
    t->arg = arg;
    t->root = xasprintf("%s/hqXXXXXX", path_temporary_dir());
    if (!mkdtemp(t->root)) {
        struct error err = ERROR_INIT;
        (void)error_sys(&err, "cannot create directory \"%s\"", t->root);
        trial_end(s, t, &err);
        return;
    }
    char *dir = allocation_dir(t->root, 0, &t->params, 1);
    batch_allocation_name(&t->params, 0, 1, &name);
    const struct batch_script script = {
        .params = &t->params,
        .name = buf_cstr(&name),
        .dir = dir,
        .server_dir = t->root,
        .hq = worker_program(s, &t->params),
        .log_filter = getenv("RUST_LOG"),
        .workers = t->params.max_workers_per_alloc,
        .trial = true,
    };
    submission_begin(s, &t->sub, &script, on_trial_submitted, t);
    buf_release(&name);
    free(dir);
}
