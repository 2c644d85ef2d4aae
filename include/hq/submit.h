/*
 * Describing and submitting jobs. Since 0.30.
 *
 *     hq_task: what is run and what it needs
 *     hq_spec: a job to be submitted: which tasks there are, what each waits for
 *
 * Both are plain memory of the caller's, for one thread at a time, and may be used
 * again after a submit. Text is UTF-8, copied, and may hold the placeholders of `hq
 * submit` where that takes them: %{TASK_ID}, %{JOB_ID}, %{INSTANCE_ID}, %{SUBMIT_DIR},
 * %{SERVER_UID}, in output paths %{CWD}.
 */
#ifndef HQ_SUBMIT_H
#define HQ_SUBMIT_H

#include <hq/client.h>
#include <stddef.h>
#include <stdint.h>

HQ_BEGIN_DECLS

/* ---- a task, or what many tasks have in common ---- */

struct hq_task; /* opaque */

/* The words of the command, NULL-ended. Without any other call a task takes one CPU,
 * runs in the job's directory, reads nothing, and its output goes to
 * job-<job>/<task>.stdout and .stderr there. */
HQ_API int hq_task_create(const char *const *argv, struct hq_task **task,
                          struct hq_error *err) HQ_CHECK;
HQ_API void hq_task_destroy(struct hq_task *task); /* NULL is fine */

/* Sets or replaces a variable of the environment; `name` has no '='. */
HQ_API int hq_task_setenv(struct hq_task *task, const char *name, const char *value,
                          struct hq_error *err) HQ_CHECK;
/* Working directory, relative to that of the job. NULL: that of the job. */
HQ_API int hq_task_set_cwd(struct hq_task *task, const char *path,
                           struct hq_error *err) HQ_CHECK;
/* File for the channel, relative to the working directory. NULL: output is dropped. */
HQ_API int hq_task_set_stdout(struct hq_task *task, const char *path,
                              struct hq_error *err) HQ_CHECK;
HQ_API int hq_task_set_stderr(struct hq_task *task, const char *path,
                              struct hq_error *err) HQ_CHECK;
/* What every such task reads from its standard input: any bytes, up to 240 MiB. */
HQ_API int hq_task_set_stdin(struct hq_task *task, const void *data, size_t n,
                             struct hq_error *err) HQ_CHECK;
/* Gathers the output of channels without a file of their own in one log: this file, or
 * (`stream`) one in this directory. Relative to the job's directory. One of both. */
HQ_API int hq_task_set_log(struct hq_task *task, const char *path,
                           struct hq_error *err) HQ_CHECK;
HQ_API int hq_task_set_stream(struct hq_task *task, const char *dir,
                              struct hq_error *err) HQ_CHECK;

/* Larger first; 0. */
HQ_API void hq_task_set_priority(struct hq_task *task, int32_t priority);
/* In milliseconds; a task that runs longer is stopped and has failed. 0, as at the
 * beginning: none. */
HQ_API void hq_task_set_time_limit(struct hq_task *task, uint64_t limit_ms);
#define HQ_CRASH_NEVER_RESTART UINT32_C(0)
#define HQ_CRASH_UNLIMITED UINT32_MAX
/* How often the task may be lost with its worker: 1 to 65535 or one of these; 5. */
HQ_API int hq_task_set_crash_limit(struct hq_task *task, uint32_t limit,
                                   struct hq_error *err) HQ_CHECK;
/* A temporary directory for each task, named in HQ_TASK_DIR. 0: none, as at first. */
HQ_API void hq_task_set_task_dir(struct hq_task *task, int on);

enum hq_pin {
    HQ_PIN_DOMAINS = 0, /* the NUMA domains of the task's CPUs, as at the beginning */
    HQ_PIN_TASKSET = 1, /* exactly its CPUs */
    HQ_PIN_OMP = 2,     /* the same, told to OpenMP */
    HQ_PIN_OFF = 3      /* all CPUs of the worker */
};
HQ_API int hq_task_set_pin(struct hq_task *task, enum hq_pin pin,
                           struct hq_error *err) HQ_CHECK;

