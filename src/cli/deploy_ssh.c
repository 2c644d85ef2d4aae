/* hq worker deploy-ssh: one ssh per host of a list, until all workers have ended. */
#include "cli/cmds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "args/parse.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "base/xmem.h"
#include "cli/session.h"

extern char **environ;

struct host {
    char *line; /* as written, trimmed */
    char *name;
    char *port; /* or NULL */
    pid_t pid;
};

struct deployment {
    struct host *hosts;
    size_t n;
    char *hq_path;
    bool show_output;
    struct args_list options;
    char *server_dir; /* to be passed on, or NULL */
};

/* --- host list ---------------------------------------------------------- */

static void add_host(struct deployment *d, const char *line, size_t n)
{
    while (n && strchr(" \t\r", *line)) {
        line++;
        n--;
    }
    while (n && strchr(" \t\r", line[n - 1]))
        n--;
    if (n == 0)
        return;
    const char *colon = memchr(line, ':', n);
    size_t len = colon ? (size_t)(colon - line) : n;
    d->hosts = xrealloc(d->hosts, (d->n + 1) * sizeof *d->hosts);
    d->hosts[d->n++] = (struct host){
        .line = xstrndup(line, n),
        .name = xstrndup(line, len),
        .port = colon ? xstrndup(colon + 1, n - len - 1) : NULL,
    };
}

static int read_hosts(const char *path, struct deployment *d, struct error *err)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 || buf_read_fd(&text, fd) ? error_sys(err, "%s", "") : 0;
    if (fd >= 0)
        close(fd);
    if (rc)
        error_cause(err, "Cannot load hostfile from %s", path);
    const char *p = buf_cstr(&text), *end = p + text.len;
    while (rc == 0 && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        add_host(d, p, n);
        p += n + 1;
    }
    buf_release(&text);
    if (rc == 0 && d->n == 0)
        return error_set(err, ERR_INVALID, "The provided hostname is empty");
    return rc;
}

/* --- options that are passed on ----------------------------------------- */

/* Wrong ones end the process like any wrong command line. *names_dir: a server
 * directory is among them. */
static void check_options(const struct run *r, struct args_list options,
                          bool *names_dir)
{
    const struct cmd *start = cmd_find_sub(&cmd_worker, "start");
    static const struct opt_group *groups[] = {
        &worker_shared_options, &worker_start_options, &global_options, NULL};
    struct cmd cmd = *start;
    cmd.groups = groups;
    char *path = xasprintf("%s --", args_path(r->args));
    const struct parse_mode mode = {.path = path};
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct args *args = NULL;
    enum parse_result rc =
        parse_words(&cmd, &mode, options.n, options.items, &args, &text);
    if (rc != PARSE_OK) {
        int fd = rc == PARSE_HELP ? STDOUT_FILENO : STDERR_FILENO;
        bool failed = write_all(fd, text.data, text.len) != 0;
        exit(rc == PARSE_HELP ? failed : 2);
    }
    *names_dir = args_source(args, "server-dir") == ARGS_LINE;
    args_destroy(args);
    buf_release(&text);
    free(path);
}

/* A server directory that was chosen, and not for the workers alone, holds for them
 * too: nothing else of this command's surroundings reaches the other side. */
static char *dir_to_pass_on(const struct run *r)
{
    bool names_dir;
    check_options(r, args_list(r->args, "WORKER_START_ARGS"), &names_dir);
    if (names_dir || args_source(r->args, "server-dir") != ARGS_LINE)
        return NULL;
    struct buf quoted = BUF_INIT(BUF_MAX_DEFAULT);
    char *dir = session_server_dir(r);
    text_shell_quote(&quoted, dir, strlen(dir)); /* ssh hands its words to a shell */
    free(dir);
    dir = xstrdup(buf_cstr(&quoted));
    buf_release(&quoted);
    return dir;
}

/* --- ssh ---------------------------------------------------------------- */

