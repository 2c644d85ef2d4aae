/*
 * Uses libhq as an outside program does: `c_library COMMAND ARGUMENTS…` prints what
 * came of it, one fact a line, and for a failure "error CODE: TEXT". Compiles as C and
 * as C++.
 */
#include <hq/hq.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static struct hq_client *client;
static struct hq_error err;

static int check(int rc)
{
    if (rc < 0)
        printf("error %d: %s\n", err.code, err.text);
    fflush(stdout);
    return rc;
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static struct hq_task *shell(const char *script)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct hq_task *task = NULL;
    if (check(hq_task_create(argv, &task, &err)) != 0)
        exit(2);
    return task;
}

static struct hq_spec *new_spec(void)
{
    struct hq_spec *spec = NULL;
    if (check(hq_spec_create(&spec, &err)) != 0)
        exit(2);
    return spec;
}

static int submit(struct hq_spec *spec)
{
    uint32_t job;
    int rc = check(hq_job_submit(client, spec, &job, &err));
    if (rc == 0)
        printf("%" PRIu32 "\n", job);
    hq_spec_destroy(spec);
    return rc;
}

/* array FIRST COUNT SCRIPT [LOG] */
static int run_array(char **a)
{
    struct hq_task *task = shell(a[2]);
    struct hq_spec *spec = new_spec();
    int rc = a[3] ? hq_task_set_log(task, a[3], &err) : 0;
    if (rc == 0)
        rc = hq_spec_add_array(spec, number(a[0]), number(a[1]), task, NULL, 0, &err);
    hq_task_destroy(task);
    if (check(rc)) {
        hq_spec_destroy(spec);
        return rc;
    }
    return submit(spec);
}

/* all: uses every setting once */
static int run_all(char **a)
{
    struct hq_task *task =
        shell("cat; echo $A $HQ_ENTRY; pwd; test -d \"$HQ_TASK_DIR\"");
    struct hq_spec *spec = new_spec();
    struct hq_bytes entries[2];
    const uint32_t needs[] = {3, 4};
    entries[0].data = "one";
    entries[0].n = 3;
    entries[1].data = "";
    entries[1].n = 0;
    (void)a;
    int rc = hq_task_setenv(task, "A", "first", &err);
    if (rc == 0)
        rc = hq_task_setenv(task, "A", "second", &err);
    if (rc == 0)
        rc = hq_task_set_cwd(task, "t%{TASK_ID}", &err);
    if (rc == 0)
        rc = hq_task_set_stdout(task, "out", &err);
    if (rc == 0)
        rc = hq_task_set_stderr(task, NULL, &err);
    if (rc == 0)
        rc = hq_task_set_stdin(task, "in\0put\n", 7, &err);
    if (rc == 0)
        rc = hq_task_set_crash_limit(task, HQ_CRASH_NEVER_RESTART, &err);
    if (rc == 0)
        rc = hq_task_set_pin(task, HQ_PIN_OMP, &err);
    if (rc == 0)
        rc = hq_task_require(task, "cpus", "2 compact!", &err);
    if (rc == 0)
        rc = hq_task_add_variant(task, &err);
    if (rc == 0)
        rc = hq_task_require(task, "cpus", "1", &err);
    hq_task_set_time_request(task, 2500);
    hq_task_set_priority(task, 7);
    hq_task_set_time_limit(task, 60000);
    hq_task_set_task_dir(task, 1);
    if (rc == 0)
        rc = hq_spec_add_entries(spec, 3, entries, 2, task, NULL, 0, &err);
    hq_task_destroy(task);
    task = shell("exit 3");
    if (rc == 0)
        rc = hq_spec_add(spec, 9, task, needs, 2, &err);
    hq_task_destroy(task);
    if (rc == 0)
        rc = hq_spec_set_name(spec, "everything", &err);
    hq_spec_set_max_fails(spec, 5);
    if (check(rc)) {
        hq_spec_destroy(spec);
        return rc;
    }
    return submit(spec);
}

/* graph: a chain in which a task names one that is not there when `bad` */
static int run_graph(char **a)
{
    struct hq_task *task = shell("true");
    struct hq_spec *spec = new_spec();
    const uint32_t needs[] = {1, 77};
    int rc = hq_spec_add(spec, 1, task, NULL, 0, &err);
    if (rc == 0 && strcmp(a[0], "twice") == 0)
        rc = hq_spec_add_array(spec, 0, 5, task, NULL, 0, &err);
    if (rc == 0 && strcmp(a[0], "missing") == 0)
        rc = hq_spec_add(spec, 2, task, needs, 2, &err);
    hq_task_destroy(task);
    if (check(rc)) {
        hq_spec_destroy(spec);
        return rc;
    }
    return submit(strcmp(a[0], "empty") ? spec : (hq_spec_destroy(spec), new_spec()));
}

