/*
 * Private to worker.
 *
 *   worker.c   connection, registration, signals, the way out
 *   defs.c     classes, bodies, groups that the server defined
 *   lanes.c    queues of (class, variant), seats (allocations), what runs next
 *   run.c      one task: environment, paths, start
 *   ends.c     events of the launcher, ends, error texts
 *   streams.c  streamed tasks and the writer of the shared log
 *   pipes.c    pipes of streamed tasks into the log
 *   report.c   starts and ends on their way to the server
 *   placements.c  where tasks run, described for the server
 *   overview.c  reports of the node's load
 *   gpu_watch.c  the load of GPUs, from the programs of their makers
 *   notify.c   HQ_ACCESS_KEY: notifications of tasks
 *   taskdir.c  task directories, node files, error files
 *
 * Seat: one allocation of a lane, named by a slot of the launcher. Its tasks run one
 * after the other; of short ones a few wait ahead in the launcher, so that the next
 * starts without a round trip.
 */
#ifndef HQ_WORKER_INTERNAL_H
#define HQ_WORKER_INTERNAL_H

#include "base/list.h"
#include "base/u64map.h"
#include "io/io.h"
#include "model/event.h"
#include "model/hw_state.h"
#include "model/paths.h"
#include "model/placement.h"
#include "outlog/writer.h"
#include "topo/alloc.h"
#include "topo/pin.h"
#include "wire/lists.h"
#include "worker/worker.h"

#define AHEAD_MAX 128u  /* tasks that wait in the launcher behind a running one */
#define AHEAD_US 24000u /* … but no more than that much work */
#define STUCK_US 20000u /* tasks behind one that runs longer are taken back */
/* Tasks of a group known to be shorter than that share the launcher's session, which
 * has no terminal either; launch/launch.h tells what a session costs. */
#define SESSION_US 10000u
#define GATHER_MS 1 /* between two messages with reports … */
/* … and when tasks are so short that messages would cost more than a tenth of them. */
#define GATHER_BRIEF_MS 8
#define BRIEF_US 2000u
/* Output of a task that comes near what a pipe holds. */
#define FILLS_PIPE_BYTES 32768u
#define NO_TEMPLATE UINT32_MAX

struct task_class {
    uint32_t refs; /* the table's, and one per lane */
    uint32_t id;
    struct request request;
};

struct job_def {
    uint32_t id;
    char *name;
};

struct body_def {
    uint32_t refs; /* groups */
    char *submit_dir;
    struct task_body body;
};

struct group_def {
    uint32_t refs; /* the table's, and one per queued run and task */
    uint32_t job, index;
    uint32_t first_slot, count;
    uint32_t template_id; /* of the launcher; NO_TEMPLATE: not made yet */
    bool dependants;
    bool dynamic_cwd, dynamic_out, dynamic_err; /* differ from task to task */
    bool dynamic_args;
    char *name;
    char *argv_data; /* words, each with NUL */
    char **argv;
    size_t n_argv;
    struct submit ids; /* one group: task ids and axes, for group_id_at */
    struct body_def *body;
    /* Moving averages of its tasks; 0: unknown. */
    uint64_t mean_us;      /* duration */
    uint64_t mean_printed; /* output through pipes */
};

/* Consecutive slots of one group in a queue; entries are kept per run. */
struct queued_run {
    int32_t priority;
    uint32_t job, slot, count;
    uint32_t instance;
    struct group_def *group;
    uint8_t *entries; /* owned: for each task u32 length, bytes; NULL: none */
    size_t entry_at;  /* offset of the first task's entry */
};

struct lane {
    struct list_node node; /* worker.lanes */
    uint32_t class_id;
    uint8_t variant;
    bool orphan; /* of an earlier connection: nothing is queued any more */
    bool never;
    const struct request_variant *request; /* in the class */
    struct task_class *class;
    struct alloc_plan plan;
    struct queued_run *runs; /* sorted by priority descending, job, slot */
    size_t n_runs, cap_runs;
    size_t first_run;  /* runs before it are used up */
    uint32_t queued;   /* tasks in runs */
    uint32_t window;   /* queued and launched after the last assignment */
    bool told_dry;     /* the server heard at once that half of it is used up */
    uint32_t launched; /* tasks in seats */
    uint32_t n_seats;
    uint32_t n_tasks; /* that were started from it and are not freed */
    uint64_t mean_us; /* moving average of task durations; 0: unknown */
};

