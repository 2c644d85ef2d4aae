/*
 * Private to server: the running server and its parts.
 *
 *   server.c   start, ports, stop          assign.c   scheduler decisions -> messages
 *   run_dir.c  run directory, access file  commit.c   events -> journal -> answers
 *   workers.c  worker connections          clients.c  client connections, requests
 *   reports.c  what workers report         show.c     views for clients
 *   logs.c     leases of shared logs       waits.c    job wait, progress, notifications
 *   resolve.c  checks of a submit          restore.c  journal -> state
 *   outputs.c  limits of a job's output    dump.c     the whole state as JSON
 *   explain.c  why a task waits            backlog.c  what the journal could not take
 *   autoalloc*.c   automatic allocation, see autoalloc.h
 *   feed.c     readers of events           history.c  the past without a journal
 *   prune.c    what the journal may forget
 */
#ifndef HQ_SERVER_INTERNAL_H
#define HQ_SERVER_INTERNAL_H

#include <stdatomic.h>
#include "base/list.h"
#include "base/vec.h"
#include "io/io.h"
#include "journal/journal.h"
#include "model/hw_state.h"
#include "outlog/lease.h"
#include "server/backlog.h"
#include "server/server.h"
#include "server/state.h"
#include "wire/lists.h"

struct waiting_reply;
struct alloc_engine;

/* Why a worker refused grants of a class and variant. */
struct refusal {
    uint32_t class_id;
    uint8_t variant;
    char *why;
};

/* A connected worker. Before it registered, id is 0. */
struct worker_link {
    struct server *server;
    struct io_conn *conn;
    struct list_node node; /* server.links */
    uint32_t id;
    uint64_t last_heard_us;
    uint64_t end_us;           /* of the worker's life; 0: unknown */
    uint64_t stop_deadline_us; /* asked to stop: dropped then; 0: not asked */
    enum worker_end end;       /* what will be recorded */
    uint64_t end_seq;          /* last TASKS_ENDED batch taken */
    uint64_t ack_seq;          /* last one acknowledged */
    struct list_node ack_node; /* server.unacked: end_seq is not acknowledged */
    uint64_t ack_next;         /* the next one to be, if larger than ack_seq … */
    uint64_t ack_record;       /* … once the journal is written up to this record */
    uint64_t late_seq;         /* batches below it were made on an earlier connection */
    struct hw_state load;      /* the last one it sent; time_us is 0 before */
    struct u64map known_classes;
    struct u64map known_groups; /* job << 32 | group */
    struct u64map
        known_bodies; /* job << 32 | body of a submit, mixed with its number */
    struct u64map known_jobs;
    uint32_t *placements; /* by the worker's number - 1: ours, 0: not kept */
    uint32_t n_placements;
    VEC(struct refusal) refusals; /* the last one of each class; the latest ones */
};

struct client_link {
    struct server *server;
    struct io_conn *conn;
    struct list_node node; /* server.clients */
    uint64_t id;           /* never reused: staged requests name it */
    bool busy;             /* a request of it is staged or waits; others queue */
    struct buf queued;     /* messages that came meanwhile: type, varint length, body */
    struct job_wait *wait; /* it waits for jobs */
    struct feed *feed;     /* it reads events */
    uint32_t worker_wait;  /* it waits for that many running workers; 0: no */
    uint32_t submitted;    /* job of its last submit: what an empty selector of
                              REQ_JOB_WAIT means; 0: none */
};

/* Tasks that were aborted in this round. Their events go behind those of the round, as
 * these may tell the ends of others in the same ranges. */
struct aborted {
    struct buf events;
    uint32_t job; /* of the event in the making; 0: none */
    uint64_t time_us;
    uint32_t slot, count; /* its last range, not in `ranges` yet */
    struct buf ranges;
};

