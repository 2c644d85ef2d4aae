#include "cli/manager.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "conf/conf.h"

#define COMMAND_TIMEOUT_MS 15000
#define COMMAND_OUTPUT_MAX ((size_t)1 << 20)

extern char **environ;

/* Standard output of a command that has to answer in time. */
static int read_command(char *const argv[], struct buf *out, struct error *err)
{
    int fds[2];
    if (pipe(fds) != 0)
        return error_sys(err, "cannot run %s", argv[0]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", 1, 0);
    pid_t pid;
    int sys = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (sys != 0) {
        close(fds[0]);
        return error_errno(err, sys, "cannot run %s", argv[0]);
    }
    uint64_t deadline = clock_mono_us() + COMMAND_TIMEOUT_MS * 1000ULL;
    int rc = 0;
    for (;;) {
        uint64_t now = clock_mono_us();
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        int n = now < deadline ? poll(&p, 1, (int)((deadline - now) / 1000) + 1) : 0;
        char bytes[4096];
        ssize_t got = n > 0 ? read(fds[0], bytes, sizeof bytes) : -1;
        if (n == 0 || out->failed) {
            rc = error_set(err, ERR_TIMEOUT, "%s did not answer in time", argv[0]);
            (void)kill(pid, SIGKILL);
            break;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        buf_append(out, bytes, (size_t)got);
    }
    close(fds[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        rc = error_set(err, ERR_SYSTEM, "%s failed", argv[0]);
    return rc;
}

bool manager_parse_slurm_time(const char *text, size_t n, uint64_t *seconds)
{
    char copy[64];
    unsigned long long days = 0, parts[3] = {0};
    if (n == 0 || n >= sizeof copy || strspn(text, "0123456789:-") < n)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    char *p = copy, *dash = strchr(copy, '-');
    if (dash) {
        days = strtoull(copy, NULL, 10);
        p = dash + 1;
    }
    size_t k = 0;
    for (char *end; k < 3 && *p; k++, p = end + (*end == ':')) {
        parts[k] = strtoull(p, &end, 10);
        if (end == p)
            return false;
    }
    if (k == 0 || *p)
        return false;
    uint64_t s = 0;
    for (size_t i = 0; i < k; i++)
        s = s * 60 + parts[i];
    if (dash && k < 3) /* D-HH and D-HH:MM count from the hours */
        for (size_t i = k; i < 3; i++)
            s *= 60;
    *seconds = s + days * 86400;
    return true;
}

static int slurm_field(const char *text, const char *name, uint64_t *seconds)
{
    const char *p = strstr(text, name);
    if (!p)
        return ERR_NOT_FOUND;
    p += strlen(name);
    return manager_parse_slurm_time(p, strcspn(p, " \n"), seconds) ? 0 : ERR_PARSE;
}

static int slurm_remaining(const char *job, uint64_t *ns, struct error *err)
{
    struct buf out = BUF_INIT(COMMAND_OUTPUT_MAX);
    char *argv[] = {(char *)"scontrol", (char *)"show", (char *)"job", (char *)job,
                    NULL};
    uint64_t limit = 0, used = 0;
    int rc = read_command(argv, &out, err);
    if (rc == 0 && (slurm_field(buf_cstr(&out), "TimeLimit=", &limit) != 0 ||
                    slurm_field(buf_cstr(&out), "RunTime=", &used) != 0))
        rc = error_set(err, ERR_PARSE, "Cannot parse Slurm timelimit");
    if (rc == 0)
        *ns = limit > used ? (limit - used) * NS_PER_S : NS_PER_S;
    buf_release(&out);
    return rc;
}

/* A duration at Jobs.<job>.<a>.<b>; absent is zero when `optional`. */
static int pbs_field(const struct conf_node *job, const char *a, const char *b,
                     bool optional, uint64_t *ns, struct error *err)
{
    const struct conf_node *node = job ? conf_get(job, a) : NULL;
    const char *text;
    node = node ? conf_get(node, b) : NULL;
    *ns = 0;
    if (!node && optional)
        return 0;
    if (!node || !conf_string(node, &text))
        return error_set(err, ERR_PARSE, "no %s.%s in what qstat prints", a, b);
    return duration_parse(text, ns, err);
}

static int pbs_remaining(const char *job, uint64_t *ns, struct error *err)
{
    struct buf out = BUF_INIT(COMMAND_OUTPUT_MAX);
    char *argv[] = {(char *)"qstat", (char *)"-f",   (char *)job,
                    (char *)"-F",    (char *)"json", NULL};
    struct conf_doc *doc = NULL;
    uint64_t limit = 0, used = 0;
    int rc = read_command(argv, &out, err);
    if (rc == 0)
        rc = conf_parse_json("qstat", out.data, out.len, &doc, err);
    const struct conf_node *jobs = rc == 0 ? conf_get(conf_root(doc), "Jobs") : NULL;
    const struct conf_node *node = jobs ? conf_get(jobs, job) : NULL;
    if (rc == 0)
        rc = pbs_field(node, "Resource_List", "walltime", false, &limit, err);
    if (rc == 0)
        rc = pbs_field(node, "resources_used", "walltime", true, &used, err);
    if (rc == 0)
        *ns = limit > used ? limit - used : NS_PER_S;
    conf_destroy(doc);
    buf_release(&out);
    return rc;
}

static int detect_pbs(struct manager_info *m, struct error *err)
{
    const char *job = getenv("PBS_JOBID");
    if (!getenv("PBS_ENVIRONMENT"))
        return error_set(
            err, ERR_NOT_FOUND,
            "PBS_ENVIRONMENT not found. The process is not running under PBS");
    if (!job)
        return error_set(err, ERR_NOT_FOUND,
                         "PBS_ENVIRONMENT is set, but PBS_JOBID is not");
    m->manager = MANAGER_PBS;
    snprintf(m->job, sizeof m->job, "%s", job);
    return 0;
}

static int detect_slurm(struct manager_info *m, struct error *err)
{
    const char *job = getenv("SLURM_JOB_ID");
    if (!job)
        job = getenv("SLURM_JOBID");
    if (!job)
        return error_set(err, ERR_NOT_FOUND,
                         "SLURM_JOB_ID/SLURM_JOBID not found. The process is not "
                         "running under SLURM");
    m->manager = MANAGER_SLURM;
    snprintf(m->job, sizeof m->job, "%s", job);
    return 0;
}

int manager_detect(const char *option, struct manager_info *out, struct error *err)
{
    *out = (struct manager_info){.manager = MANAGER_NONE};
    struct error why = ERROR_INIT;
    int rc = 0;
    if (strcmp(option, "pbs") == 0)
        rc = detect_pbs(out, err);
    else if (strcmp(option, "slurm") == 0)
        rc = detect_slurm(out, err);
    else if (strcmp(option, "detect") == 0 && detect_pbs(out, &why) != 0)
        (void)detect_slurm(out, &why);
    if (rc != 0)
        return rc;
    if (out->manager == MANAGER_SLURM &&
        slurm_remaining(out->job, &out->remaining_ns, &why) != 0)
        log_warn("Cannot get remaining worker timelimit from Slurm: %s", why.text);
    if (out->manager == MANAGER_PBS &&
        pbs_remaining(out->job, &out->remaining_ns, &why) != 0)
        log_warn("Cannot get remaining worker timelimit from PBS: %s", why.text);
    return 0;
}