struct seat {
    struct list_node node; /* worker.seats */
    struct lane *lane;     /* NULL: gang */
    struct allocation allocation;
    bool has_allocation;
    bool bound; /* the launcher knows the binding of this slot */
    uint32_t slot;
    uint32_t placement; /* of its tasks that are bound in the usual way; 0: unknown */
    uint32_t pending;   /* launched tasks that still need it */
    struct list tasks;  /* in the order of their start */
    uint64_t head_since_us; /* when the first of them became the first */
    char **env;             /* HQ_CPUS=… of the allocation */
    size_t n_env;
};

enum task_phase {
    PHASE_LOG,      /* waits for its log to be open */
    PHASE_LAUNCHED, /* in the launcher, maybe behind others */
    PHASE_RUNNING,  /* seen to be started */
    PHASE_DOUBTED,  /* ended by a SIGTERM that may be meant for this worker too */
    PHASE_OVER      /* the program ended; output or the end record are on their way */
};

struct task_channel {
    int fd;               /* -1: none or at its end */
    struct io_poll *poll; /* NULL: not watched yet */
    bool paused;
    bool large;     /* the pipe was enlarged */
    uint8_t n_full; /* how often in a row it was found full, up to a bound */
};

struct task {
    struct worker *worker;
    uint64_t handle;
    struct list_node node;    /* seat.tasks */
    struct list_node started; /* worker.fresh: started, not reported yet */
    struct group_def *group;
    struct seat *seat;
    struct lane *lane; /* of its seat, also after it left it; NULL: gang */
    uint32_t job, slot, instance;
    uint32_t task_id;
    int32_t priority;
    uint8_t phase;       /* enum task_phase */
    bool on_seat;        /* counted in seat.pending */
    bool reported_start; /* the server knows that it runs */
    bool kill_sent, canceled, timed_out, discard;
    bool retract_sent;
    bool released; /* its end freed the allocation */
    bool exited;   /* `end` is filled in */
    bool broken;   /* its stream failed; `message` tells */
    uint8_t *entry;
    size_t n_entry;
    struct task_end end;
    char *message;         /* owned text of the failure */
    char *cwd, *out, *err; /* resolved; NULL: as in the template */
    char *dir;             /* task directory */
    struct outlog_task *stream;
    struct task_channel channels[OUTLOG_N_CHANNELS];
    struct list_node unwatched; /* worker.unwatched, until watch_us */
    uint64_t watch_us;
    struct io_timer *deadline; /* time limit; end of the doubt */
    struct io_timer *retry;    /* small reads linger */
    struct gang_def *gang;
};

struct gang_def {
    char **hosts;
    size_t n;
    uint32_t *workers;
};

/* Ended batches that the server has not acknowledged. */
struct sent_batch {
    struct list_node node;
    uint64_t seq;
    struct buf ends;
};

enum worker_mode {
    MODE_CONNECTING,
    MODE_SERVING,
    MODE_LOST,     /* no server: waits for a reconnect, or for running tasks */
    MODE_LEAVING,  /* tasks are being ended */
    MODE_DRAINING, /* the log writer finishes */
    MODE_GONE
};

struct worker {
    struct worker_setup *setup;
    struct io_loop *loop;
    struct io_conn *conn; /* NULL: none */
    enum worker_mode mode;
    uint32_t id;     /* 0: never registered */
    bool registered; /* on this connection */
    uint64_t started_us, lost_since_us;
    uint32_t tries;
    int exit_rc;
    struct error exit_err;
    char server_uid[64];
    uint64_t state_us; /* of the server, as it told */
    enum worker_end leave_reason;
    bool killed_now; /* SIGKILL was sent to what did not end in time */

    struct u64map classes, bodies, groups, jobs; /* id or job << 32 | id -> pointer */
    struct list lanes;
    struct list seats;
    struct u64map free_slots; /* launcher slots given back */
    uint32_t next_slot;
    struct alloc_state *alloc;
    struct pinner *pinner;

    struct u64map tasks;   /* handle -> struct task * */
    struct u64map by_slot; /* job << 32 | slot -> handle */
    uint64_t next_handle;
    uint32_t n_on_seat;

