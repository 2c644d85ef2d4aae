/* What the launcher tells: starts, ends, failures; how tasks end and what is said. */
#include "worker/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xmem.h"

/* ---- error texts ------------------------------------------------------------------
 */

static void put_sys(struct buf *out, int sys)
{
    buf_printf(out, "%s (os error %d)", strerror(sys), sys);
}

/* The words of the command joined by blanks; quotes and backslashes escaped. */
static void put_command(struct buf *out, const struct worker *w, const struct task *t)
{
    struct path_context ctx = task_path_context(w, t);
    for (size_t i = 0; i < t->group->n_argv; i++) {
        struct buf word = BUF_INIT(BUF_MAX_DEFAULT);
        if (t->group->dynamic_args)
            placeholders_expand(t->group->argv[i], &ctx, NULL,
                                t->group->body->body.shell, &word);
        else
            buf_puts(&word, t->group->argv[i]);
        if (i)
            buf_putc(out, ' ');
        for (const char *p = buf_cstr(&word); *p; p++) {
            if (*p == '"' || *p == '\\')
                buf_putc(out, '\\');
            buf_putc(out, *p);
        }
        buf_release(&word);
    }
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcmp(s + n - k, suffix) == 0;
}

static void exec_hints(struct buf *out, const char *word, const char *cwd, int sys)
{
    if (sys == ENOENT) {
        buf_printf(out,
                   "\nThe program that you have tried to execute (`%s`) was not found.",
                   word);
        char *path = xasprintf("%s/%s", cwd, word);
        if (*word && word[0] != '/' && strncmp(word, "./", 2) != 0 &&
            access(path, F_OK) == 0)
            buf_printf(out,
                       "\nThe file `%s` exists, maybe you have meant `./%s` instead?",
                       path, word);
        free(path);
    } else if (sys == EACCES && ends_with(word, ".sh")) {
        buf_printf(
            out,
            "\nThe script that you have tried to execute (`%s`) is not executable."
            "\nTry making it executable or add a shebang line to it.",
            word);
    }
}

/* Text of a start that failed at this step. */
static char *start_error(const struct worker *w, const struct task *t,
                         enum launch_step step, int sys)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_paths p = {0};
    struct path_context ctx = task_path_context(w, t);
    if (task_paths_resolve(&t->group->body->body, &ctx, &p) != 0)
        abort();
    switch (step) {
    case LAUNCH_STEP_ARGV:
    case LAUNCH_STEP_NONE:
        buf_puts(&b, "No command arguments");
        break;
    case LAUNCH_STEP_STDOUT_DIR:
        buf_printf(&b, "Cannot create stdout directory at %s: ", p.out ? p.out : "");
        put_sys(&b, sys);
        break;
    case LAUNCH_STEP_STDERR_DIR:
        buf_printf(&b, "Cannot create stderr directory at %s: ", p.err ? p.err : "");
        put_sys(&b, sys);
        break;
    case LAUNCH_STEP_CWD:
        buf_puts(&b, "Could not create working directory: ");
        put_sys(&b, sys);
        break;
    case LAUNCH_STEP_CHDIR:
        buf_printf(&b, "Could not create working directory: cannot enter %s: ", p.cwd);
        put_sys(&b, sys);
        break;
    case LAUNCH_STEP_MEMORY:
    case LAUNCH_STEP_STDIN:
        buf_puts(&b, "Cannot prepare the start of the program: ");
        put_sys(&b, sys);
        break;
    case LAUNCH_STEP_AFFINITY:
    case LAUNCH_STEP_POLICY:
        buf_printf(&b, "Pinning failed, %s cannot be applied: ",
                   step == LAUNCH_STEP_AFFINITY ? "the CPU mask" : "the memory policy");
        put_sys(&b, sys);
        break;
    case LAUNCH_STEP_STDOUT:
    case LAUNCH_STEP_STDERR:
        buf_puts(&b, "Creating stream file failed: ");
        put_sys(&b, sys);
        break;
    case LAUNCH_STEP_EXEC:
        buf_puts(&b, "Cannot execute \"");
        put_command(&b, w, t);
        buf_puts(&b, "\": ");
        put_sys(&b, sys);
        exec_hints(&b, t->group->argv[0], p.cwd, sys);
        break;
    }
    task_paths_release(&p);
    return buf_steal(&b);
}

