/*
 * The fastest way known to run COUNT processes: one spawner thread a core, pinned
 * there, that vforks, executes and waits. Prints processes per second.
 *
 *     bound [-m] [-q] [-f DIR] [-j SPAWNERS] -n COUNT PROGRAM [ARGUMENT...]
 *
 * -m   each child sets its mask to all CPUs of the caller, as tasks without --pin have
 * -q   each child's input and output is /dev/null
 * -f   the same, but its output goes to two new files in DIR
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char **command;
static const char *file_dir;
static bool set_mask;
static bool quiet;
static long per_spawner;
static int spawners = 1;
static size_t cpus[CPU_SETSIZE];
static int cpu_count;
static cpu_set_t allowed;
static int null_fd;

struct spawner {
    pthread_t thread;
    int index;
    long failed;
};

/* System calls only: runs in the vforked child. */
static void run_child(const char *out, const char *err)
{
    int out_fd = null_fd;
    int err_fd = null_fd;
    if (set_mask)
        sched_setaffinity(0, sizeof allowed, &allowed);
    if (file_dir) {
        out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        err_fd = open(err, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    }
    if (quiet) {
        dup2(null_fd, STDIN_FILENO);
        dup2(out_fd, STDOUT_FILENO);
        dup2(err_fd, STDERR_FILENO);
    }
    execve(command[0], command, environ);
    _exit(127);
}

/* A function of its own, since vfork may clobber its caller's registers. */
__attribute__((noinline)) static int spawn(const char *out, const char *err)
{
    int status = -1;
    pid_t pid = vfork();
    if (pid == 0)
        run_child(out, err);
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void *spawner_run(void *arg)
{
    struct spawner *self = arg;
    char out[4096] = "";
    char err[4096] = "";
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpus[self->index % cpu_count], &one);
    sched_setaffinity(0, sizeof one, &one);
    for (long i = 0; i < per_spawner; i++) {
        if (file_dir) {
            long n = i * spawners + self->index;
            snprintf(out, sizeof out, "%s/%ld.stdout", file_dir, n);
            snprintf(err, sizeof err, "%s/%ld.stderr", file_dir, n);
        }
        if (spawn(out, err) != 0)
            self->failed++;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long count = 0;
    int option;
    while ((option = getopt(argc, argv, "+mqf:j:n:")) != -1) {
        if (option == 'm')
            set_mask = true;
        else if (option == 'q')
            quiet = true;
        else if (option == 'f')
            file_dir = optarg, quiet = true;
        else if (option == 'j')
            spawners = atoi(optarg);
        else if (option == 'n')
            count = atol(optarg);
        else
            return 2;
    }
    command = argv + optind;
    if (optind == argc || spawners < 1 || count < spawners) {
        fprintf(stderr,
                "usage: bound [-m] [-q] [-f DIR] [-j SPAWNERS] -n COUNT PROGRAM...\n");
        return 2;
    }
    per_spawner = count / spawners;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            cpus[cpu_count++] = cpu;

    struct spawner *all = calloc((size_t)spawners, sizeof *all);
    struct timespec begin;
    struct timespec end;
    long failed = 0;
    if (!all || null_fd < 0)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < spawners; i++) {
        all[i].index = i;
        if (pthread_create(&all[i].thread, NULL, spawner_run, &all[i]) != 0)
            return 1;
    }
    for (int i = 0; i < spawners; i++) {
        pthread_join(all[i].thread, NULL);
        failed += all[i].failed;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    free(all);
    if (failed) {
        fprintf(stderr, "bound: %ld processes failed\n", failed);
        return 1;
    }
    double seconds = (double)(end.tv_sec - begin.tv_sec) +
                     (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    printf("%.2f\n", (double)(per_spawner * spawners) / seconds);
    return 0;
}
