/*
 * The launcher: a process of its own that starts the tasks of a rank.
 *
 * launcher_start forks it from the worker before MPI_Init and before any thread, so
 * that it stays small and knows nothing of MPI. Inside, spawner threads start tasks
 * with vfork semantics, wait for them and report. The worker talks to it over one
 * socket; everything here belongs to one thread of the worker and never blocks, except
 * launcher_start and launcher_destroy.
 *
 * Slots. A slot (small number chosen by the worker, best one per allocation) is a
 * queue: its tasks run one after the other in the order of launcher_task, without a
 * round trip in between; tasks of different slots run at the same time. A slot keeps
 * the binding it got last, so tasks that inherit an allocation say nothing about CPUs.
 *
 * Templates hold what many tasks share (arguments, environment, paths); a task adds its
 * own words and variables and may override the rest.
 *
 * What a task sees: descriptors 0, 1 and 2 only, its own process group in a session
 * without terminal, default signal dispositions, empty signal mask, SIGTERM when the
 * launcher dies.
 * It ends with its first process. Every task that was queued gets exactly one of
 * LAUNCH_ENDED, LAUNCH_FAILED or LAUNCH_RETURNED.
 *
 * Requests leave with launcher_flush (once per loop round); events arrive by
 * launcher_poll when launcher_fd is readable. The launcher gathers events up to 5 ms (1
 * ms when tasks take over 2 ms), but sends at once when a slot has become idle or has
 * work for less than 3 ms left, and when a task is urgent.
 *
 * When the worker goes away the launcher sends SIGTERM to its tasks, after a second
 * SIGKILL to their groups, removes what launcher_leftover named if the worker was
 * killed, and leaves.
 */
#ifndef HQ_LAUNCH_LAUNCH_H
#define HQ_LAUNCH_LAUNCH_H

#include <sys/types.h>
#include "base/error.h"
#include "base/util.h"

#define LAUNCH_SLOTS_MAX (1u << 20)
#define LAUNCH_CPUS_MAX_BYTES 1024 /* 8192 CPUs */
#define LAUNCH_NODES_MAX_WORDS 16  /* 1024 NUMA domains */
/* What the kernel takes for arguments and environment together is far below. */
#define LAUNCH_REQUEST_MAX ((size_t)256 << 20)

struct launcher;

struct launcher_config {
    /* The clean environment of tasks (launch/scrub.h), NULL-terminated. */
    char *const *env;
    /* CPUs of the rank: bit i%8 of byte i/8 is CPU i. Bounds the spawner threads and is
     * the binding of slots without one. Length 0: the mask of the calling thread. */
    const uint8_t *cpus;
    size_t cpus_size;
};

enum launch_memory {
    LAUNCH_MEMORY_OFF,
    LAUNCH_MEMORY_PREFERRED, /* the first domain while there is some */
    LAUNCH_MEMORY_STRICT     /* these domains alone; fails the task when refused */
};

struct launch_binding {
    const uint8_t *cpus; /* as above; length 0: the CPUs of the rank */
    size_t cpus_size;
    /* The CPU on which the slot's tasks are started, best the first one allocated; the
     * tasks may use all of `cpus` from there. Without one the slots spread. Two threads
     * that start tasks with the mask of both their CPUs get half the throughput: the
     * kernel keeps moving them onto one. */
    bool has_home;
    uint32_t home;
    const uint64_t *nodes; /* NUMA domains: bit i%64 of word i/64 */
    size_t n_nodes;        /* words */
    enum launch_memory memory;
    bool must; /* CPUs that cannot be had fail the task, else it gets those of the rank
                */
};

enum launch_output_kind {
    LAUNCH_OUTPUT_DEFAULT, /* that of the template; /dev/null in a template */
    LAUNCH_OUTPUT_NULL,
    LAUNCH_OUTPUT_FILE,   /* created with its parents, truncated */
    LAUNCH_OUTPUT_APPEND, /* created with its parents */
    LAUNCH_OUTPUT_PIPE    /* read end in LAUNCH_STARTED */
};

struct launch_output {
    enum launch_output_kind kind;
    const char *path; /* FILE and APPEND; absolute */
};

/* Borrowed during the call. Zeroed members add nothing. */
struct launch_spec {
    const char *const *argv; /* appended to the words of the template */
    size_t n_argv;
    const char *const *env; /* "KEY=VALUE"; the last one of a key wins */
    size_t n_env;
    const char *const *unset; /* "KEY" */
    size_t n_unset;
    const char
        *cwd; /* absolute, made if missing; NULL: template's, else the launcher's */
    /* The same path in both is one open file. */
    struct launch_output out, err;
    const void *input; /* standard input; NULL: template's, else /dev/null */
    size_t input_size;
    /*
     * A session of its own (setsid), not only a process group. A kernel with automatic
     * scheduling groups makes and frees one per session: 18 us of CPU time a task on
     * two cores, a sixth of what the smallest task costs, and more on larger nodes.
     */
    bool session;
};