/* ---- ends -------------------------------------------------------------------------
 */

static void set_message(struct task *t, char *text)
{
    free(t->message);
    t->message = text;
}

static void decide_state(struct task *t)
{
    struct task_end *e = &t->end;
    if (t->canceled) {
        e->state = TASK_CANCELED;
        return;
    }
    e->state = TASK_FAILED;
    if (t->timed_out) {
        e->failure = FAILURE_TIME_LIMIT;
    } else if (t->message) {
        e->failure = FAILURE_MESSAGE;
    } else if (e->failure == FAILURE_NONE) {
        e->state = TASK_FINISHED;
    } else {
        set_message(t, taskdir_error_text(t));
        if (t->message)
            e->failure = FAILURE_MESSAGE;
    }
    if (e->failure == FAILURE_MESSAGE)
        e->message = span_str(t->message);
}

static void remove_if_finished(const struct task *t)
{
    const struct task_body *b = &t->group->body->body;
    if (t->end.state != TASK_FINISHED)
        return;
    if (b->out.rm_if_finished && t->out)
        (void)unlink(t->out);
    if (b->err.rm_if_finished && t->err)
        (void)unlink(t->err);
}

void task_complete(struct worker *w, struct task *t)
{
    struct task_end *e = &t->end;
    e->job = t->job;
    e->slot = t->slot;
    e->instance = t->instance;
    e->variant = t->gang ? 0 : e->variant;
    /* A server that left tasks with us after a reconnect gave each a grant of its own,
     * since it does not know which of them share a seat. */
    e->released = t->released || (t->lane && t->lane->orphan);
    decide_state(t);
    remove_if_finished(t);
    if (!t->discard)
        report_end(w, t);
    task_free(w, t);
    worker_check_leave(w);
}

static struct outlog_end log_end_of(const struct task *t)
{
    const struct task_end *e = &t->end;
    enum outlog_state state = OUTLOG_FINISHED;
    if (t->canceled || t->discard)
        state = OUTLOG_CANCELED;
    else if (t->timed_out)
        state = OUTLOG_TIME_LIMIT;
    else if (e->failure != FAILURE_NONE || t->message)
        state = OUTLOG_FAILED;
    return (struct outlog_end){
        .state = state,
        .signal = e->failure == FAILURE_SIGNAL ? (uint8_t)e->exit : 0,
        .cut = t->kill_sent,
        .exit_code = e->failure == FAILURE_SIGNAL ? -1 : e->exit,
        .start_us = e->started ? e->start_us : 0,
        .end_us = e->end_us,
    };
}

void task_output_ended(struct worker *w, struct task *t)
{
    if (t->seat && t->seat->lane) {
        t->end.variant = t->seat->lane->variant;
        task_took(t, t->end.end_us - t->end.start_us);
    }
    seat_left(w, t);
    if (t->stream) {
        /* Its end is told later than those of tasks behind it: until then the server
         * must not take it for one that waits here. */
        if (!t->discard && !t->reported_start && !list_linked(&t->started))
            report_start(w, t);
        struct outlog_end end = log_end_of(t);
        outlog_task_end(t->stream, &end, report_end_within_us(w, t), clock_mono_us());
        return; /* on_done completes it */
    }
    task_complete(w, t);
}

void task_fail_before_start(struct worker *w, struct task *t, bool started, char *text)
{
    set_message(t, text);
    t->phase = PHASE_OVER;
    t->exited = true;
    t->end.started = started;
    if (t->end.end_us == 0)
        t->end.end_us = worker_now_us();
    if (t->end.start_us == 0)
        t->end.start_us = t->end.end_us;
    task_output_ended(w, t);
}