/* wait MILLISECONDS|forever JOB… */
static int run_wait(char **a)
{
    uint32_t jobs[16];
    struct hq_counts counts;
    size_t n = 0;
    uint64_t ms = strcmp(a[0], "forever") ? strtoull(a[0], NULL, 10) : HQ_WAIT_FOREVER;
    while (a[n + 1] && n < 16) {
        jobs[n] = number(a[n + 1]);
        n++;
    }
    int rc = check(hq_job_wait(client, jobs, n, ms, &counts, &err));
    for (int i = 0; i < HQ_TASK_STATES && (rc == 0 || rc == HQ_ERR_TIMEOUT); i++)
        if (counts.n[i])
            printf("%s %" PRIu32 "\n", hq_task_state_name((enum hq_task_state)i),
                   counts.n[i]);
    return rc;
}

static int run_jobs(char **a)
{
    struct hq_jobs *jobs = NULL;
    const struct hq_job *job;
    (void)a;
    int rc = check(hq_job_list(client, &jobs, &err));
    while (rc == 0 && (job = hq_jobs_next(jobs)) != NULL) {
        printf("%" PRIu32 " %s %s %" PRIu32 " %s%s\n", job->id,
               hq_job_state_name(job->state), job->name, job->n_tasks,
               job->is_open ? "open" : "closed",
               hq_jobs_find(jobs, job->id) == job ? "" : " lost");
    }
    if (rc == 0)
        printf("%zu %s\n", hq_jobs_count(jobs),
               hq_jobs_find(jobs, 4000000000u) ? "too many" : "in all");
    hq_jobs_free(jobs);
    return rc;
}

static int print_task(void *arg, const struct hq_task_info *t)
{
    struct hq_jobs *jobs = NULL;
    int *left = (int *)arg;
    const uint32_t job = 1;
    printf("%" PRIu32 " %s|%s|%s|%s|%s|%d %d %" PRIu32 "\n", t->id,
           hq_task_state_name(t->state), t->error ? t->error : "-",
           t->cwd ? t->cwd : "-", t->stdout_path ? t->stdout_path : "-",
           t->stderr_path ? t->stderr_path : "-", t->start_us != 0,
           t->end_us >= t->start_us, t->worker);
    if (hq_job_list(client, &jobs, NULL) != HQ_ERR_BUSY ||
        hq_job_wait(client, &job, 1, 0, NULL, NULL) != HQ_ERR_BUSY)
        printf("the client is not busy\n");
    return --*left ? 0 : 42;
}

/* tasks JOB [COUNT] */
static int run_tasks(char **a)
{
    int left = a[1] ? (int)number(a[1]) : -1;
    int rc = check(hq_task_list(client, number(a[0]), print_task, &left, &err));
    if (rc > 0)
        printf("stopped with %d\n", rc);
    return rc < 0 ? rc : 0;
}

static int print_worker(void *arg, const struct hq_worker *w)
{
    struct hq_jobs *jobs = NULL;
    int *left = (int *)arg;
    printf("%" PRIu32 " %s %s %s %" PRIu32 " %d", w->id,
           w->is_connected ? "here" : "gone", w->group,
           w->allocation ? w->allocation : "-", w->n_running,
           w->hostname[0] && w->start_us && (w->end_us == 0) == w->is_connected);
    for (size_t i = 0; i < w->n_resources; i++)
        printf(" %s=%" PRIu64, w->resources[i].name, w->resources[i].amount);
    printf("\n");
    if (hq_job_list(client, &jobs, NULL) != HQ_ERR_BUSY)
        printf("the client is not busy\n");
    return --*left ? 0 : 42;
}

/* workers [COUNT], then jobs: nothing is left unread */
static int run_workers(char **a)
{
    int left = a[0] ? (int)number(a[0]) : -1;
    int rc = check(hq_worker_list(client, print_worker, &left, &err));
    if (rc > 0)
        printf("stopped with %d\n", rc);
    return rc < 0 ? rc : run_jobs(a);
}

/* cancel JOB [REASON] */
static int run_cancel(char **a)
{
    uint32_t n = 99;
    int rc = check(hq_job_cancel(client, number(a[0]), a[1], &n, &err));
    if (rc == 0)
        printf("%" PRIu32 " canceled\n", n);
    return rc;
}

static int run_forget(char **a)
{
    return check(hq_job_forget(client, number(a[0]), &err));
}

/* open: opens a job, submits into it twice, closes it twice */
static int run_open(char **a)
{
    uint32_t job = 0, again;
    struct hq_task *task = shell("true");
    (void)a;
    int rc = hq_job_open(client, "mine", -1, &job, &err);
    for (uint32_t i = 0; i < 2 && rc == 0; i++) {
        struct hq_spec *spec = new_spec();
        const uint32_t needs[] = {0};
        rc = hq_spec_set_job(spec, job, &err);
        if (rc == 0)
            rc = hq_spec_add(spec, i, task, needs, i, &err);
        if (rc == 0)
            rc = hq_job_submit(client, spec, &again, &err);
        if (rc == 0 && again != job)
            printf("into another job\n");
        hq_spec_destroy(spec);
    }
    hq_task_destroy(task);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = hq_job_close(client, job, &err);
    if (rc == 0)
        rc = hq_job_wait(client, &job, 1, HQ_WAIT_FOREVER, NULL, &err);
    check(rc);
    printf("%" PRIu32 "\n", job);
    return rc;
}

