/*
 * Batch systems behind one table of operations: the script of an allocation, the
 * commands to submit, look at and cancel it, and what their output means. Nothing here
 * runs a command, reads a clock or the environment; the server does.
 */
#ifndef HQ_AUTOALLOC_BATCH_H
#define HQ_AUTOALLOC_BATCH_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/vec.h"
#include "model/alloc.h"

#define BATCH_SCRIPT_NAME "hq-submit.sh"
#define BATCH_OUTPUT_MAX ((size_t)16 << 20) /* of a command; more is an error */

/* Words of a command; each is owned. */
struct batch_command {
    VEC(char *) words; /* ends with NULL behind the last word */
};
void batch_command_release(struct batch_command *c);

/* What the script of an allocation is made from; all borrowed. */
struct batch_script {
    const struct alloc_params *params;
    const char *name;       /* of the allocation: "abc-1" */
    const char *dir;        /* its directory */
    const char *server_dir; /* of the server's run, where workers find it */
    const char *hq; /* absolute path of hq, or of hq-mpi-worker if that is asked */
    const char *log_filter; /* RUST_LOG of the workers; NULL: none */
    uint32_t workers;       /* nodes, at least 1 */
    bool trial;             /* it is cancelled at once */
};

enum batch_state {
    BATCH_QUEUED,
    BATCH_RUNNING,
    BATCH_FINISHED,
    BATCH_FAILED,
    BATCH_GONE, /* the batch system does not know it any more */
    BATCH_ERROR /* nothing is known: `why` */
};

/* A time as the batch system wrote it: of this machine's zone. */
struct batch_time {
    bool known;
    int year, month, day, hour, minute, second; /* month and day from 1 */
};

struct batch_status {
    enum batch_state state;
    struct batch_time started, ended; /* where it tells them */
    char why[160];                    /* BATCH_ERROR */
};

/* How a command ended. */
struct batch_answer {
    bool ok; /* exit status 0 */
    struct span out, err;
};

struct batch_ops {
    const char *word;  /* "slurm", as in --manager */
    const char *label; /* "SLURM", in tables */
    const char *json;  /* "Slurm", in JSON */
    const char *nodes; /* what stands before their number in the script */
    const char *submit_program, *cancel_program, *status_program;
    size_t ids_max; /* allocations that one status command asks for */
    void (*script)(const struct batch_script *s, struct buf *out);
    /* The id in what the submit program printed; *id is malloc'ed. ERR_PARSE: none. */
    int (*read_id)(struct span out, char **id, struct error *err);
    void (*status_command)(const char *const *ids, size_t n, struct batch_command *out);
    /* What the cancel program says of a job that is over already; ends with NULL. */
    const char *const *over;
    /* One status for each id; an error for all when nothing can be read. */
    int (*read_status)(const struct batch_answer *a, const char *const *ids, size_t n,
                       struct batch_status *out, struct error *err);
};

extern const struct batch_ops batch_slurm, batch_pbs;
const struct batch_ops *batch_ops_of(uint8_t manager); /* MANAGER_PBS, MANAGER_SLURM */

/* Whether the job is over after this answer of the cancel program. */
bool batch_cancelled(const struct batch_ops *ops, const struct batch_answer *a);
/* How many workers the script is for; 0: it does not tell. */
uint32_t batch_script_workers(const struct batch_ops *ops, const char *script);
void batch_submit_command(const struct batch_ops *ops, const char *dir,
                          struct batch_command *out);
void batch_cancel_command(const struct batch_ops *ops, const char *id,
                          struct batch_command *out);

/* The text in double quotes, for a shell; what means something in these is escaped. */
void batch_quote(struct buf *out, const char *text);
/* "<name>-<k>", without a name "hq-<queue>-<k>". */
void batch_allocation_name(const struct alloc_params *p, uint32_t queue, uint32_t k,
                           struct buf *out);
/* What one command printed, for people: "Exit code: 3\nStderr: …\nStdout: …", long
 * output cut. `how`: "Exit code: 3". */
void batch_describe(const char *how, struct span err, struct span out, struct buf *to);

#endif