/*
 * What the task needs. `amount` as on the command line: "4", "0.5", "2 compact!",
 * "all". The first call for "cpus" replaces the one CPU; else HQ_ERR_EXISTS for a
 * resource that has been asked for.
 */
HQ_API int hq_task_require(struct hq_task *task, const char *resource,
                           const char *amount, struct hq_error *err) HQ_CHECK;
/* So many whole workers of one group, instead of CPUs. 0: none. HQ_ERR_INVALID beside
 * resources, or other variants. */
HQ_API int hq_task_set_nodes(struct hq_task *task, uint32_t nodes,
                             struct hq_error *err) HQ_CHECK;
/* Start only on workers that live at least that long, in milliseconds. */
HQ_API void hq_task_set_time_request(struct hq_task *task, uint64_t request_ms);
/* Begins another variant, which is taken where the ones before cannot be had: the
 * three calls above are about it from now on. It asks for nothing at first, and to a
 * task of several variants no CPU is added. */
HQ_API int hq_task_add_variant(struct hq_task *task, struct hq_error *err) HQ_CHECK;

/* ---- a job ---- */

struct hq_spec; /* opaque */

/* Without a directory of its own the job has the current one of this moment. */
HQ_API int hq_spec_create(struct hq_spec **spec, struct hq_error *err) HQ_CHECK;
HQ_API void hq_spec_destroy(struct hq_spec *spec); /* NULL is fine */

/* "job" if not given. No newlines and tabs. */
HQ_API int hq_spec_set_name(struct hq_spec *spec, const char *name,
                            struct hq_error *err) HQ_CHECK;
/* Absolute directory that relative paths start from. */
HQ_API int hq_spec_set_dir(struct hq_spec *spec, const char *dir,
                           struct hq_error *err) HQ_CHECK;
/* When more than so many tasks have failed the rest is aborted. Not set: never. */
HQ_API void hq_spec_set_max_fails(struct hq_spec *spec, uint32_t max_fails);
/* The tasks go into that open job; name and max_fails are passed over. */
HQ_API int hq_spec_set_job(struct hq_spec *spec, uint32_t job,
                           struct hq_error *err) HQ_CHECK;

/* Ids of tasks are below this. */
#define HQ_TASK_ID_END UINT32_MAX

/* All following adds copy the task as it is now, and keep the tasks' `needs`: n ids of
 * tasks that have to finish first, each added before or, with hq_spec_set_job, there in
 * the job. NULL with n 0: none. The server judges ids: hq_job_submit fails with
 * HQ_ERR_EXISTS for one that is there twice, HQ_ERR_INVALID for a need that is not. */

/* One task. */
HQ_API int hq_spec_add(struct hq_spec *spec, uint32_t id, const struct hq_task *task,
                       const uint32_t *needs, size_t n_needs,
                       struct hq_error *err) HQ_CHECK;
/* Tasks with the ids first, first + 1, ... The array takes the same room, here and in
 * the server, whatever its count (1 or more). */
HQ_API int hq_spec_add_array(struct hq_spec *spec, uint32_t first, uint32_t count,
                             const struct hq_task *task, const uint32_t *needs,
                             size_t n_needs, struct hq_error *err) HQ_CHECK;
struct hq_bytes {
    const void *data; /* borrowed for the call */
    size_t n;
};
/* An array in which each task finds an entry of its own in HQ_ENTRY (no NUL bytes). */
HQ_API int hq_spec_add_entries(struct hq_spec *spec, uint32_t first,
                               const struct hq_bytes *entries, uint32_t count,
                               const struct hq_task *task, const uint32_t *needs,
                               size_t n_needs, struct hq_error *err) HQ_CHECK;

/* ---- submitting ---- */

/* *job is the id of the new job, or of the one that was set. The server has the tasks
 * in its journal, if it keeps one, when this returns. */
HQ_API int hq_job_submit(struct hq_client *client, const struct hq_spec *spec,
                         uint32_t *job, struct hq_error *err) HQ_CHECK;
/* A job that takes tasks by submits until it is closed. max_fails < 0: no limit. */
HQ_API int hq_job_open(struct hq_client *client, const char *name, int64_t max_fails,
                       uint32_t *job, struct hq_error *err) HQ_CHECK;

HQ_END_DECLS

#endif
