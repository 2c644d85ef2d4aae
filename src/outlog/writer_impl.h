/*
 * Inside the writer: what the loop thread and the I/O threads share. A message travels
 * to the I/O thread of its log and comes back; who holds it may touch it. The fields of
 * struct wlog are split by owner.
 *
 * The first I/O thread writes what the loop thread has gathered. The others, started
 * when they are needed, are for tasks that print much: each reads such pipes itself and
 * writes what it got while it is in its core's cache. There they have lanes: a lane is
 * another struct wlog of the same file, with extents of its own.
 */
#ifndef HQ_OUTLOG_WRITER_IMPL_H
#define HQ_OUTLOG_WRITER_IMPL_H

#include <pthread.h>
#include <sys/types.h>
#include "base/list.h"
#include "base/strmap.h"
#include "outlog/cap.h"
#include "outlog/extents.h"
#include "outlog/packer.h"
#include "outlog/writer.h"

enum io_kind {
    IO_PROBE,  /* look at the path */
    IO_OPEN,   /* create or verify, open; take the first lease */
    IO_LEASE,  /* struct lease_msg; comes back when the extent has ended */
    IO_REFUSE, /* no more space: groups that wait for a lease fail */
    IO_GROUP,  /* struct group: write it */
    IO_PULL,   /* struct pull: read and write for a while */
    IO_TEXT,   /* struct task_text: write it */
    IO_ROLL,   /* close the current extent */
    IO_CLOSE,  /* close extents and file */
    IO_WANT,   /* to the loop thread only: ask for a lease */
    IO_BOUNCE  /* comes back as it is: makes dispatch run */
};

struct wlog;

struct io_msg {
    struct list_node node;
    enum io_kind kind;
    struct wlog *log;
    int rc; /* outcome; the text is in the group, the pull or in log->err */
};

struct lease_msg {
    struct io_msg msg;
    struct list_node held; /* in log->io_leases */
    struct outlog_lease lease;
    struct extents_ended ended;
};

struct group_member {
    struct outlog_task *task;
    bool end; /* its end record is in the group */
};

struct group {
    struct io_msg msg;
    struct list_node free; /* in writer->free_groups */
    uint8_t *mem;          /* EXTENTS_HEADROOM, then data */
    uint8_t *data;
    size_t len;
    /* I/O thread */
    size_t done;             /* written so far */
    size_t stored;           /* bytes of that last put into the file … */
    uint64_t store_begin_us; /* … from then on */
    uint64_t serial;
    uint64_t opened_us;
    uint64_t end_due_us; /* when its first end record should go; UINT64_MAX: none */
    struct outlog_task *tail; /* whose block is the last, and where it begins */
    size_t tail_at;
    struct group_member *members;
    size_t n_members, cap_members;
    bool anew; /* it begins a new file: what was in the one before is lost */
    struct error err;
};

/*
 * The text view of one run: the last bytes of its output, written to a file of its own
 * when the run is over. The log holds all of it, so nothing here fails a task.
 */
struct task_text {
    struct io_msg msg;
    struct outlog_task *task;
    char *path;
    uint8_t *data; /* up to TEXT_ROOM bytes, of which the last TEXT_MAX count */
    size_t n;
    uint64_t dropped; /* bytes in front of data */
    bool failed;      /* no memory */
};

/* A channel that an I/O thread reads for a while. */
struct pull {
    struct io_msg msg; /* of a lane */
    struct outlog_task *task;
    enum outlog_channel channel;
    int fd;             /* its own, so that the caller may close the other */
    uint32_t seq;       /* of the next block */
    uint64_t keep;      /* no more bytes than this */
    uint64_t serial;    /* stands for the group that holds its blocks */
    uint64_t bytes;     /* of output in the file */
    uint32_t blocks;    /* the same */
    uint32_t unwritten; /* bytes read into io->own */
    uint64_t begin_us;
    bool waits; /* for a lease */
    bool over;  /* the pipe is at its end, or nothing comes */
    bool slow;  /* the task does not print much any more */
    bool anew;  /* as in struct group */
    struct error err;
};

/* A thread for file operations. */
struct io_thread {
    struct outlog_writer *w;
    pthread_t thread;
    bool runs;
    uint32_t n_pulls; /* loop thread: those that it has */

    /* both, under the writer's lock */
    pthread_cond_t work;
    struct list in;
    uint32_t n_writing; /* groups that it has, waiting ones included */
    bool stop;

