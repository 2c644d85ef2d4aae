/*
 * Reading output logs (`hq submit --log`, `--stream`). Since 0.30.
 *
 * A log is read from its files, sealed or still being written, with or without a
 * server, as it was when it was opened. One thread at a time for each hq_log.
 */
#ifndef HQ_LOG_H
#define HQ_LOG_H

#include <hq/client.h>
#include <stddef.h>
#include <stdint.h>

HQ_BEGIN_DECLS

struct hq_log; /* opaque */

/* Opens a file, or all logs of a directory as one. HQ_ERR_NOT_FOUND: nothing is there;
 * HQ_ERR_CORRUPT: something else than a log; HQ_ERR_INVALID: no regular file, or logs
 * of several servers, of which each has to be opened by itself. */
HQ_API int hq_log_open(const char *path, struct hq_log **log,
                       struct hq_error *err) HQ_CHECK;
/* Opens the log that the job's tasks write to. HQ_ERR_NOT_FOUND: no such job, or it has
 * no log (yet); HQ_ERR_INVALID: it has several. */
HQ_API int hq_log_open_job(struct hq_client *client, uint32_t job, struct hq_log **log,
                           struct hq_error *err) HQ_CHECK;
HQ_API void hq_log_close(struct hq_log *log); /* NULL is fine */

enum hq_channel { HQ_STDOUT = 0, HQ_STDERR = 1 };

/* A piece of output. Later versions may add members at the end. */
struct hq_output {
    uint32_t job, task;
    uint32_t instance; /* of the run that printed it: the last one of the task */
    enum hq_channel channel;
    uint64_t time_us; /* when it was read, microseconds since 1970 UTC */
    const void *data; /* any bytes; valid during the call */
    size_t n;         /* 1 or more */
};
/* Not 0: no further calls. */
typedef int (*hq_output_fn)(void *arg, const struct hq_output *output);

#define HQ_ANY UINT32_MAX

/*
 * Calls fn for what the last run of that task of that job has printed, in the order in
 * which it came; HQ_ANY: of all tasks, of all jobs, ascending by ids. `channels`: bit 0
 * stdout, bit 1 stderr. Returns 0 at the end, or what fn returned when that is not 0.
 * No output is no error. Damaged parts are left out: hq_log_damaged.
 */
HQ_API int hq_log_read(struct hq_log *log, uint32_t job, uint32_t task,
                       unsigned channels, hq_output_fn fn, void *arg,
                       struct hq_error *err) HQ_CHECK;
/* Bytes of the files that could not be read so far, since they are damaged. */
HQ_API uint64_t hq_log_damaged(const struct hq_log *log);

HQ_END_DECLS

#endif
