/* What a worker tells about itself when it registers, and why it may go away. */
#ifndef HQ_MODEL_WORKER_H
#define HQ_MODEL_WORKER_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "model/resource.h"

enum server_lost_policy { LOST_STOP, LOST_FINISH_RUNNING, LOST_RECONNECT };
enum batch_manager { MANAGER_NONE, MANAGER_PBS, MANAGER_SLURM };

enum worker_end {
    WORKER_RUNNING,
    WORKER_STOPPED, /* `hq worker stop`, or it left in order on a signal */
    WORKER_IDLE_TIMEOUT,
    WORKER_TIME_LIMIT,
    WORKER_CONNECTION_LOST, /* counts as a crash for its running tasks */
    WORKER_HEARTBEAT_LOST,  /* likewise */
    WORKER_END_COUNT
};
extern const char *const worker_state_labels[WORKER_END_COUNT]; /* "RUNNING", … */
extern const char *const worker_end_words[WORKER_END_COUNT]; /* "connection lost", … */

#define WORKER_TOKEN_BYTES 16

struct worker_config {
    char *hostname;
    char *group;
    char *work_dir;
    char *listen_address; /* "<hostname>:0" */
    char *manager_job;    /* allocation id or NULL */
    char *version;
    uint8_t manager;                   /* enum batch_manager */
    uint8_t on_server_lost;            /* enum server_lost_policy */
    uint8_t token[WORKER_TOKEN_BYTES]; /* random identity, for reconnecting */
    uint64_t heartbeat_ns;
    uint64_t idle_timeout_ns;      /* 0: none; DURATION_ZERO_NS: 0 */
    uint64_t time_limit_ns;        /* likewise */
    uint64_t overview_interval_ns; /* 0: off */
    double min_utilization;
    uint32_t pid;
    bool mpi; /* an MPI rank; the next four are valid */
    uint32_t rank, world_size, local_rank, local_size;
    char *pool_id; /* batch job and step, or mpirun's id; NULL */
    struct pool_set pools;
};

void worker_config_init(struct worker_config *c);
void worker_config_release(struct worker_config *c);
void worker_config_encode(const struct worker_config *c, struct buf *out);
int worker_config_decode(struct worker_config *c, struct cursor *cur) MUST_CHECK;
int worker_config_copy(struct worker_config *to,
                       const struct worker_config *from) MUST_CHECK;

#endif
