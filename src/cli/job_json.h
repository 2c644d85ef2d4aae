/* JSON of jobs and tasks; shapes in the command-line contract. */
#ifndef HQ_CLI_JOB_JSON_H
#define HQ_CLI_JOB_JSON_H

#include "client/job_view.h"
#include "cli/session.h"

/* The object of `job list`, and "info" of `job info`. */
void json_job_info(struct json *j, const struct job_info *info);
void json_task_body(struct json *j, const struct submit *s, const struct task_group *g,
                    bool graph);
/* One task; `paths` NULL leaves the files out. */
void json_task(struct json *j, const struct task_ref *t,
               const struct task_paths *paths);
/* As json_task, with the files resolved when the task was started. */
int json_task_with_paths(struct json *j, const struct job_view *v,
                         const struct task_ref *t, const char *server_uid,
                         struct error *err) MUST_CHECK;
void json_request(struct json *j, const struct request *r);
void json_crash_limit(struct json *j, uint32_t limit);

#endif
