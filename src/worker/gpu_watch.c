/*
 * The load of GPUs for reports. The launcher runs the makers' programs, as it runs
 * tasks: nothing is forked from a rank, and nothing here waits. A program runs once at
 * a time; one that hangs, writes without end or is not there costs its family's numbers
 * and one warning.
 */
#include "worker/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/xmem.h"
#include "topo/gpu_load.h"

#define ANSWER_MS 10000

struct helper {
    struct worker *w;
    enum topo_family family;
    uint64_t handle; /* of the program while the launcher has it; else 0 */
    uint32_t slot, template_id;
    int fd; /* its output; -1: none */
    struct io_poll *poll;
    struct buf out;
    struct io_timer *deadline;
    const char *killed;    /* why; NULL: it was not */
    bool absent, warned;   /* there is no such program; the failure was told */
    struct hw_gpus answer; /* of the last run */
};

struct gpu_watch {
    struct helper *helpers[FAMILY_COUNT]; /* NULL: the worker has none of these GPUs */
};

static const char *name_of(const struct helper *h)
{
    return gpu_load_command(h->family)[0];
}

static void warn_once(struct helper *h, const char *why)
{
    if (!h->warned)
        log_warn("The load of GPUs is unknown: `%s`: %s", name_of(h), why);
    h->warned = true;
}

static void stop_reading(struct helper *h)
{
    io_poll_destroy(h->poll);
    h->poll = NULL;
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

static void kill_helper(struct helper *h, const char *why)
{
    struct error err = ERROR_INIT;
    h->killed = why;
    stop_reading(h);
    h->w->launcher_dirty = true;
    if (launcher_kill(h->w->launcher, h->slot, h->handle, LAUNCH_KILL_NOW, &err) != 0)
        log_warn("Cannot end `%s`: %s", name_of(h), err.text);
}

static void read_output(struct helper *h)
{
    while (h->fd >= 0) {
        uint8_t bytes[4096];
        ssize_t n = read(h->fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            stop_reading(h);
            return;
        }
        buf_append(&h->out, bytes, (size_t)n);
        if (h->out.failed)
            kill_helper(h, "it writes too much");
    }
}

static void on_output(void *arg, int events)
{
    (void)events;
    read_output(arg);
}

static void on_deadline(void *arg)
{
    kill_helper(arg, "it does not end");
}

static void on_started(struct helper *h, const struct launch_event *e)
{
    h->fd = e->out_fd;
    if (h->killed)
        stop_reading(h);
    if (h->fd >= 0)
        h->poll = io_poll_create(h->w->loop, h->fd, on_output, h);
    if (h->poll)
        io_poll_set(h->poll, IO_READ);
}

static void take_answer(struct helper *h, const struct launch_event *e)
{
    struct error err = ERROR_INIT;
    hw_gpus_release(&h->answer);
    if (h->killed || e->kind != LAUNCH_ENDED) {
        warn_once(h, h->killed ? h->killed : strerror(e->sys));
    } else if (gpu_load_parse(h->family, h->out.data, h->out.len, &h->answer, &err)) {
        char *why = e->exit_code != 0
                        ? xasprintf("exit status %d, %s", e->exit_code, err.text)
                        : xstrdup(err.text);
        warn_once(h, why);
        free(why);
    }
}

bool gpu_watch_event(struct worker *w, const struct launch_event *e)
{
    struct helper *h = NULL;
    for (size_t i = 0; w->gpus && i < FAMILY_COUNT; i++)
        if (w->gpus->helpers[i] && w->gpus->helpers[i]->handle == e->handle)
            h = w->gpus->helpers[i];
    if (!h)
        return false;
    if (e->kind == LAUNCH_STARTED) {
        on_started(h, e);
        return true;
    }
    /* What it left behind may keep the pipe open; what it wrote is there. */
    read_output(h);
    stop_reading(h);
    io_timer_stop(h->deadline);
    h->handle = 0;
    h->absent = e->kind == LAUNCH_FAILED && e->step == LAUNCH_STEP_EXEC;
    take_answer(h, e);
    overview_gpus_told(w);
    return true;
}

static void run_helper(struct worker *w, struct helper *h)
{
    struct error err = ERROR_INIT;
    const struct launch_binding anywhere = {0};
    struct launch_task task = {.handle = ++w->next_handle,
                               .slot = h->slot,
                               .template = h->template_id,
                               .urgent = true,
                               .binding = &anywhere};
    if (launcher_task(w->launcher, &task, &err) != 0) {
        warn_once(h, err.text);
        return;
    }
    w->launcher_dirty = true;
    h->handle = task.handle;
    h->killed = NULL;
    buf_clear(&h->out);
    io_timer_start(h->deadline, ANSWER_MS, 0);
}

void gpu_watch_ask(struct worker *w)
{
    for (size_t i = 0; w->gpus && i < FAMILY_COUNT; i++) {
        struct helper *h = w->gpus->helpers[i];
        if (h && !h->handle && !h->absent)
            run_helper(w, h);
    }
}

bool gpu_watch_busy(const struct worker *w)
{
    for (size_t i = 0; w->gpus && i < FAMILY_COUNT; i++)
        if (w->gpus->helpers[i] && w->gpus->helpers[i]->handle)
            return true;
    return false;
}

void gpu_watch_fill(const struct worker *w, struct hw_state *s)
{
    struct hw_gpus *to[FAMILY_COUNT] = {
        [FAMILY_NVIDIA] = &s->nvidia, [FAMILY_AMD] = &s->amd};
    for (size_t i = 0; w->gpus && i < FAMILY_COUNT; i++)
        if (w->gpus->helpers[i] &&
            hw_gpus_copy(to[i], &w->gpus->helpers[i]->answer) != 0)
            abort();
}

static struct helper *helper_create(struct worker *w, enum topo_family family)
{
    static const char *const env[] = {"LC_ALL=C"};
    const char *const *words = gpu_load_command(family);
    struct error err = ERROR_INIT;
    struct launch_spec spec = {.argv = words,
                               .env = env,
                               .n_env = ARRAY_SIZE(env),
                               .cwd = "/",
                               .out = {.kind = LAUNCH_OUTPUT_PIPE},
                               .session = true};
    while (words[spec.n_argv])
        spec.n_argv++;
    struct helper *h = xcalloc(1, sizeof *h);
    *h = (struct helper){.w = w, .family = family, .fd = -1};
    buf_init(&h->out, GPU_LOAD_BYTES_MAX);
    if (launcher_template(w->launcher, &spec, &h->template_id, &err) != 0) {
        log_warn("The load of GPUs is not reported: %s", err.text);
        free(h);
        return NULL;
    }
    h->slot = seat_take_slot(w);
    h->deadline = io_timer_create(w->loop, on_deadline, h);
    return h;
}

void gpu_watch_start(struct worker *w)
{
    w->gpus = xcalloc(1, sizeof *w->gpus);
    for (enum topo_family f = 0; f < FAMILY_COUNT; f++)
        if (pool_set_find(&w->setup->config.pools, topo_family_pool(f)))
            w->gpus->helpers[f] = helper_create(w, f);
}

void gpu_watch_stop(struct worker *w)
{
    for (size_t i = 0; w->gpus && i < FAMILY_COUNT; i++) {
        struct helper *h = w->gpus->helpers[i];
        if (!h)
            continue;
        if (h->handle)
            kill_helper(h, "the worker leaves");
        io_timer_destroy(h->deadline);
        buf_release(&h->out);
        hw_gpus_release(&h->answer);
        free(h);
    }
    free(w->gpus);
    w->gpus = NULL;
}
