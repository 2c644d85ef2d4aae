/*
 * Helper commands. A detached thread each does what may block on a slow disk: what
 * comes before, the start of the program (vfork waits for its exec), reading, what
 * comes behind. The loop only hears of the end.
 */
#include "io/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/xmem.h"

#define STACK_BYTES ((size_t)256 << 10)
#define TERM_GRACE_US 2000000ULL
#define WAIT_STEP_MS 20 /* where the kernel has no descriptors of processes */

extern char **environ;

/* What the thread works on; freed by the side that lets go of it last. */
struct job {
    pthread_mutex_t lock; /* of `abandoned` and `done` */
    bool abandoned, done;
    struct io_command *command; /* not when abandoned */
    struct io_command_spec spec;
    char **argv;
    char *dir;
    int stop_fd; /* an event: it has to end */
    struct io_command_result result;
};

struct io_command {
    uv_async_t uv;
    struct job *job;
    io_command_fn *fn;
    void *arg;
};

static void job_free(struct job *j)
{
    for (char **p = j->argv; p && *p; p++)
        free(*p);
    free(j->argv);
    free(j->dir);
    buf_release(&j->result.out);
    buf_release(&j->result.err_out);
    if (j->stop_fd >= 0)
        close(j->stop_fd);
    (void)pthread_mutex_destroy(&j->lock);
    free(j);
}

/* ---- the thread ------------------------------------------------------------------ */

struct child {
    pid_t pid;
    int pid_fd; /* -1: not to be had */
    int out, err;
    bool ended;
};

static bool is_dir(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int child_spawn(struct child *c, struct job *j, const int out[2],
                       const int err[2])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGHUP);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&actions, is_dir(j->dir) ? j->dir : "/");
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    int sys = posix_spawnp(&c->pid, j->argv[0], &actions, &attr, j->argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return sys;
}

static int child_start(struct child *c, struct job *j)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, sys;
    *c = (struct child){.pid_fd = -1, .out = -1, .err = -1};
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        sys = errno;
    else
        sys = child_spawn(c, j, out, err);
    if (out[1] >= 0)
        close(out[1]);
    if (err[1] >= 0)
        close(err[1]);
    c->out = out[0];
    c->err = err[0];
    if (sys != 0)
        return error_errno(&j->result.err, sys, "%s", "");
    (void)fcntl(c->out, F_SETFL, O_NONBLOCK);
    (void)fcntl(c->err, F_SETFL, O_NONBLOCK);
    c->pid_fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    return 0;
}

/* Takes what is there; closes the pipe at its end. */
static void child_read(int *fd, struct buf *to)
{
    char bytes[4096];
    while (*fd >= 0) {
        ssize_t n = read(*fd, bytes, sizeof bytes);
        if (n > 0) {
            buf_append(to, bytes, (size_t)n);
            if (to->failed)
                return;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || errno != EAGAIN) {
            close(*fd);
            *fd = -1;
        }
        return;
    }
}

static bool child_reap(struct child *c, struct job *j, int flags)
{
    pid_t pid;
    while ((pid = waitpid(c->pid, &j->result.status, flags)) < 0 && errno == EINTR)
        ;
    c->ended |= pid != 0;
    return c->ended;
}

/* One wait for something new, at most until the moment; false: that has come. */
static bool child_wait(struct child *c, struct job *j, uint64_t until_us,
                       bool stoppable)
{
    struct pollfd p[] = {{.fd = c->out, .events = POLLIN},
                         {.fd = c->err, .events = POLLIN},
                         {.fd = c->pid_fd, .events = POLLIN},
                         {.fd = stoppable ? j->stop_fd : -1, .events = POLLIN}};
    uint64_t now = clock_mono_us();
    if (now >= until_us)
        return false;
    int ms = (int)MIN((until_us - now) / 1000 + 1, 60000u);
    (void)poll(p, ARRAY_SIZE(p), c->pid_fd < 0 ? MIN(ms, WAIT_STEP_MS) : ms);
    child_read(&c->out, &j->result.out);
    child_read(&c->err, &j->result.err_out);
    return !(stoppable && (p[3].revents & POLLIN));
}