struct server {
    const struct server_config *config;
    struct io_loop *loop;
    struct sched *sched;
    struct state state;
    struct io_listener *client_listener, *worker_listener;
    struct list links;               /* worker_link */
    struct list clients;             /* client_link */
    struct worker_link **link_by_id; /* index id - 1; NULL when not connected */
    uint32_t n_link_by_id;
    uint64_t next_client_id;
    uint32_t next_job, next_worker;
    struct io_timer *tick;     /* liveness, idle timeouts */
    struct io_timer *wake;     /* sched_out.wake_us */
    struct io_timer *progress; /* progress snapshots */
    struct io_signal *signals[3];
    struct io_wakeup *journal_news;
    struct journal *journal;
    struct list staged;     /* commit.c */
    bool journal_failed;    /* records wait in the backlog */
    uint64_t journal_retry; /* … and are being tried again, up to this one; 0: not */
    uint64_t journal_told;  /* the record that failed, as the log says; 0: none */
    struct backlog backlog;
    struct io_timer *retry_timer;
    /* Somebody waits for the journal. Else its thread does not wake the loop. */
    _Atomic bool journal_awaited;
    struct list unacked; /* worker_link.ack_node */
    struct io_timer *ack_timer;
    struct list held;        /* messages that wait for the journal, in order */
    struct buf round_events; /* events of this round, not yet appended */
    struct aborted aborted;
    uint64_t now_us; /* wall clock of this round */
    char *run_dir;
    char uid[16];
    uint64_t state_us; /* when the state began; with a journal: its creation */
    uint64_t started_us;
    bool stopping;
    bool restoring; /* a journal is replayed: nothing is told to anybody */
    struct strmap *logs_by_path, *logs_by_uid; /* -> struct server_log * */
    struct list logs;
    struct u64map outputs; /* outputs.c: job -> bytes, and whether they are enough */
    /* After a restore nothing is assigned before the ranks that were connected are back
     * with what they run and finished meanwhile, or the time is over. */
    struct u64map expected;          /* first 8 bytes of their tokens */
    uint64_t hold_until_us;          /* monotonic; 0: no hold */
    struct buf sent;                 /* assign.c: tasks sent in this round */
    bool sched_dirty;                /* something happened that may allow a decision */
    struct list feeds;               /* feed.c: readers of events */
    uint64_t journal_end;            /* how far the journal's file can be read */
    uint64_t prune_client;           /* prune.c: waits for the pruning under way */
    struct feed_reader *feed_reader; /* NULL: never needed yet */
    struct io_wakeup *feed_news;
    struct buf live;    /* without a journal: events that readers do not have yet */
    uint64_t live_base; /* events before it have been dropped */
    struct alloc_engine *alloc;
};

uint64_t server_now_us(struct server *s); /* wall clock */
void server_stop(struct server *s);

/* run_dir.c: makes NNN, writes access.json, points hq-current to it. */
int run_dir_create(struct server *s, uint16_t client_port, uint16_t worker_port,
                   struct error *err) MUST_CHECK;
/* Largest number that names something in the directory; 0 when there is none. */
uint32_t run_dir_last(const char *dir);
void run_dir_leave(struct server *s); /* removes hq-current if it is still ours */

/* workers.c */
extern const struct io_conn_ops worker_conn_ops;
struct worker_link *worker_link_of(const struct server *s,
                                   uint32_t worker); /* or NULL */
void worker_link_lost(struct worker_link *link, enum worker_end reason);
/* The server ends in order: a worker that would wait for it leaves. */
void worker_dismiss(struct worker_link *link);
void worker_ask_to_stop(struct worker_link *link, enum worker_end reason);
void workers_tick(struct server *s);
void workers_drop_job(struct server *s, uint32_t job);
void workers_stop_tasks(struct server *s, struct job *job);

/* reports.c: messages about tasks. */
/* Descriptions that later reports name by number. */
void report_placements(struct worker_link *link, struct span list);
void report_started(struct worker_link *link, struct span starts);
void report_ended(struct worker_link *link, uint64_t seq, struct span ends);
void report_retracted(struct worker_link *link, uint32_t class_id, uint8_t variant,
                      struct span runs, bool rejected);
void report_resumed(struct worker_link *link, struct span held, struct buf *keep);
/* Back to the gang that it was a node of, if that still runs. */
void report_gangs_joined(struct worker_link *link);
/* A worker went away: its tasks are restarted or failed. */
void report_lost_tasks(struct server *s, uint32_t worker, enum worker_end reason);

/* assign.c */
void assign_round(struct server *s);

/* commit.c */
/* Journals an event that is applied already. */
void commit_event(struct server *s, struct buf *event);
/* Tells behind the events of this round that these tasks were aborted, as far as they
 * had not ended. */
void commit_aborted(struct server *s, uint32_t job, uint32_t slot, uint32_t count,
                    uint64_t time_us);
/* Soon, an acknowledgement of all batches of ends that are in the journal file. */
void commit_ack(struct server *s, struct worker_link *link);
void commit_acks_due(void *server);
/* Sends the messages to the worker once everything so far is in the journal file. */
void commit_hold(struct server *s, uint32_t worker, const struct buf *messages);
/* Applies the event and answers, after it is safe in the journal. `apply` runs exactly
 * once with ok = false when the journal refused (err says why). Takes *event; NULL:
 * only waits until everything so far is synced. `client` may have gone: NULL. */
typedef void commit_apply_fn(struct server *s, struct client_link *client, bool ok,
                             const struct error *err, void *arg);
void commit_request(struct server *s, struct client_link *client, struct buf *event,
                    uint32_t job, commit_apply_fn *apply, void *arg);
void commit_round(struct server *s); /* end of a loop round */
void commit_news(void *server);      /* the journal thread made progress */
bool commit_pending(const struct server *s);
bool commit_overdue(const struct server *s); /* too much waits for the journal */
void commit_retry_due(void *server);
void commit_finish(struct server *s); /* appends what is left, for journal_close */
void commit_drop(struct server *s, const struct error *err); /* at the end */

