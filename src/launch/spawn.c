#include "launch/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fault.h"

/*
 * Sanitizers keep state per stack and process that a borrowed address space upsets;
 * there a real fork is used, with a pipe that closes at exec.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPAWN_FORKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SPAWN_FORKS 1
#endif
#endif
#ifndef SPAWN_FORKS
#define SPAWN_FORKS 0
#endif

/* The forked child tells by this descriptor, closed at exec, that it is through. */
#define SYNC_FD (STDERR_FILENO + 1)
#define FIRST_CLOSED (SPAWN_FORKS ? SYNC_FD + 1U : STDERR_FILENO + 1U)

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on all architectures; Linux 5.9 */
#endif

#define RESULT_BYTES 4096
#define STACK_BYTES ((size_t)64 << 10)
#define DEFAULT_PATH "/bin:/usr/bin"
#define OUTPUT_MODE 0666
#define EXIT_NOT_STARTED 127

struct child {
    const struct spawn_context *ctx;
    const struct spawn_order *order;
    struct spawn_result *result;
    char *file;
};

bool spawn_area_init(struct spawn_area *a)
{
    a->stack = MAP_FAILED;
    a->result = mmap(NULL, RESULT_BYTES, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (a->result != MAP_FAILED)
        a->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (a->stack != MAP_FAILED)
        return true;
    spawn_area_release(a);
    return false;
}

void spawn_area_release(struct spawn_area *a)
{
    if (a->result != MAP_FAILED)
        (void)munmap(a->result, RESULT_BYTES);
    if (a->stack != MAP_FAILED)
        (void)munmap(a->stack, STACK_BYTES);
}

static _Noreturn void child_fail(const struct child *c, enum launch_step step)
{
    c->result->sys = errno;
    c->result->step = (int)step;
    _exit(EXIT_NOT_STARTED);
}

/*
 * The child starts on the launcher's own table of descriptors: to copy a table with the
 * pidfds of a thousand tasks takes as long as the rest of the start. It keeps what it
 * needs; the numbers of pidfds are high, so what is copied here is short. Returns the
 * first number that is closed.
 */
static unsigned child_unshare_files(const struct child *c)
{
    const struct spawn_order *o = c->order;
    int last = MAX(MAX(o->out.fd, o->err.fd), o->input_fd);
    unsigned first = MAX(FIRST_CLOSED, (unsigned)(last + 1));
    if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_UNSHARE) == 0)
        return first;
    if (unshare(CLONE_FILES) != 0)
        child_fail(c, LAUNCH_STEP_MEMORY);
    return ~0U;
}

static void child_dup(const struct child *c, int fd, int to, enum launch_step step)
{
    if (fd < 0 || dup2(fd, to) < 0)
        child_fail(c, step);
}

/* What is open already. Does not block. */
static void child_take_files(const struct child *c)
{
    const struct spawn_order *o = c->order;
    if (o->input)
        child_dup(c, open(o->input, O_RDONLY | O_CLOEXEC), STDIN_FILENO,
                  LAUNCH_STEP_STDIN);
    /* The launcher's own standard output is /dev/null. */
    child_dup(c, o->err.kind == LAUNCH_OUTPUT_PIPE ? o->err.fd : STDOUT_FILENO,
              STDERR_FILENO, LAUNCH_STEP_STDERR);
    if (o->out.kind == LAUNCH_OUTPUT_PIPE)
        child_dup(c, o->out.fd, STDOUT_FILENO, LAUNCH_STEP_STDOUT);
}

static int open_output(const struct spawn_output *o)
{
    int how = o->kind == LAUNCH_OUTPUT_APPEND ? O_APPEND : O_TRUNC;
    return open(o->path, O_WRONLY | O_CREAT | O_CLOEXEC | how, OUTPUT_MODE);
}

/* Network file systems and FIFOs may keep us here. */
static void child_open_files(const struct child *c)
{
    const struct spawn_order *o = c->order;
    if (o->out.path)
        child_dup(c, open_output(&o->out), STDOUT_FILENO, LAUNCH_STEP_STDOUT);
    if (o->err_is_out)
        child_dup(c, STDOUT_FILENO, STDERR_FILENO, LAUNCH_STEP_STDERR);
    else if (o->err.path)
        child_dup(c, open_output(&o->err), STDERR_FILENO, LAUNCH_STEP_STDERR);
    if (o->cwd && chdir(o->cwd) != 0)
        child_fail(c, LAUNCH_STEP_CHDIR);
}