    /* I/O thread */
    struct list retries; /* logs by `retry`, of which another writer has the file */
    struct packer *packer;
    uint8_t *packed; /* room for one packed group, behind EXTENTS_HEADROOM */
    size_t packed_room;
    struct list pulls; /* by msg.node; the first one has the turn … */
    struct group own;  /* … and this, when len > 0 */
};

enum wlog_state {
    WLOG_PROBING,
    WLOG_ASKING, /* need_log was called */
    WLOG_OPENING,
    WLOG_OPEN,
    WLOG_CLOSING
};

struct wlog {
    struct outlog_writer *w;
    struct io_thread *io;
    struct wlog *home; /* of a lane; else NULL */
    char *path;
    uint32_t number;
    bool replace; /* wanted by a submit */
    bool may_replace;
    struct outlog_ident ident;

    /* loop thread */
    enum wlog_state state;
    struct list_node node;  /* in writer->logs */
    struct list_node dirty; /* in writer->dirty: cur has blocks */
    struct list_node idle;  /* in writer->idle: no task, nothing to write */
    uint64_t idle_since_us;
    struct list waiting; /* tasks that wait for the log */
    struct list tasks;   /* all of them, by outlog_task.all */
    struct list lanes;   /* by lane_node */
    struct list_node lane_node;
    bool no_lanes;    /* they could not be opened */
    uint32_t n_tasks; /* all tasks, waiting ones included; pulls of a lane */
    uint32_t n_msgs;  /* messages at the I/O thread, IO_WANT left out */
    bool dead;        /* destroyed, but for messages on their way */
    struct group *cur;
    uint32_t in_flight; /* groups at the I/O thread */
    bool lease_asked;
    struct io_msg step; /* PROBE, OPEN, CLOSE: one at a time */
    struct io_msg roll, refuse, want;
    bool roll_sent, refuse_sent;
    struct outlog_probe probe; /* filled by PROBE */
    struct lease_msg *first;   /* for OPEN */
    struct error *err;         /* of the last step, when rc < 0 */
    char *refusal;             /* text for REFUSE */

    /* I/O thread */
    struct extents x;
    void *file;
    int lock_fd;
    bool is_open, sync_each, want_posted;
    uint64_t reserved; /* the lease for which space was; 0: none */
    dev_t device;      /* of the file */
    ino_t inode;
    struct list_node retry; /* in io->retries: somebody else replaces the file */
    uint64_t retry_at_us, retry_until_us;
    uint64_t fail_until_us; /* after a failed write */
    uint64_t space_seen_us; /* when the free space was looked at */
    char *fail_text;
    int fail_sys;
    struct list io_groups, io_leases;
};

/* Bytes that the loop thread has read since then, a short time ago. */
struct pace {
    uint64_t since_us, bytes;
};

struct outlog_task {
    struct wlog *log;
    struct list_node all;    /* in log->tasks */
    struct list_node node;   /* in log->waiting */
    struct list_node record; /* in writer->records */
    void *user;
    uint32_t job, id, instance, seq;
    uint8_t channels;
    bool want_begin, want_rest, want_end; /* records that found no room yet */
    bool ended, dropped, broken_told;
    struct error *broken;
    struct output_cap cap;
    uint64_t bytes[OUTLOG_N_CHANNELS];
    uint64_t last_read_us[OUTLOG_N_CHANNELS]; /* after a small read, else 0 */
    uint32_t n_small[OUTLOG_N_CHANNELS];      /* small reads in a row */
    struct pace pace[OUTLOG_N_CHANNELS];
    struct pull *pull;                   /* at an I/O thread, or NULL */
    uint64_t first_serial, group_serial; /* first, last group with a block of it; 0 */
    uint32_t n_groups;                   /* groups that hold blocks of it */
    struct outlog_end end;
    uint64_t end_due_us;
    struct task_text *text; /* or NULL */
};

struct outlog_writer {
    struct outlog_writer_config c;
    struct outlog_origin origin; /* read by an I/O thread when it opens a log */
    int event_fd;
    struct io_thread *io; /* 1 + c.n_pullers */