    struct launcher *launcher;
    struct io_poll *launcher_poll;
    bool launcher_dirty;

    struct outlog_writer *writer;
    struct io_poll *writer_poll;
    struct io_timer *writer_timer;
    struct list unwatched;     /* tasks whose pipes are not watched yet */
    uint32_t n_large_pipes;    /* enlarged ones … */
    uint32_t large_pipes_max;  /* … of fewer than that; 0: not known yet */
    struct u64map job_outputs; /* of jobs with a limit: struct job_output * */
    struct io_timer *tell_output;

    struct buf *placements; /* number i lies at i - 1 */
    uint32_t n_placements, n_placements_sent;
    struct u64map placement_ids; /* checksum -> number */

    struct list fresh; /* tasks started and not reported */
    struct buf ends;   /* ended tasks, not yet sent */
    struct task_end_writer end_writer;
    uint32_t n_ends;
    bool flush_now;
    uint64_t reported_us;   /* monotonic time of the last report */
    uint64_t report_due_us; /* of the next one, while `gather` is active */
    uint64_t next_seq;
    struct list sent; /* sent_batch, ascending */

    struct io_timer *gather, *heartbeat, *life, *retry, *leave, *stuck, *retract;
    struct overview *overview; /* NULL: no reports of the load */
    struct gpu_watch *gpus;
    struct io_signal *signals[4];
    char *socket_path;
    int socket_fd;
    struct io_poll *socket_poll;
    struct list notify_conns;
    uint8_t secret[32];
    char *work_dir;
    bool own_work_dir;
};

uint64_t worker_now_us(void); /* wall clock */

/* defs.c */
void defs_class(struct worker *w, uint32_t id, struct span request);
void defs_body(struct worker *w, const struct msg_BODY_DEFINE *m);
void defs_group(struct worker *w, const struct msg_GROUP_DEFINE *m);
void defs_job(struct worker *w, uint32_t id, struct span name);
void defs_drop_job(struct worker *w, uint32_t id);
void defs_reset(struct worker *w); /* a new connection: nothing is defined */
struct group_def *defs_find_group(const struct worker *w, uint32_t job, uint32_t group);
void group_unref(struct worker *w, struct group_def *g);
void class_unref(struct task_class *c);
const char *defs_job_name(const struct worker *w, uint32_t job);

/* lanes.c */
void lanes_assign(struct worker *w, const struct msg_TASKS_ASSIGN *m);
void lanes_gang(struct worker *w, const struct msg_GANG_START *m);
void lanes_retract(struct worker *w, const struct msg_TASKS_RETRACT *m);
void lanes_cancel(struct worker *w, uint32_t job, struct span ranges);
/* Hands back what waits here for a time that the worker will not live to see. */
void lanes_check_life(struct worker *w);
void lanes_clear(struct worker *w); /* drops all queues; seats go on as orphans */
/* The server is gone: what was not started is no more ours. */
void lanes_lost(struct worker *w);
uint32_t seat_take_slot(struct worker *w); /* a slot of the launcher that is free */
/* The task needs its seat no more: the next one starts, or the seat is given up. */
void seat_left(struct worker *w, struct task *t);
/* Puts a task that was not started back to the head of its queue. */
void lane_put_back(struct worker *w, struct task *t);
void seats_check_stuck(struct worker *w);
void task_took(struct task *t, uint64_t duration_us);
void lane_left(struct lane *l); /* a task of it is freed */

/* run.c */
void task_run(struct worker *w, struct task *t);
void task_launch(struct worker *w, struct task *t); /* its log is open */
void seat_make_env(struct worker *w, struct seat *s);
struct path_context task_path_context(const struct worker *w, const struct task *t);
void task_free(struct worker *w, struct task *t);
struct task *task_of_handle(const struct worker *w, uint64_t handle);

/* ends.c */
void on_launch_event(void *arg, const struct launch_event *e);
void task_fail_before_start(struct worker *w, struct task *t, bool started, char *text);
/* Everything of the task is known and its output is written: report and free it. */
void task_complete(struct worker *w, struct task *t);
/* The program is over and its channels are at their end. */
void task_output_ended(struct worker *w, struct task *t);
void task_kill(struct worker *w, struct task *t, enum launch_kill how);
void kill_all(struct worker *w, enum launch_kill how);
/* The tasks at this moment; the caller frees the array. Tasks may go while it is used.
 */