/* Until it ended: what holds its output open behind it is not waited for. */
static void child_run(struct child *c, struct job *j)
{
    struct io_command_result *r = &j->result;
    uint64_t deadline = clock_mono_us() + j->spec.timeout_ms * 1000;
    while (!child_reap(c, j, WNOHANG)) {
        bool go_on = child_wait(c, j, deadline, true);
        if (go_on && !r->out.failed && !r->err_out.failed)
            continue;
        if (child_reap(c, j, WNOHANG))
            break;
        if (go_on)
            r->rc = error_set(&r->err, ERR_TOO_BIG, "it prints more than %zu bytes",
                              j->spec.output_max);
        else
            r->rc = error_set(&r->err, ERR_TIMEOUT, "it did not end in time");
        uint64_t grace = clock_mono_us() + TERM_GRACE_US;
        (void)kill(-c->pid, SIGTERM);
        while (!child_reap(c, j, WNOHANG) && child_wait(c, j, grace, false))
            ;
        (void)kill(-c->pid, SIGKILL);
        if (!c->ended)
            (void)child_reap(c, j, 0);
    }
    child_read(&c->out, &r->out);
    child_read(&c->err, &r->err_out);
}

static void pid_fd_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void job_run(struct job *j)
{
    struct child c;
    struct io_command_result *r = &j->result;
    if (j->spec.before)
        r->rc = j->spec.before(j->spec.arg, &r->err);
    if (r->rc == 0 && j->argv) {
        r->rc = child_start(&c, j);
        r->started = r->rc == 0;
        if (r->started)
            child_run(&c, j);
        if (c.out >= 0)
            close(c.out);
        if (c.err >= 0)
            close(c.err);
        pid_fd_close(c.pid_fd);
    }
    if (r->started && j->spec.behind)
        j->spec.behind(j->spec.arg, r);
}

static void *thread_main(void *arg)
{
    struct job *j = arg;
    job_run(j);
    (void)pthread_mutex_lock(&j->lock);
    bool abandoned = j->abandoned;
    j->done = true;
    if (!abandoned) /* under the lock: it is not being closed */
        (void)uv_async_send(&j->command->uv);
    (void)pthread_mutex_unlock(&j->lock);
    if (abandoned)
        job_free(j);
    return NULL;
}

/* ---- the loop's side ------------------------------------------------------------- */

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void on_done(uv_async_t *h)
{
    struct io_command *c = h->data;
    struct job *j = c->job;
    (void)pthread_mutex_lock(&j->lock);
    bool done = j->done;
    (void)pthread_mutex_unlock(&j->lock);
    if (!done)
        return;
    c->fn(c->arg, &j->result);
    job_free(j);
    uv_close((uv_handle_t *)h, on_closed);
}

static bool thread_start(struct job *j)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    bool ok = pthread_attr_init(&attr) == 0;
    if (!ok)
        return false;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    ok = pthread_attr_setstacksize(&attr, STACK_BYTES) == 0 &&
         pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
         pthread_create(&thread, &attr, thread_main, j) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return ok;
}

static char **copy_words(const char *const *words)
{
    size_t n = 0;
    while (words && words[n])
        n++;
    if (!n)
        return NULL;
    char **copy = xcalloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(words[i]);
    return copy;
}

struct io_command *io_command_start(struct io_loop *l,
                                    const struct io_command_spec *spec,
                                    io_command_fn *fn, void *arg)
{
    struct job *j = xcalloc(1, sizeof *j);
    struct io_command *c = xcalloc(1, sizeof *c);
    (void)pthread_mutex_init(&j->lock, NULL);
    j->spec = *spec;
    j->argv = copy_words(spec->argv);
    j->dir = spec->dir ? xstrdup(spec->dir) : NULL;
    j->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    j->command = c;
    buf_init(&j->result.out, spec->output_max);
    buf_init(&j->result.err_out, spec->output_max);
    c->job = j;
    c->fn = fn;
    c->arg = arg;
    uv_async_init(&l->uv, &c->uv, on_done);
    c->uv.data = c;
    if (!thread_start(j)) {
        j->result.rc = error_set(&j->result.err, ERR_NOMEM, "no thread for it");
        j->done = true;
        (void)uv_async_send(&c->uv);
    }
    return c;
}

void io_command_stop(struct io_command *c)
{
    uint64_t one = 1;
    if (c->job->stop_fd >= 0 && write(c->job->stop_fd, &one, sizeof one) < 0)
        return; /* it was told already */
}

void io_command_abandon(struct io_command *c)
{
    struct job *j = c->job;
    io_command_stop(c);
    (void)pthread_mutex_lock(&j->lock);
    bool done = j->done;
    j->abandoned = true;
    (void)pthread_mutex_unlock(&j->lock);
    if (done)
        job_free(j);
    uv_close((uv_handle_t *)&c->uv, on_closed);
}