static bool find_program(const char *name)
{
    const char *path = getenv("PATH");
    for (const char *p = path ? path : ""; *p;) {
        size_t n = strcspn(p, ":");
        char *file = xasprintf("%.*s/%s", (int)n, n ? p : ".", name);
        bool found = access(file, X_OK) == 0;
        free(file);
        if (found)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

static const char **make_words(const struct deployment *d, const struct host *h)
{
    const char **words = xcalloc(16 + d->options.n, sizeof *words);
    size_t n = 0;
    words[n++] = "ssh";
    words[n++] = h->name;
    words[n++] = "-t";
    words[n++] = "-t";
    if (h->port) {
        words[n++] = "-p";
        words[n++] = h->port;
    }
    words[n++] = "--";
    words[n++] = d->hq_path;
    words[n++] = "worker";
    words[n++] = "start";
    if (d->server_dir) {
        words[n++] = "--server-dir";
        words[n++] = d->server_dir;
    }
    for (size_t i = 0; i < d->options.n; i++)
        words[n++] = d->options.items[i];
    return words;
}

static int start_host(const struct deployment *d, struct host *h,
                      const sigset_t *signals, struct error *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    const char **words = make_words(d, h);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!d->show_output) {
        posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY,
                                         0);
        posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY,
                                         0);
    }
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, signals);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int rc =
        posix_spawnp(&h->pid, words[0], &files, &attr, (char *const *)words, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    free(words);
    if (rc) {
        h->pid = 0;
        return error_errno(err, rc, "Cannot start ssh for %s", h->line);
    }
    log_info("Started worker process at `%s`", h->line);
    return 0;
}

static struct host *host_of(struct deployment *d, pid_t pid)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->hosts[i].pid == pid)
            return &d->hosts[i];
    return NULL;
}

static void kill_all(const struct deployment *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->hosts[i].pid > 0)
            kill(d->hosts[i].pid, SIGKILL);
}

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    if (sig == SIGINT)
        interrupted = 1;
}

/* Signals come while wait_all sleeps, and at no other time. */
static void watch_signals(sigset_t *outside)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGCHLD);
    sigprocmask(SIG_BLOCK, &both, outside);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
}

static void report_end(const struct host *h, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        log_info("Worker at `%s` has ended successfully", h->line);
    else
        log_error("Worker at `%s` has ended with an error: Worker exited with code %d",
                  h->line, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* Whether a worker failed. */
static bool wait_all(struct deployment *d, const sigset_t *outside)
{
    bool failed = false, killed = false;
    for (;;) {
        int status;
        if (interrupted && !killed) {
            kill_all(d);
            killed = true;
        }
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0)
            break;
        struct host *h = pid ? host_of(d, pid) : NULL;
        if (pid == 0)
            sigsuspend(outside);
        if (!h)
            continue;
        h->pid = 0;
        report_end(h, status);
        failed |= status != 0;
    }
    return failed && !killed;
}

static int run_all(struct deployment *d, struct error *err)
{
    sigset_t outside;
    int rc = 0;
    watch_signals(&outside);
    for (size_t i = 0; rc == 0 && i < d->n; i++)
        rc = start_host(d, &d->hosts[i], &outside, err);
    if (rc)
        kill_all(d);
    bool failed = wait_all(d, &outside);
    if (rc || interrupted)
        return rc;
    log_info("All workers have finished");
    return failed ? error_set(err, ERR_INVALID, "Some workers have ended with an error")
                  : 0;
}

static char *own_path(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    return n > 0 ? xstrndup(path, (size_t)n) : xstrdup("hq");
}

static void deployment_release(struct deployment *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->hosts[i].line);
        free(d->hosts[i].name);
        free(d->hosts[i].port);
    }
    free(d->hosts);
    free(d->hq_path);
    free(d->server_dir);
}

int worker_deploy_ssh_run(struct run *r, struct error *err)
{
    struct deployment d = {.show_output = args_flag(r->args, "show-output"),
                           .options = args_list(r->args, "WORKER_START_ARGS"),
                           .server_dir = dir_to_pass_on(r)};
    int rc = read_hosts(args_str(r->args, "HOSTFILE"), &d, err);
    if (rc == 0 && !find_program("ssh")) {
        error_set(err, ERR_NOT_FOUND, "cannot find binary path");
        error_cause(err,
                    "Cannot find `ssh` binary. Make sure that OpenSSH is installed.");
        rc = ERR_NOT_FOUND;
    }
    d.hq_path = own_path();
    if (rc == 0)
        rc = run_all(&d, err);
    deployment_release(&d);
    return rc;
}
