/* `hq log X export`: one walk over the runs, several forms of what comes out. */
#ifndef HQ_CLI_LOG_EXPORT_H
#define HQ_CLI_LOG_EXPORT_H

#include "cli/log_batch.h"
#include "cli/log_choice.h"

struct export_run {
    uint32_t job, task, instance;
    bool finished, newest, cut;
    enum outlog_state state;
    uint64_t last_us;
    uint64_t bytes[OUTLOG_N_CHANNELS];
    bool has_origin; /* only with whole_runs, as the origin */
    struct outlog_origin origin;
};

struct exporter;

/* Standard error comes before standard output, as JSON keys are sorted. What fails in
 * between calls export_fail. */
struct export_ops {
    bool whole_runs; /* origins and end records are wanted as well */
    int (*begin)(struct exporter *x, struct error *err);
    void (*begin_run)(struct exporter *x, const struct export_run *run);
    void (*begin_channel)(struct exporter *x, const struct export_run *run,
                          enum outlog_channel channel);
    void (*put_data)(struct exporter *x, const struct outlog_entry *e, const uint8_t *p,
                     size_t n);
    void (*end_channel)(struct exporter *x);
    void (*end_run)(struct exporter *x);
    int (*finish)(struct exporter *x, struct error *err);
    void (*release)(struct exporter *x); /* in any case, or NULL */
};
extern const struct export_ops export_json, export_jsonl, export_files, export_tar,
    export_sqlite;

struct export_sqlite;

struct exporter {
    struct output *out;
    const struct export_ops *ops;
    struct log_source s;
    struct log_choice choice;
    struct log_batch batch;
    struct export_run *runs; /* in the batch */
    size_t n_runs, cap_runs, present;
    bool with_job; /* several jobs are exported */
    int rc;        /* first failure between begin and finish */
    struct error *err;
    /* json */
    struct json json;
    uint8_t tail[4]; /* beginning of a character that the last piece ended with */
    size_t n_tail;
    struct buf text;
    /* sqlite */
    struct export_sqlite *sqlite;
    struct outlog_end end; /* of the run that comes next; unfinished: not known */
    /* files and tar */
    const char *to; /* directory, or the database */
    int fd;
    struct buf path;
    uint64_t size, left; /* of the present member; bytes that did not come yet */
    uint32_t last_job;
    bool any_job_dir;
};

/* After a failure nothing more is written. `rc` comes with a text in x->err. */
void export_fail(struct exporter *x, int rc);

#endif
