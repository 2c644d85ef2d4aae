/*
 * States and records of tasks, states of jobs, and their legal transitions.
 */
#ifndef HQ_MODEL_JOB_H
#define HQ_MODEL_JOB_H

#include "base/buf.h"
#include "base/cursor.h"

enum task_state {
    TASK_WAITING,
    TASK_RUNNING,
    TASK_FINISHED,
    TASK_FAILED,
    TASK_CANCELED,
    TASK_ABORTED,
    TASK_STATE_COUNT
};

enum job_state {
    JOB_WAITING,
    JOB_RUNNING,
    JOB_FINISHED,
    JOB_FAILED,
    JOB_CANCELED,
    JOB_ABORTED,
    JOB_OPENED,
    JOB_STATE_COUNT
};

/* Lower-case words of the command line and the JSON ("waiting", …); upper-case ones of
 * tables. Indexed by the enums. */
extern const char *const task_state_words[TASK_STATE_COUNT];
extern const char *const task_state_labels[TASK_STATE_COUNT];
extern const char *const job_state_words[JOB_STATE_COUNT];
extern const char *const job_state_labels[JOB_STATE_COUNT];

static inline bool task_state_terminal(enum task_state s)
{
    return s >= TASK_FINISHED;
}
/* Whether the transition table of the reference (jobs, 3.1) allows it. */
bool task_transition_legal(enum task_state from, enum task_state to);

/* Why a task failed; decides the text when no message is kept. */
enum task_failure {
    FAILURE_NONE,
    FAILURE_EXIT,       /* exit status in `exit` */
    FAILURE_SIGNAL,     /* signal number in `exit` */
    FAILURE_TIME_LIMIT, /* "Time limit reached" */
    FAILURE_MESSAGE     /* text kept in the job's side table */
};

#define TASK_VARIANT_NONE 0xff

/*
 * One task that was started at least once. 40 bytes. Times are counts of 16
 * microseconds since 1970 in 48 bits (0: none), which is enough until 2112;
 * microseconds themselves would have been full in 1978.
 */
struct task_record {
    uint8_t state;    /* enum task_state */
    uint8_t variant;  /* chosen variant of the request */
    uint8_t failure;  /* enum task_failure */
    uint8_t flags;    /* RECORD_* */
    uint16_t exit;    /* exit status or signal */
    uint16_t crashes; /* losses of its worker while it ran */
    uint32_t worker;  /* 0: none */
    uint32_t instance;
    uint8_t start[6], end[6];
    uint32_t user_ms, system_ms; /* CPU times of the process tree that was waited for */
    uint32_t max_rss_kib;
};
_Static_assert(sizeof(struct task_record) == 40, "task records are 40 bytes");

#define RECORD_GANG 1    /* ran on several workers: see the job's side table */
#define RECORD_MESSAGE 2 /* an error text is kept in the job's side table */

#define RECORD_TIME_UNIT_US 16u

static inline uint64_t record_time_get(const uint8_t t[6])
{
    return ((uint64_t)get_u32(t) | (uint64_t)get_u16(t + 4) << 32) *
           RECORD_TIME_UNIT_US;
}
static inline void record_time_set(uint8_t t[6], uint64_t us)
{
    uint64_t units = us / RECORD_TIME_UNIT_US;
    put_u32(t, (uint32_t)units);
    put_u16(t + 4, (uint16_t)(units >> 32));
}
void task_record_encode(const struct task_record *r, struct buf *out); /* 40 bytes LE */
void task_record_decode(struct task_record *r, struct cursor *c);

struct task_counts {
    uint32_t n[TASK_STATE_COUNT];
};

/* First rule that matches (reference of jobs, 3.2). */
enum job_state job_state_of(const struct task_counts *counts, bool open);

/* Error text of a failed task without a kept message:
 * "Program terminated with exit code 3." and so on. */
void task_failure_print(const struct task_record *r, struct buf *out);
const char *signal_name(int sig); /* "SIGKILL", "unknown" */

#endif
