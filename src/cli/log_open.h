/* Common to the verbs of `hq log`: finding the log, telling damage. */
#ifndef HQ_CLI_LOG_OPEN_H
#define HQ_CLI_LOG_OPEN_H

#include "args/args.h"
#include "base/u64map.h"
#include "outlog/reader.h"

struct log_source {
    struct outlog_reader *reader;
    const char *shown; /* the path as typed */
    char *path;        /* of the job's log, when a job was named */
    struct args_list also;
    const char *server_uid;
    bool follow;
    char *job_uid; /* of the server, when a job was named */
    bool has_job;  /* LOG named a job: verbs without one of their own mean this */
    uint32_t job;
    uint32_t n_tasks;  /* of the job, once the server has told; 0: more may come */
    bool away;         /* the server did not answer when it was asked last */
    uint64_t heard_us; /* when it did, or when the log told something new */
    uint64_t n_damages, damaged_bytes;
    struct u64map known; /* places of damage that are not to be told again */
};

/* Opens what the positional LOG names: a path, else a job known to the server. With
 * --follow waits until there is a log, or until the job has ended. */
int log_source_open(struct log_source *s, const struct run *r,
                    struct error *err) MUST_CHECK;
/* The file or directory that LOG means. */
const char *log_source_path(const struct log_source *s);
/* Whether the job that LOG named has ended, as the server says. A server that is away
 * is no error for some minutes: it may be started again. */
int log_source_job_ended(struct log_source *s, const struct run *r, bool *ended,
                         struct error *err) MUST_CHECK;
/* Tells about damage, the first few times. */
void log_source_damage(struct log_source *s, const struct outlog_damage *d);
/* What was told of this place is all: the log will be read again. */
int log_source_know(struct log_source *s, const struct outlog_damage *d) MUST_CHECK;
/* Warns about damage that was not told one by one. */
void log_source_release(struct log_source *s);

#endif
