/*
 * Watching and changing jobs. Since 0.30.
 *
 * Jobs have ids from 1 on, in the order in which they were submitted.
 */
#ifndef HQ_JOB_H
#define HQ_JOB_H

#include <hq/client.h>
#include <stddef.h>
#include <stdint.h>

HQ_BEGIN_DECLS

/* ---- states; numbers never change ---- */

enum hq_task_state {
    HQ_TASK_WAITING = 0,
    HQ_TASK_RUNNING = 1,
    HQ_TASK_FINISHED = 2,
    HQ_TASK_FAILED = 3,
    HQ_TASK_CANCELED = 4,
    HQ_TASK_ABORTED = 5 /* something that it needed did not finish */
};
#define HQ_TASK_STATES 6

enum hq_job_state {
    HQ_JOB_WAITING = 0,
    HQ_JOB_RUNNING = 1,
    HQ_JOB_FINISHED = 2,
    HQ_JOB_FAILED = 3,
    HQ_JOB_CANCELED = 4,
    HQ_JOB_ABORTED = 5,
    HQ_JOB_OPENED = 6 /* open and without a task that is not done */
};

/* "waiting", …; "unknown" for other numbers. Valid for ever. */
HQ_API const char *hq_task_state_name(enum hq_task_state state);
HQ_API const char *hq_job_state_name(enum hq_job_state state);

/* Tasks by enum hq_task_state. */
struct hq_counts {
    uint32_t n[HQ_TASK_STATES];
};

/* ---- listing ---- */

/* Made by the library; later versions may add members at the end. */
struct hq_job {
    uint32_t id;
    uint32_t n_tasks;
    enum hq_job_state state;
    int is_open; /* takes further tasks */
    const char *name;
    const char *cancel_reason; /* or NULL */
    struct hq_counts counts;
};

struct hq_jobs; /* opaque: a list as it was when it was asked for */

/* All jobs that the server knows, ascending by id. Freed with hq_jobs_free. */
HQ_API int hq_job_list(struct hq_client *client, struct hq_jobs **jobs,
                       struct hq_error *err) HQ_CHECK;
HQ_API size_t hq_jobs_count(const struct hq_jobs *jobs);
/* The next job, from the first on; NULL at the end, and then from the first on again.
 * Valid until hq_jobs_free. */
HQ_API const struct hq_job *hq_jobs_next(struct hq_jobs *jobs);
/* That job; NULL: it is not in the list. Valid until hq_jobs_free. */
HQ_API const struct hq_job *hq_jobs_find(const struct hq_jobs *jobs, uint32_t id);
HQ_API void hq_jobs_free(struct hq_jobs *jobs); /* NULL is fine */

/* Made by the library; later versions may add members at the end. */
struct hq_task_info {
    uint32_t id;
    enum hq_task_state state;
    uint32_t instance; /* how often it had been started before; 0 */
    uint32_t worker;   /* id of the (first) worker of the last run; 0: none */
    uint64_t start_us; /* of the last run, microseconds since 1970 UTC; 0: none */
    uint64_t end_us;   /* 0: has not ended, or never began */
    const char *error; /* why it failed; NULL unless state is HQ_TASK_FAILED */
    const char *cwd;   /* of the last run; these three: NULL where there is none */
    const char *stdout_path; /* NULL too when the channel does not go to a file */
    const char *stderr_path;
    uint64_t user_us, system_us; /* CPU time of the last run, in steps of 1 ms */
    uint64_t max_rss_bytes;      /* the most memory that it took */
};
/* `task` and its texts are valid during the call. Not 0: no further calls. */
typedef int (*hq_task_fn)(void *arg, const struct hq_task_info *task);
/*
 * Calls fn for each task of the job, ascending by id. Tasks come in pages, each as it
 * was when it came, so a million of them takes little room. Returns 0 at the end, or
 * what fn returned when that is not 0. HQ_ERR_NOT_FOUND: no such job. fn must not use
 * the client: HQ_ERR_BUSY.
 */
HQ_API int hq_task_list(struct hq_client *client, uint32_t job, hq_task_fn fn,
                        void *arg, struct hq_error *err) HQ_CHECK;

/* ---- waiting ---- */

#define HQ_WAIT_FOREVER UINT64_MAX

/*
 * Waits until all tasks of these jobs have ended and open jobs are closed; the server
 * tells when. timeout_ms: HQ_ERR_TIMEOUT when they have not by then; 0 only looks, for
 * which a silent server gets 15 s, as for connecting. counts (NULL is fine): the tasks
 * of all of them together, also after HQ_ERR_TIMEOUT, all 0 if the server told nothing.
 * HQ_ERR_NOT_FOUND: one of them is unknown. Has a connection of its own meanwhile.
 */
HQ_API int hq_job_wait(struct hq_client *client, const uint32_t *jobs, size_t n_jobs,
                       uint64_t timeout_ms, struct hq_counts *counts,
                       struct hq_error *err) HQ_CHECK;

/* ---- changing ---- */

/* Cancels what has not ended; reason (NULL is fine): at most 200 bytes. *n_canceled
 * (NULL is fine): how many tasks that were, 0 when all had ended. */
HQ_API int hq_job_cancel(struct hq_client *client, uint32_t job, const char *reason,
                         uint32_t *n_canceled, struct hq_error *err) HQ_CHECK;
/* Drops a job that is done from the server. HQ_ERR_INVALID: it is not. */
HQ_API int hq_job_forget(struct hq_client *client, uint32_t job,
                         struct hq_error *err) HQ_CHECK;
/* Ends an open job's taking of tasks; one that is closed stays so. */
HQ_API int hq_job_close(struct hq_client *client, uint32_t job,
                        struct hq_error *err) HQ_CHECK;

HQ_END_DECLS

#endif