struct task **tasks_now(const struct worker *w, size_t *n);

/* streams.c*/
int streams_create(struct worker *w, struct error *err) MUST_CHECK;
void streams_destroy(struct worker *w);
/* OUTLOG_READY, OUTLOG_PENDING or negative with the task's message set. */
int streams_begin(struct worker *w, struct task *t);
void streams_flush(struct worker *w);
void streams_message(struct worker *w, uint8_t type, struct span body);

/* pipes.c */
/* Takes the descriptors; -1: none. */
void streams_started(struct worker *w, struct task *t, int out_fd, int err_fd);
void streams_exited(struct task *t);     /* read what is left in a hurry */
bool streams_open(const struct task *t); /* a channel is not at its end */
void streams_close(struct task *t);      /* drops what is left */
/* At the end of a round; when to call again at latest (UINT64_MAX: no need). */
uint64_t pipes_watch_due(struct worker *w, uint64_t now_us);
void pipes_resume(struct worker *w);
/* The writer has taken so much of the task's output by itself. */
void pipes_returned(struct worker *w, struct task *t, enum outlog_channel channel,
                    uint64_t bytes); /* the writer has buffers again */

/* placements.c */
/* The number of the description for a task of the seat that is bound so. */
uint32_t placement_of(struct worker *w, const struct seat *s, enum pin_scope scope,
                      const struct pin_plan *plan);
void placements_put(struct worker *w, struct buf *out); /* those not sent yet */
void placements_send(struct worker *w);
void placements_release(struct worker *w);

/* report.c */
void report_start(struct worker *w, struct task *t);
void report_doomed(struct worker *w, const struct lane *l);
void report_end(struct worker *w, struct task *t);
/* For how long the end of the task would not be sent if it were reported now. */
uint64_t report_end_within_us(const struct worker *w, const struct task *t);
void report_end_run(struct worker *w, const struct task_end *e, uint32_t count);
void report_flush(struct worker *w);
void report_ack(struct worker *w, uint64_t seq);
void report_resend(struct worker *w, struct buf *batch); /* all that are kept */
void report_soon(struct worker *w);                      /* at the end of this round */

/* notify.c */
int notify_create(struct worker *w, struct error *err) MUST_CHECK;
void notify_destroy(struct worker *w);
void notify_token(const struct worker *w, const struct task *t, struct buf *out);

/* output_limits.c */
void output_limits_begin(struct worker *w, struct task *t); /* its stream is there */
void output_limits_count(struct worker *w, const struct task *t, uint64_t bytes);
void output_limits_full(struct worker *w, uint32_t job, uint64_t bytes);
void output_limits_drop_job(struct worker *w, uint32_t job);
void output_limits_forget(struct worker *w); /* of all jobs */
void output_limits_release(struct worker *w);

/* taskdir.c */
int taskdir_create(struct worker *w, struct task *t, struct error *err) MUST_CHECK;
void taskdir_remove(struct task *t);
/* Content of the error file instead of the text, when the task left one. */
char *taskdir_error_text(const struct task *t);

/* worker.c */
void launcher_flush_now(struct worker *w);
/* overview.c */
/* Reports come in that period from now on; 0: that of the configuration, if any. */
void overview_set(struct worker *w, uint64_t period_ns);
void overview_stop(struct worker *w);
void overview_gpus_told(struct worker *w); /* a program for their load has ended */

/* gpu_watch.c */
void gpu_watch_start(struct worker *w);
void gpu_watch_stop(struct worker *w); /* kills what runs */
/* Starts the programs that do not run. overview_gpus_told follows for each. */
void gpu_watch_ask(struct worker *w);
bool gpu_watch_busy(const struct worker *w);
void gpu_watch_fill(const struct worker *w, struct hw_state *s); /* last answers */
/* An event of the launcher; false: it is not about these programs. */
bool gpu_watch_event(struct worker *w, const struct launch_event *e);

void worker_leave(struct worker *w, enum worker_end reason);
void worker_fail(struct worker *w, const struct error *err); /* leave with exit 1 */
void worker_check_leave(struct worker *w); /* a task or the writer ended */
bool worker_serving(const struct worker *w);
/* Also without a server, when the worker means to come back to it. */
bool task_may_start(const struct worker *w);

#endif