/* ---- ends in doubt ----------------------------------------------------------------
 *
 * A batch system that ends a step signals all of its processes, tasks as well, one
 * after another. A task that SIGTERM ended without our doing is therefore told only
 * when this worker had time to get the signal too: then it did not fail, it was
 * interrupted. */

#define DOUBT_MS 250

static void settle_end(struct worker *w, struct task *t)
{
    t->phase = PHASE_OVER;
    t->exited = true;
    if (streams_open(t))
        streams_exited(t); /* ends the task when both channels are at their end */
    else
        task_output_ended(w, t);
}

static void on_doubt_over(void *arg)
{
    struct task *t = arg;
    settle_end(t->worker, t);
}

static bool is_doubtful(const struct worker *w, const struct task *t)
{
    const struct task_end *e = &t->end;
    bool by_sigterm = (e->failure == FAILURE_SIGNAL && e->exit == SIGTERM) ||
                      (e->failure == FAILURE_EXIT && e->exit == 128 + SIGTERM);
    return by_sigterm && !t->kill_sent && w->mode <= MODE_LOST;
}

/* ---- time limits and kills ---------------------------------------------------------
 */

void task_kill(struct worker *w, struct task *t, enum launch_kill how)
{
    struct error err = ERROR_INIT;
    if (t->exited) {
        /* A child holds the channels open; what it writes from now on is not wanted. */
        streams_close(t);
        return;
    }
    if (t->phase == PHASE_DOUBTED) {
        io_timer_stop(t->deadline);
        settle_end(w, t);
        return;
    }
    if (t->phase == PHASE_LOG) {
        t->kill_sent = true; /* seen when the log is open */
        return;
    }
    if (t->kill_sent && how == LAUNCH_KILL_GRACEFUL)
        return;
    t->kill_sent = true;
    w->launcher_dirty = true;
    if (launcher_kill(w->launcher, t->seat->slot, t->handle, how, &err) != 0)
        log_warn("Cannot end task %u@%u: %s", t->job, t->task_id, err.text);
}

struct task **tasks_now(const struct worker *w, size_t *n)
{
    size_t pos = 0;
    uint64_t handle, value;
    struct task **all = xmalloc((w->tasks.n + 1) * sizeof *all);
    *n = 0;
    while (u64map_next(&w->tasks, &pos, &handle, &value))
        all[(*n)++] = (struct task *)(uintptr_t)value;
    return all;
}

void kill_all(struct worker *w, enum launch_kill how)
{
    size_t n;
    struct task **all = tasks_now(w, &n);
    for (size_t i = 0; i < n; i++) {
        if (!all[i]->exited)
            all[i]->discard = true;
        task_kill(w, all[i], how);
    }
    free(all);
}

static void on_deadline(void *arg)
{
    struct task *t = arg;
    struct worker *w = t->worker;
    t->timed_out = true;
    task_kill(w, t, LAUNCH_KILL_GRACEFUL);
}

static void start_deadline(struct worker *w, struct task *t)
{
    uint64_t limit_ns = t->group->body->body.time_limit_ns;
    if (!limit_ns)
        return;
    uint64_t used_us = worker_now_us() - t->end.start_us;
    uint64_t left_us = limit_ns / 1000 > used_us ? limit_ns / 1000 - used_us : 0;
    t->deadline = io_timer_create(w->loop, on_deadline, t);
    io_timer_start(t->deadline, (left_us + 999) / 1000, 0);
}

/* ---- events of the launcher ---------------------------------------------------------
 */

static void on_started(struct worker *w, struct task *t, const struct launch_event *e)
{
    if (t->phase != PHASE_LAUNCHED)
        return;
    t->phase = PHASE_RUNNING;
    t->end.started = true;
    t->end.start_us = e->start_us;
    if (t->seat->lane)
        t->end.variant = t->seat->lane->variant;
    if (&t->node == list_first(&t->seat->tasks))
        t->seat->head_since_us = clock_mono_us();
    start_deadline(w, t);
    streams_started(w, t, e->out_fd, e->err_fd);
    if (!t->discard)
        report_start(w, t);
}

