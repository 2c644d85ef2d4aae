/*
 * Private to server: automatic allocation at work.
 *   autoalloc.c          start and end, ticks, what is submitted
 *   autoalloc_submit.c   one submission: files, program, what became of it
 *   autoalloc_watch.c    states of allocations: batch system, workers, cancelling
 *   autoalloc_clients.c  requests of clients
 *   autoalloc_restore.c  journal -> queues, what a killed server has left
 *
 * The book changes by events only. Programs of the batch system run as helper commands,
 * a bounded number at a time; what they say comes back into the loop.
 */
#ifndef HQ_SERVER_AUTOALLOC_H
#define HQ_SERVER_AUTOALLOC_H

#include "autoalloc/policy.h"
#include "base/list.h"
#include "server/internal.h"

struct alloc_engine {
    struct alloc_book book;
    struct io_timer *tick, *refresh;
    struct io_timer *overdue; /* the server ends, and waits for helpers */
    bool giving_up;           /* no longer: nothing more starts */
    uint64_t tick_ms, delay_ms, refresh_ms, command_ms;
    uint64_t
        look_ms; /* to the first look at one, between those at one without workers */
    uint64_t stop_ms; /* without success, and the server ends though helpers are left */
    uint32_t fails_max;
    bool dirty; /* something happened since the last look at the demand */
    uint64_t checked_us;
    struct list helpers; /* struct helper: running, then waiting */
    uint32_t n_running, n_looks;
    char *hq;         /* this program, */
    char *mpi_worker; /* and hq-mpi-worker beside it */
    /* Directories of ended allocations and failed submissions, the oldest first. */
    VEC(char *) inactive;
    struct list removals; /* autoalloc_clients.c */
    struct list trials;   /* of the journal, that are not over */
};

/* ---- helper commands ------------------------------------------------------------- */

typedef void helper_fn(struct server *s, void *arg, struct io_command_result *r);
/* Runs the command, or the work without one, when its turn comes; urgent ones first.
 * Takes *command (may be NULL). `fn` is called in the loop, also when the server ends
 * meanwhile, but not when it cannot be stopped then. */
struct helper_spec {
    struct batch_command *command;
    const char *dir;
    int (*before)(void *arg, struct error *err);
    void (*behind)(void *arg, struct io_command_result *r);
    bool urgent;
    bool look; /* nobody waits for it: it leaves room for others */
};
void helper_run(struct server *s, const struct helper_spec *spec, helper_fn *fn,
                void *arg);
/* Whether the program ended well; else "sbatch execution failed\n\nCaused by: …". */
bool helper_ok(const char *program, const struct io_command_result *r,
               struct error *err);

/* The same for the program that cancels, which may say that all is over. */
bool helper_cancelled(const struct batch_ops *ops, const struct io_command_result *r,
                      struct error *err);

/* ---- autoalloc_submit.c ---- */

/* In the directory of an allocation: what the batch system calls it. */
#define AUTOALLOC_ID_FILE "jobid"
/* Where the queue's allocations of a run have their directories, by number. */
char *autoalloc_dir(const char *run, uint32_t queue, const struct alloc_params *p);
/* The batch system took it. */
struct allocation *autoalloc_queued(struct server *s, struct alloc_queue *q,
                                    const char *id, uint32_t workers, const char *dir);

/* Whether the program that the queue's workers are is there. */
int autoalloc_check_worker(const struct server *s, const struct alloc_params *p,
                           struct error *err) MUST_CHECK;
/* Submits allocations of these sizes, one after the other, until one fails. */
void autoalloc_round(struct server *s, struct alloc_queue *q, const uint32_t *sizes,
                     size_t n);
/* A trial: submits and cancels. `done` gets the error, or NULL. Takes *params. */
typedef void trial_fn(struct server *s, const struct error *err, void *arg);
void autoalloc_trial(struct server *s, struct alloc_params *params, trial_fn *done,
                     void *arg);

/* ---- autoalloc_watch.c ---- */

/* Asks for the states of all active allocations; of those that may be over. */
void autoalloc_look(struct server *s, struct alloc_queue *q);
void autoalloc_look_suspects(struct server *s, uint64_t now_us);
void autoalloc_started(struct server *s, struct alloc_queue *q, struct allocation *a,
                       uint64_t started_us);
void autoalloc_ended(struct server *s, struct alloc_queue *q, struct allocation *a,
                     enum alloc_state state, uint64_t started_us, uint64_t ended_us);
/* Pauses the queue when it has failed too often. */
void autoalloc_judge(struct server *s, struct alloc_queue *q);
/* Workers of the allocation that came before it was known. */
void autoalloc_find_workers(struct server *s, struct alloc_queue *q,
                            struct allocation *a);
/* Cancels it in the batch system and says so in the log; fn may be NULL. */
typedef void cancelled_fn(struct server *s, void *arg, const char *id,
                          const struct error *err); /* err is NULL: it is over */
void autoalloc_cancel(struct server *s, uint8_t manager, const char *id,
                      const char *dir, cancelled_fn *fn, void *arg);
/* The same for one of the book, which then has ended. */
void autoalloc_cancel_known(struct server *s, const struct alloc_queue *q,
                            const struct allocation *a);
/* The directory may be removed when there are many of the kind. */
void autoalloc_note_inactive(struct server *s, const char *dir);
void autoalloc_trim_directories(struct server *s);

/* ---- autoalloc_clients.c ---- */

/* A submission into a queue that is to be removed has ended. */
void autoalloc_removal_continue(struct server *s, uint32_t queue);

#endif