/* workers.c: tells workers whether readers of events want their load. */
void workers_ask_overviews(struct server *s);

/* clients.c */
extern const struct io_conn_ops client_conn_ops;
void client_reply_error(struct client_link *c, const struct error *err);
void client_resume(struct client_link *c); /* takes the next queued request */
struct client_link *client_find(struct server *s, uint64_t id); /* NULL: it is gone */
void client_reply_ok(struct client_link *c);
/* A request that took several rounds is answered: the next one may follow. */
void client_settled(struct client_link *c);
void client_dismiss(struct client_link *c); /* the server ends */

/* prune.c */
void prune_request(struct client_link *c);
void prune_over(struct server *s);

/* resubmit.c: the tasks of the job that are in these states, as a submit of a new one.
 * *out is released on failure. */
int resubmit_make(struct job *job, uint32_t states, struct submit *out,
                  struct error *err) MUST_CHECK;

/* resolve.c */
int submit_resolve(struct server *s, struct submit *spec, uint32_t job,
                   struct error *err) MUST_CHECK;

/* show.c */
void show_server_info(struct server *s, struct server_info *info); /* borrows */
void show_job(const struct job *job, struct buf *out);
void show_job_detail(struct server *s, struct job *job, bool submits, struct buf *out);
/* Fills one page from `slot`; returns the slot to go on with, n_slots at the end. */
uint32_t show_task_page(struct job *job, uint32_t slot, struct buf *out);
void show_worker(struct server *s, const struct worker *w, struct buf *out);

/* explain.c */
void show_explanation(struct server *s, struct job *job, uint32_t slot,
                      struct buf *out);

/* dump.c: writes the inner state as JSON. */
int dump_write(struct server *s, const char *path, struct error *err) MUST_CHECK;

/* waits.c */
struct job_wait;
void wait_begin(struct client_link *c, const struct selector *jobs, bool without_close,
                bool progress, bool notify);
void wait_end(struct client_link *c);
void wait_job_changed(struct server *s, struct job *job); /* idle, closed, forgotten */
void wait_notify(struct server *s, struct job *job, uint32_t slot, uint32_t worker,
                 struct span message);
void wait_workers_changed(struct server *s);
void waits_tick(void *server);

/* outputs.c */
void output_report(struct worker_link *link, const struct msg_JOB_OUTPUT *m);
/* The worker hears of the job for the first time. */
void output_define_job(struct worker_link *link, uint32_t job);

/* logs.c */
void log_open(struct worker_link *link, const struct msg_LOG_OPEN *m);
void log_lease(struct worker_link *link, uint32_t log, struct span uid);
void log_lease_end(struct worker_link *link, struct span uid, uint64_t lease);
void log_worker_lost(struct server *s, uint32_t worker);
int log_restore_mark(struct server *s, struct cursor *c) MUST_CHECK;
void logs_release(struct server *s);

/* autoalloc.c: automatic allocation. */
void autoalloc_create(struct server *s); /* reads its settings */
void autoalloc_start(struct server *s);  /* the server is reachable */
void autoalloc_note(struct server *s);   /* something happened that may change demand */
/* Cancels everything; the loop goes on until that is done, or took too long. */
void autoalloc_stop(struct server *s);
void autoalloc_leave(struct server *s);
void autoalloc_release(struct server *s);
void autoalloc_worker_joined(struct server *s, const struct worker *w);
void autoalloc_worker_left(struct server *s, const struct worker *w,
                           enum worker_end reason);
/* autoalloc_restore.c: one event of the journal; then, once reachable, what follows. */
int autoalloc_replay(struct server *s, enum event_type type, struct cursor *c,
                     uint64_t time_us) MUST_CHECK;
void autoalloc_replay_worker(struct server *s, const struct worker *w);
void autoalloc_restored(struct server *s);
/* autoalloc_clients.c */
void autoalloc_on_trial(struct client_link *c, const struct msg_REQ_ALLOC_TRIAL *req);
void autoalloc_on_add(struct client_link *c, const struct msg_REQ_ALLOC_ADD *req);
void autoalloc_on_list(struct client_link *c);
void autoalloc_on_info(struct client_link *c, const struct msg_REQ_ALLOC_INFO *req);
void autoalloc_on_state(struct client_link *c, const struct msg_REQ_ALLOC_STATE *req);
void autoalloc_on_remove(struct client_link *c, const struct msg_REQ_ALLOC_REMOVE *req);
void autoalloc_on_log(struct client_link *c, const struct msg_REQ_ALLOC_LOG *req);

/* restore.c */
/* `torn`: bytes that were cut off its end. */
int restore_journal(struct server *s, uint64_t torn, struct error *err) MUST_CHECK;

#endif
