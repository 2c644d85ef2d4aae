/*
 * Squares numbers as tasks of one job, waits, and prints what they printed.
 *
 *     cc squares.c -o squares $(pkg-config --cflags --libs hq)
 *     ./squares 10
 */
#include <hq/hq.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what, const struct hq_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    return 1;
}

static int submit(struct hq_client *client, uint32_t n, uint32_t *job,
                  struct hq_error *err)
{
    static const char *const argv[] = {
        "sh", "-c", "echo $HQ_TASK_ID $((HQ_TASK_ID * HQ_TASK_ID))", NULL};
    struct hq_task *task = NULL;
    struct hq_spec *spec = NULL;
    int rc = hq_task_create(argv, &task, err);
    if (rc == 0)
        rc = hq_task_set_log(task, "squares.hqlog", err);
    if (rc == 0)
        rc = hq_spec_create(&spec, err);
    if (rc == 0)
        rc = hq_spec_set_name(spec, "squares", err);
    if (rc == 0)
        rc = hq_spec_add_array(spec, 1, n, task, NULL, 0, err);
    if (rc == 0)
        rc = hq_job_submit(client, spec, job, err);
    hq_spec_destroy(spec);
    hq_task_destroy(task);
    return rc;
}

/* Waits, and says every second how far the job is. */
static int follow(struct hq_client *client, uint32_t job, struct hq_counts *counts,
                  struct hq_error *err)
{
    int rc;
    while ((rc = hq_job_wait(client, &job, 1, 1000, counts, err)) == HQ_ERR_TIMEOUT)
        fprintf(stderr, "%" PRIu32 " finished, %" PRIu32 " to come\n",
                counts->n[HQ_TASK_FINISHED], counts->n[HQ_TASK_WAITING]);
    return rc;
}

static int print_failure(void *arg, const struct hq_task_info *task)
{
    (void)arg;
    if (task->state == HQ_TASK_FAILED)
        fprintf(stderr, "task %" PRIu32 ": %s\n", task->id, task->error);
    return 0;
}

static int print_output(void *arg, const struct hq_output *output)
{
    return fwrite(output->data, 1, output->n, arg) == output->n ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct hq_client *client = NULL;
    struct hq_log *log = NULL;
    struct hq_error err;
    struct hq_counts counts;
    uint32_t job, n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10;

    if (hq_connect(NULL, &client, &err))
        return fail("no server", &err);
    int rc = submit(client, n, &job, &err);
    if (rc == 0)
        rc = follow(client, job, &counts, &err);
    if (rc == 0 && counts.n[HQ_TASK_FINISHED] < n)
        rc = hq_task_list(client, job, print_failure, NULL, &err);
    if (rc == 0)
        rc = hq_log_open_job(client, job, &log, &err);
    if (rc == 0)
        rc = hq_log_read(log, job, HQ_ANY, 1u << HQ_STDOUT, print_output, stdout, &err);
    hq_log_close(log);
    hq_disconnect(client);
    return rc < 0 ? fail("squares", &err) : rc;
}