static int print_output(void *arg, const struct hq_output *o)
{
    int *left = (int *)arg;
    printf("%" PRIu32 ".%" PRIu32 ":%d ", o->job, o->task, (int)o->channel);
    fwrite(o->data, 1, o->n, stdout);
    return --*left ? 0 : 1;
}

/* log JOB|PATH TASK|any CHANNELS [COUNT] */
static int run_log(char **a)
{
    struct hq_log *log = NULL;
    char *end;
    uint32_t job = (uint32_t)strtoul(a[0], &end, 10);
    int left = a[3] ? (int)number(a[3]) : -1;
    int rc =
        *end ? hq_log_open(a[0], &log, &err) : hq_log_open_job(client, job, &log, &err);
    if (rc == 0)
        rc = hq_log_read(log, *end ? HQ_ANY : job,
                         strcmp(a[1], "any") ? number(a[1]) : HQ_ANY, number(a[2]),
                         print_output, &left, &err);
    check(rc);
    if (rc >= 0)
        printf("damaged %" PRIu64 "\n", hq_log_damaged(log));
    hq_log_close(log);
    return rc < 0 ? rc : 0;
}

static int run_server(char **a)
{
    struct hq_server *server = NULL;
    (void)a;
    int rc = check(hq_server_get(client, &server, &err));
    if (rc == 0)
        printf("%s %s %" PRIu32 " %d %s\n", server->uid, server->version, server->pid,
               server->started_us != 0 && server->client_port != 0,
               server->journal ? server->journal : "-");
    hq_server_free(server);
    return rc;
}

/* again: asks for the server once for each line of standard input */
static int run_again(char **a)
{
    int c;
    (void)a;
    while ((c = getchar()) != EOF) {
        struct hq_server *server = NULL;
        int rc = hq_server_get(client, &server, &err);
        printf("%ld\n", rc ? (long)rc : (long)server->pid);
        fflush(stdout);
        hq_server_free(server);
    }
    return 0;
}

/* silent: a server that says nothing */
static int run_silent(char **a)
{
    struct hq_jobs *jobs = NULL;
    printf("ready\n");
    fflush(stdout);
    while (getchar() != '\n')
        continue;
    hq_set_timeout(client, number(a[0]));
    return check(hq_job_list(client, &jobs, &err));
}

static volatile sig_atomic_t n_signals;

static void on_signal(int signo)
{
    (void)signo;
    n_signals = n_signals + 1;
}

/* signals JOB: waits while a timer interrupts every call */
static int run_signals(char **a)
{
    struct sigaction action;
    struct itimerval often;
    memset(&action, 0, sizeof action);
    memset(&often, 0, sizeof often);
    action.sa_handler = on_signal; /* without SA_RESTART */
    often.it_interval.tv_usec = often.it_value.tv_usec = 2000;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    char forever[] = "forever";
    char *args[] = {forever, a[0], NULL};
    int rc = run_wait(args);
    for (int i = 0; i < 50 && rc == 0; i++)
        rc = check(hq_job_wait(client, NULL, 0, 0, NULL, &err));
    printf("interrupted %s\n", n_signals > 10 ? "often" : "seldom");
    return rc;
}

static void *submit_many(void *arg)
{
    struct hq_client *own = NULL;
    struct hq_error why;
    uint32_t job, counts = 0;
    if (hq_connect(NULL, &own, &why) != 0)
        return arg;
    for (int i = 0; i < 20; i++) {
        struct hq_task *task = shell("true");
        struct hq_spec *spec = new_spec();
        if (hq_spec_add(spec, 0, task, NULL, 0, &why) == 0 &&
            hq_job_submit(own, spec, &job, &why) == 0 &&
            hq_job_wait(own, &job, 1, HQ_WAIT_FOREVER, NULL, &why) == 0)
            counts++;
        hq_spec_destroy(spec);
        hq_task_destroy(task);
    }
    hq_disconnect(own);
    return counts == 20 ? NULL : arg;
}

/* threads: several clients at once */
static int run_threads(char **a)
{
    pthread_t threads[4];
    int bad = 0;
    (void)a;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, submit_many, &bad);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        bad += result != NULL;
    }
    printf("%d threads failed\n", bad);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(char **args);
    } commands[] = {
        {"array", run_array},     {"all", run_all},         {"graph", run_graph},
        {"wait", run_wait},       {"jobs", run_jobs},       {"tasks", run_tasks},
        {"cancel", run_cancel},   {"forget", run_forget},   {"open", run_open},
        {"log", run_log},         {"server", run_server},   {"again", run_again},
        {"silent", run_silent},   {"workers", run_workers}, {"signals", run_signals},
        {"threads", run_threads},
    };
    if (argc > 1 && strcmp(argv[1], "version") == 0) {
        printf("%s\n", hq_version());
        return 0;
    }
    if (check(hq_connect(NULL, &client, &err)) != 0)
        return 1;
    int rc = 2;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0] && argc > 1; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            rc = commands[i].run(argv + 2) != 0;
    hq_disconnect(client);
    return rc;
}