/* execve, and by the shell what has no known format, as execvp does. */
static void exec_file(const struct child *c, const char *file)
{
    const char **argv = c->order->argv;
    char *const *envp = (char *const *)(uintptr_t)c->order->envp;
    (void)execve(file, (char *const *)(uintptr_t)argv, envp);
    if (errno != ENOEXEC)
        return;
    const char *first = argv[0];
    argv[-1] = "/bin/sh";
    argv[0] = file;
    (void)execve(argv[-1], (char *const *)(uintptr_t)(argv - 1), envp);
    argv[0] = first;
}

/* Whether the search goes on behind this error. */
static bool is_absent(int sys)
{
    return sys == ENOENT || sys == ESTALE || sys == ENOTDIR || sys == ENODEV ||
           sys == ETIMEDOUT || sys == EACCES;
}

static void exec_search(const struct child *c)
{
    const char *word = c->order->argv[0];
    size_t word_len = strlen(word);
    bool denied = false;
    errno = ENOENT;
    if (word_len == 0 || strchr(word, '/')) {
        exec_file(c, word);
        return;
    }
    if (word_len > NAME_MAX) {
        errno = ENAMETOOLONG;
        return;
    }
    for (const char *dir = c->order->path ? c->order->path : DEFAULT_PATH; dir;) {
        const char *end = strchrnul(dir, ':');
        size_t len = (size_t)(end - dir);
        if (len + 1 + word_len + 1 <= PATH_MAX) {
            /* An empty element is the working directory. */
            memcpy(c->file, dir, len);
            c->file[len] = '/';
            memcpy(c->file + len + (len > 0), word, word_len + 1);
            exec_file(c, c->file);
            if (!is_absent(errno))
                return;
            denied |= errno == EACCES;
        }
        dir = *end ? end + 1 : NULL;
    }
    errno = denied ? EACCES : ENOENT;
}

/* Runs in the child: no allocation, no lock, no return. */
static int child_main(void *arg)
{
    const struct child *c = arg;
    const struct spawn_context *ctx = c->ctx;
    sigset_t none;

    atomic_store(&c->result->pid, getpid());
    (void)(c->order->session ? setsid() : setpgid(0, 0));
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != ctx->launcher)
        _exit(EXIT_NOT_STARTED); /* it died before the line above */
    unsigned closed = child_unshare_files(c);
    if (c->order->mask && !binding_set_mask(c->order->mask))
        child_fail(c, LAUNCH_STEP_AFFINITY);
    child_take_files(c);
    /* Everything is close-on-exec; but a child that hangs below must not hold pipes of
     * other tasks until then. */
    if (closed > FIRST_CLOSED)
        (void)syscall(SYS_close_range, FIRST_CLOSED, ~0U, 0U);
    child_open_files(c);
    if (ctx->limit_changed)
        (void)setrlimit(RLIMIT_NOFILE, &ctx->files);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    exec_search(c);
    child_fail(c, LAUNCH_STEP_EXEC);
}

#if SPAWN_FORKS
static pid_t start_child(struct child *c, const struct spawn_area *a)
{
    int ends[2];
    char byte;
    (void)a;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (ends[1] != SYNC_FD)
            (void)dup3(ends[1], SYNC_FD, O_CLOEXEC);
        (void)child_main(c);
    }
    int sys = errno;
    (void)close(ends[1]);
    while (pid > 0 && read(ends[0], &byte, 1) < 0 && errno == EINTR)
        ;
    (void)close(ends[0]);
    errno = sys;
    return pid;
}
#else
static pid_t start_child(struct child *c, const struct spawn_area *a)
{
    return clone(child_main, a->stack + STACK_BYTES,
                 CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, c);
}
#endif

pid_t spawn_process(const struct spawn_context *ctx, struct spawn_area *a,
                    const struct spawn_order *order, enum launch_step *step, int *sys)
{
    struct child child = {ctx, order, a->result, a->file};
    a->result->step = LAUNCH_STEP_NONE;
    pid_t pid = FAULT("launch.spawn") ? -1 : start_child(&child, a);
    *sys = errno;
    *step = LAUNCH_STEP_MEMORY;
    if (pid > 0) {
        *step = (enum launch_step)a->result->step;
        *sys = a->result->sys;
    }
    return pid;
}
