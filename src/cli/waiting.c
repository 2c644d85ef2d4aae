#include "cli/waiting.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/text.h"
#include "base/xmem.h"
#include "cli/job_text.h"
#include "client/requests.h"

extern char **environ;

bool waiting_fails_on_error(const struct run *r)
{
    const char *env = getenv("HQ_WAIT_FAIL_ON_ERROR");
    return args_flag(r->args, "fail-on-error") || (env && strcmp(env, "1") == 0);
}

/* --- notifications ------------------------------------------------------ */

/* The environment of the handler: ours with three variables in front, NULL-ended. */
static char **handler_environment(char *added[3])
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **env = xcalloc(n + 4, sizeof *env);
    size_t k = 0;
    for (; k < 3; k++)
        env[k] = added[k];
    for (size_t i = 0; i < n; i++) {
        bool replaced = false;
        for (size_t a = 0; a < 3; a++) {
            size_t len = strcspn(added[a], "=") + 1;
            replaced = replaced || strncmp(environ[i], added[a], len) == 0;
        }
        if (!replaced)
            env[k++] = environ[i];
    }
    return env;
}

static void run_words(char **words, char **env)
{
    pid_t pid;
    int status = 0;
    int rc = posix_spawnp(&pid, words[0], NULL, NULL, words, env);
    if (rc) {
        struct error why = ERROR_INIT;
        error_errno(&why, rc, "%s", "");
        log_warn("Failed to run on_notify callback: %s", why.text);
        return;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status))
        log_warn("on_notify callback finished with exit code: exit status: %d",
                 WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        log_warn("on_notify callback finished with exit code: signal: %d",
                 WTERMSIG(status));
}

static void log_call(struct waiting *w, char **words, const struct msg_RSP_NOTIFY *m)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    buf_printf(&text, "Running on_notify callback: %s [", words[0]);
    for (size_t i = 1; words[i + 1]; i++)
        buf_printf(&text, "%s\"%s\"", i > 1 ? ", " : "", words[i]);
    buf_printf(&text,
               "]: TaskNotification { job: %u, task: %u, worker: %u, message: \"",
               m->job, m->task, m->worker);
    text_lossy(&text, (const char *)m->message.p, m->message.n);
    buf_puts(&text, "\" }");
    if (w->notices)
        notice_info(w->notices, "%s", buf_cstr(&text));
    else
        log_info("%s", buf_cstr(&text));
    buf_release(&text);
}

static void call_handler(struct waiting *w, const struct msg_RSP_NOTIFY *m)
{
    char **split = NULL;
    size_t n = 0;
    if (text_shell_split(w->on_notify, &split, &n, NULL))
        n = 0;
    char **words = xcalloc(n + 3, sizeof *words);
    for (size_t i = 0; i < n; i++)
        words[i] = split[i];
    char *whole = xstrdup(w->on_notify);
    if (n == 0)
        words[n++] = whole;
    char *message = words[n] = xstrndup((const char *)m->message.p, m->message.n);
    char *added[3] = {xasprintf("HQ_JOB_ID=%u", m->job),
                      xasprintf("HQ_TASK_ID=%u", m->task),
                      xasprintf("HQ_WORKER_ID=%u", m->worker)};
    char **env = handler_environment(added);
    log_call(w, words, m);
    run_words(words, env);
    for (size_t i = 0; i < 3; i++)
        free(added[i]);
    free(env);
    free(message);
    free(whole);
    free(words);
    text_free_words(split);
}

/* --- progress ----------------------------------------------------------- */

static uint64_t active_tasks(const struct task_counts *c)
{
    return (uint64_t)c->n[TASK_WAITING] + c->n[TASK_RUNNING];
}

static uint64_t ended_tasks(const struct task_counts *c)
{
    return (uint64_t)c->n[TASK_FINISHED] + c->n[TASK_FAILED] + c->n[TASK_CANCELED] +
           c->n[TASK_ABORTED];
}

static void draw(struct output *o, const struct wait_snapshot *s)
{
    static const enum task_state order[] = {TASK_RUNNING, TASK_FINISHED, TASK_FAILED,
                                            TASK_CANCELED, TASK_ABORTED};
    struct buf line = BUF_INIT(BUF_MAX_DEFAULT);
    uint64_t ended = ended_tasks(&s->counts);
    print_progress_bar(&s->counts, o, &line);
    output_printf(o, "\r\x1b[2K%s %u/%u jobs, %llu/%llu tasks", buf_cstr(&line),
                  s->jobs_done, s->jobs, (unsigned long long)ended,
                  (unsigned long long)(ended + active_tasks(&s->counts)));
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        if (s->counts.n[order[i]])
            output_printf(o, " %u %s", s->counts.n[order[i]],
                          task_state_labels[order[i]]);
    output_flush(o);
    buf_release(&line);
}

static void announce(struct waiting *w, const struct wait_snapshot *s)
{
    uint64_t tasks = w->submitted ? *w->submitted : active_tasks(&s->counts);
    const char *job_s = s->jobs == 1 ? "" : "s", *task_s = tasks == 1 ? "" : "s";
    if (w->notices)
        notice_info(w->notices, "Waiting for %u job%s with %llu task%s", s->jobs, job_s,
                    (unsigned long long)tasks, task_s);
    else
        log_info("Waiting for %u job%s with %llu task%s", s->jobs, job_s,
                 (unsigned long long)tasks, task_s);
}

/* The first snapshot; whether there is something to wait for. */
static bool begin_progress(struct waiting *w, const struct wait_snapshot *s)
{
    if (!w->submitted && active_tasks(&s->counts) == 0) {
        log_warn("There are no jobs to wait for");
        return false;
    }
    announce(w, s);
    return true;
}

static int follow(struct client *c, struct output *o, struct waiting *w,
                  struct error *err)
{
    struct wait_snapshot s = {.done = false};
    bool bar = w->progress && o->mode == OUTPUT_CLI, begun = !w->progress;
    while (!s.done) {
        uint8_t type;
        struct span body;
        struct msg_RSP_NOTIFY notify;
        int rc = client_receive(c, &type, &body, err);
        if (rc)
            return rc;
        if (type == MSG_RSP_NOTIFY) {
            rc = msg_get_RSP_NOTIFY(body, &notify, err);
            if (rc)
                return rc;
            if (w->on_notify)
                call_handler(w, &notify);
            continue;
        }
        if (type != MSG_RSP_PROGRESS)
            return client_unwanted(type, body, err);
        rc = wait_snapshot_get(body, &s, err);
        if (rc)
            return rc;
        w->counts = s.counts;
        if (!begun && !begin_progress(w, &s))
            return 0;
        begun = true;
        if (bar)
            draw(o, &s);
    }
    if (bar)
        output_puts(o, "\n");
    return 0;
}

void waiting_put(struct client *c, const struct waiting *w)
{
    const struct wait_options options = {.jobs = w->jobs,
                                         .without_close = w->without_close,
                                         .progress = w->progress,
                                         .notify = w->on_notify != NULL};
    client_put_wait(c, &options);
}

int waiting_follow(struct client *c, struct output *o, struct waiting *w,
                   struct error *err)
{
    int rc = follow(c, o, w, err);
    w->failed = rc == 0 && w->fail_on_error &&
                ended_tasks(&w->counts) > w->counts.n[TASK_FINISHED];
    return rc;
}

int waiting_run(struct client *c, struct output *o, struct waiting *w,
                struct error *err)
{
    waiting_put(c, w);
    int rc = client_send(c, err);
    return rc ? rc : waiting_follow(c, o, w, err);
}