    /* loop thread */
    struct list logs, dirty, idle, free_groups, records;
    struct strmap *by_path;
    struct group *groups;
    uint32_t next_number;
    uint64_t next_serial;
    bool paused, draining, drained_told, reconnected;
    struct io_msg bounce;
    bool bounce_sent;
    uint64_t now_us;  /* of the last call */
    uint8_t *scratch; /* output of broken tasks is read into this */
    struct outlog_writer_stats stats;

    /* all threads, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t started_cond;
    struct list out;
    bool started;
    int start_rc;
    struct error start_err;
};

/* writer_thread.c */
int io_thread_create(struct io_thread *io, struct outlog_writer *w,
                     struct error *err) MUST_CHECK;
void io_thread_stop(struct io_thread *io);    /* waits for its end */
void io_thread_release(struct io_thread *io); /* what is left when it has ended */
/* To the I/O thread (counted in log->n_msgs), and from it to the loop thread. */
void writer_send(struct outlog_writer *w, struct io_msg *msg);
void writer_reply(struct outlog_writer *w, struct io_msg *msg);

/* writer_io.c, I/O threads: what is done to a log */
#define RETRY_EVERY_US 20000u
void io_handle(struct io_msg *msg);
void io_retry(struct wlog *log); /* after a while; linked again if that fails, too */
void io_abandon(struct wlog *log);
enum { IO_WAITS = 1 }; /* for a lease, or for another writer */
int io_write_group(struct wlog *log, struct group *g) MUST_CHECK;

/* writer_pull.c, loop thread: tasks that print much */
void pace_count(struct pace *p, size_t bytes, uint64_t now_us);
/* Lends the channel if the task prints much: when all earlier blocks of the task are in
 * the file, by pull_send, so that they get there in their order. */
bool pull_start(struct outlog_task *t, enum outlog_channel channel, int fd);
void pull_send(struct outlog_task *t);
void pull_on_reply(struct pull *p);
void pull_destroy(struct pull *p);
/* writer_pull.c, I/O threads */
void pull_begin(struct pull *p);
bool pull_ready(struct io_thread *io); /* pull_step has something to do */
void pull_step(struct io_thread *io);
void pull_resume(struct wlog *log); /* a lease came */
void pull_refused(struct wlog *log, const char *text);

/* writer_log.c, loop thread: the life of a log */
struct wlog *wlog_get(struct outlog_writer *w, const char *path);
/* The lane of a log on that thread, when it is open; else it is opened. */
struct wlog *wlog_lane(struct wlog *home, struct io_thread *io);
struct wlog *wlog_by_number(struct outlog_writer *w, uint32_t number);
void wlog_destroy(struct wlog *log);
void wlog_free(struct wlog *log);
void wlog_probe(struct wlog *log);
void wlog_on_reply(struct wlog *log, struct io_msg *msg);
void wlog_task_left(struct wlog *log, uint64_t now_us);
void wlog_close(struct wlog *log);
void wlog_check_idle(struct wlog *log, uint64_t now_us);

/* writer_task.c, loop thread: tasks and groups */
void task_log_ready(struct outlog_task *t, const struct error *err);
void group_submit(struct wlog *log);
void group_release(struct wlog *log);          /* an empty current group goes back */
void group_hurry(const struct outlog_task *t); /* writes the group it is in */
void group_on_reply(struct group *g);
uint8_t block_type(enum outlog_channel channel);
/* The header of a block that lies at p, with the payload behind it there already. */
size_t block_begin(uint8_t *p, const struct outlog_task *t, uint8_t type, uint8_t flags,
                   uint32_t stored, uint32_t seq);
void task_break(struct outlog_task *t, const struct error *err);
void task_tell_broken(struct outlog_task *t);
/* A new file was begun with what `serial` stands for: earlier blocks are gone. */
void tasks_break_lost(struct wlog *log, uint64_t serial);
void records_retry(struct outlog_writer *w);

/* writer_text.c: all but text_write on the loop thread */
struct task_text *text_create(struct outlog_task *t, const char *path);
void text_destroy(struct task_text *x);
void text_add(struct task_text *x, const uint8_t *p, size_t n);
void text_send(struct task_text *x); /* comes back to task_done */
void text_write(struct task_text *x);
void task_done(struct outlog_task *t); /* writer_task.c */

#define STREAMING "Streaming: "
/* Puts "Streaming: " in front, but for "Error: Cannot create stream directory …". */
void streaming_error(struct error *err);
#define LOG_REMOVED "removed while it was written"
void error_drop(struct error *err); /* frees outlog_task.broken */

#endif