struct launch_task {
    uint64_t handle; /* unique among the tasks not yet reported as over */
    uint32_t slot;
    uint32_t template; /* of launcher_template */
    bool urgent;       /* its events are sent at once */
    struct launch_spec own;
    const struct launch_binding *binding; /* NULL: as the slot had it */
};

enum launch_event_kind {
    LAUNCH_STARTED,
    LAUNCH_ENDED,
    LAUNCH_FAILED,   /* could not be started; no LAUNCH_STARTED came */
    LAUNCH_RETURNED, /* retracted or killed before it was started */
    LAUNCH_KEPT      /* not retracted: started, or over already */
};

/* Where a start failed, in the order of the steps. */
enum launch_step {
    LAUNCH_STEP_NONE,
    LAUNCH_STEP_ARGV,       /* no words at all */
    LAUNCH_STEP_STDOUT_DIR, /* parents of the file; before the task counts as running */
    LAUNCH_STEP_STDERR_DIR,
    LAUNCH_STEP_CWD,    /* making the working directory */
    LAUNCH_STEP_MEMORY, /* out of memory, processes or descriptors for the start */
    LAUNCH_STEP_AFFINITY,
    LAUNCH_STEP_POLICY, /* memory policy */
    LAUNCH_STEP_STDIN,
    LAUNCH_STEP_STDOUT,
    LAUNCH_STEP_STDERR,
    LAUNCH_STEP_CHDIR, /* entering the working directory */
    LAUNCH_STEP_EXEC
};

struct launch_event {
    enum launch_event_kind kind;
    uint64_t handle;
    uint32_t slot;
    pid_t pid; /* STARTED, ENDED */
    /* STARTED: read ends of pipes, non-blocking; -1: no pipe, or the worker is out of
     * descriptors. The callback takes them. */
    int out_fd, err_fd;
    uint64_t start_us, end_us; /* since 1970; end_us not in STARTED */
    /* ENDED */
    int exit_code;   /* 0 to 255; -1 when a signal ended it */
    int term_signal; /* 0: exited by itself */
    uint64_t utime_us, stime_us;
    uint64_t maxrss_kib;
    /* FAILED */
    enum launch_step step;
    int sys; /* errno */
};

typedef void launch_event_fn(void *arg, const struct launch_event *event);

/*
 * Forks the launcher. Makes the calling process a child subreaper, so that tasks left
 * by a dead launcher become its children (launcher_kill_left).
 */
int launcher_start(const struct launcher_config *config, struct launcher **out,
                   struct error *err) MUST_CHECK;
/*
 * Ends the launcher and its tasks and waits for it: at once when nothing runs, else a
 * second. Frees l. Later events are lost.
 */
void launcher_destroy(struct launcher *l);

pid_t launcher_pid(const struct launcher *l); /* 0: reaped by launcher_kill_left */
/* Readable when launcher_poll has something to do. Owned by l. */
int launcher_fd(const struct launcher *l);
/*
 * Receives and calls fn for every event; continues a flush that was cut short. 0, or
 * ERR_CLOSED: the launcher is dead; the events it sent were delivered before. fn may
 * call everything here but launcher_poll and launcher_destroy.
 */
int launcher_poll(struct launcher *l, launch_event_fn *fn, void *arg,
                  struct error *err) MUST_CHECK;
/* Sends what was queued. 0 (maybe not all of it: launcher_poll goes on) or ERR_CLOSED.
 */
int launcher_flush(struct launcher *l, struct error *err) MUST_CHECK;

/* ERR_NOMEM, ERR_TOO_BIG; *id is then unchanged. */
int launcher_template(struct launcher *l, const struct launch_spec *spec, uint32_t *id,
                      struct error *err) MUST_CHECK;
/* Tasks queued before may still use it. */
void launcher_template_drop(struct launcher *l, uint32_t id);

/* Queues a task on its slot. ERR_NOMEM, ERR_TOO_BIG, ERR_INVALID (slot, binding). */
int launcher_task(struct launcher *l, const struct launch_task *task,
                  struct error *err) MUST_CHECK;
/* Answered by LAUNCH_RETURNED or LAUNCH_KEPT. */
int launcher_retract(struct launcher *l, uint32_t slot, uint64_t handle,
                     struct error *err) MUST_CHECK;

enum launch_kill {
    LAUNCH_KILL_GRACEFUL, /* SIGINT to the group, after a second SIGKILL to its rest */
    LAUNCH_KILL_NOW       /* SIGKILL to the group */
};
/* LAUNCH_ENDED follows, LAUNCH_RETURNED when it was not started yet, nothing when it is
 * over already. */
int launcher_kill(struct launcher *l, uint32_t slot, uint64_t handle,
                  enum launch_kill how, struct error *err) MUST_CHECK;

/*
 * Names a directory, removed with all that is in it, or another file: what the launcher
 * removes when the worker dies without launcher_destroy. Only that very one, and no
 * symbolic link is followed.
 */
int launcher_leftover(struct launcher *l, const char *path,
                      struct error *err) MUST_CHECK;

/*
 * After ERR_CLOSED, best a second later (the tasks got SIGTERM by then): SIGKILL to the
 * groups of tasks that were running, and reaps them.
 */
void launcher_kill_left(struct launcher *l);

#endif