static void on_ended(struct worker *w, struct task *t, const struct launch_event *e)
{
    struct task_end *end = &t->end;
    if (t->deadline)
        io_timer_stop(t->deadline);
    end->started = true;
    end->start_us = e->start_us;
    end->end_us = e->end_us;
    end->user_ms = (uint32_t)(e->utime_us / 1000);
    end->system_ms = (uint32_t)(e->stime_us / 1000);
    end->max_rss_kib = (uint32_t)e->maxrss_kib;
    if (e->term_signal) {
        end->failure = FAILURE_SIGNAL;
        end->exit = (uint16_t)e->term_signal;
    } else if (e->exit_code) {
        end->failure = FAILURE_EXIT;
        end->exit = (uint16_t)e->exit_code;
    }
    if (!is_doubtful(w, t)) {
        settle_end(w, t);
        return;
    }
    t->phase = PHASE_DOUBTED;
    io_timer_destroy(t->deadline);
    t->deadline = io_timer_create(w->loop, on_doubt_over, t);
    io_timer_start(t->deadline, DOUBT_MS, 0);
}

/* A plain file among the parents shows only when the output is opened. */
static enum launch_step real_step(const struct launch_event *e)
{
    if (e->sys == ENOTDIR && e->step == LAUNCH_STEP_STDOUT)
        return LAUNCH_STEP_STDOUT_DIR;
    if (e->sys == ENOTDIR && e->step == LAUNCH_STEP_STDERR)
        return LAUNCH_STEP_STDERR_DIR;
    return e->step;
}

static void on_failed(struct worker *w, struct task *t, const struct launch_event *e)
{
    enum launch_step step = real_step(e);
    bool before = step == LAUNCH_STEP_STDOUT_DIR || step == LAUNCH_STEP_STDERR_DIR ||
                  e->step == LAUNCH_STEP_NONE;
    t->end.start_us = e->start_us;
    t->end.end_us = e->end_us ? e->end_us : e->start_us;
    streams_close(t);
    task_fail_before_start(w, t, !before, start_error(w, t, step, e->sys));
}

static void on_returned(struct worker *w, struct task *t)
{
    bool wanted = t->retract_sent && !t->kill_sent;
    t->retract_sent = false;
    if (wanted && t->stream) {
        outlog_task_drop(t->stream);
        t->stream = NULL;
    }
    if (wanted && worker_serving(w)) {
        HQ_ASSERT(!t->lane->orphan); /* those were not claimed in a reconnect */
        lane_put_back(w, t);
        return;
    }
    /* Killed before it was started, or the server's again, which is away. */
    t->phase = PHASE_OVER;
    t->exited = true;
    t->discard |= wanted;
    if (!t->canceled && !t->message)
        set_message(t, xstrdup("The task was ended before its start"));
    t->end.end_us = worker_now_us();
    t->end.start_us = t->end.end_us;
    task_output_ended(w, t);
}

static void close_fds(const struct launch_event *e)
{
    if (e->kind != LAUNCH_STARTED)
        return;
    if (e->out_fd >= 0)
        close(e->out_fd);
    if (e->err_fd >= 0)
        close(e->err_fd);
}

void on_launch_event(void *arg, const struct launch_event *e)
{
    struct worker *w = arg;
    struct task *t = task_of_handle(w, e->handle);
    if (!t) {
        if (!gpu_watch_event(w, e))
            close_fds(e);
        return;
    }
    switch (e->kind) {
    case LAUNCH_STARTED:
        on_started(w, t, e);
        break;
    case LAUNCH_ENDED:
        on_ended(w, t, e);
        break;
    case LAUNCH_FAILED:
        on_failed(w, t, e);
        break;
    case LAUNCH_RETURNED:
        on_returned(w, t);
        break;
    case LAUNCH_KEPT:
        t->retract_sent = false;
        break;
    }
}
