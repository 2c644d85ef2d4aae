/*
 * struct outlog_writer: writes the output of many tasks into shared logs. One per
 * worker. Libuv-free: the caller polls one descriptor, gives the time, carries messages
 * to and from the server.
 *
 * `now_us` may be of any clock that goes forward; the times in the log are real time.
 *
 * Threads: all functions here are called on the loop thread; the writer's I/O thread
 * does every file operation and is MPI's main thread. Where the io ops may be called by
 * any thread there are more of them as soon as tasks print much: such a channel is lent
 * to one of those (OUTLOG_LENT), which reads it and writes what it got. Callbacks come
 * on the loop thread, only from outlog_writer_dispatch, never from inside another call.
 *
 * Life of a task:
 *   outlog_task_begin           -> OUTLOG_READY, or OUTLOG_PENDING and later on_ready
 *   (start the program only then)
 *   outlog_task_read(stdout fd) as long as the descriptor is readable, each channel
 *   outlog_task_end             when the program ended and its channels are at EOF
 *   on_done                     its end record is in the file: report the task. The
 *                               handle is gone when on_done returns.
 * If a write fails, on_broken is called for each task with output in it that has not
 * ended: kill it, then call outlog_task_end as ever; on_done then carries the error.
 *
 * Memory is bounded by the pool of group buffers: when none is free outlog_task_read
 * returns OUTLOG_PAUSED; stop polling those descriptors until on_resume.
 */
#ifndef HQ_OUTLOG_WRITER_H
#define HQ_OUTLOG_WRITER_H

#include "outlog/format.h"
#include "outlog/io_ops.h"
#include "outlog/lease.h"

struct outlog_writer;
struct outlog_task; /* one run of a task that is streamed */

/* Results of begin and read that are not errors. */
enum {
    OUTLOG_EOF = 0,
    OUTLOG_READY = 1, /* begin: go on; read: at least one byte was taken */
    OUTLOG_PENDING,   /* begin: on_ready follows */
    OUTLOG_AGAIN,     /* read: nothing there now (EAGAIN) */
    OUTLOG_LATER,     /* read: little there; come back after *retry_us */
    OUTLOG_PAUSED,    /* read: no buffer; stop polling until on_resume */
    OUTLOG_LENT       /* read: stop polling the task's descriptors until on_returned */
};

struct outlog_writer_events {
    /* The log of a pending task is open (err NULL) or cannot be (the handle is gone).
     */
    void (*on_ready)(void *arg, void *task, const struct error *err);
    /* A write failed; the text begins with "Streaming: ". Kill the task and end it. */
    void (*on_broken)(void *arg, void *task, const struct error *err);
    /* The end record is written (err NULL), or output of the task was lost. */
    void (*on_done)(void *arg, void *task, const struct error *err);
    /* Buffers are free again: poll all paused descriptors. */
    void (*on_resume)(void *arg);
    /* The task's channels are read by the caller again; so much was taken meanwhile. */
    void (*on_returned)(void *arg, void *task, enum outlog_channel channel,
                        uint64_t bytes);

    /* To the server. `log` is the writer's number of the log, to be sent back. */
    /* Answer: outlog_writer_log_opened or _log_refused. */
    void (*need_log)(void *arg, uint32_t log, const char *path, bool replace,
                     const struct outlog_probe *found);
    /* Answer: outlog_writer_lease or _lease_refused. */
    void (*need_lease)(void *arg, uint32_t log, const struct outlog_uid *uid);
    /* For lease_book_end; no answer. */
    void (*lease_ended)(void *arg, uint32_t log, const struct outlog_uid *uid,
                        uint64_t lease, uint64_t data_end, uint64_t n_blocks);
    /* The log was closed here (idle, or drained); its number is free again. */
    void (*log_closed)(void *arg, uint32_t log, const struct outlog_uid *uid);
    /* After outlog_writer_drain: everything is written and closed. */
    void (*on_drained)(void *arg);
};

enum outlog_sync { OUTLOG_SYNC_AUTO, OUTLOG_SYNC_NONE, OUTLOG_SYNC_GROUP };

/* Zero means the default of every number. */
struct outlog_writer_config {
    const struct outlog_io_ops *io;
    void *io_ctx;
    const struct outlog_writer_events *events;
    void *arg;
    uint32_t group_bytes; /* 256 KiB */
    uint32_t n_groups;    /* 8 */
    uint64_t flush_us;    /* 100 ms: output is in the file at latest after this */
    uint64_t idle_us;     /* 2 s: then a log without tasks is closed */
    uint64_t linger_us;   /* at most between small reads of one channel: 20 ms */
    uint32_t n_pullers; /* one for each CPU, at most 4: I/O threads beside the first */
    enum outlog_sync sync; /* auto: after each group on NFS, else never */
    uint64_t min_free;     /* bytes that writing leaves free on the file system */
    bool compress;         /* zstd per group where sampling says that it pays */
};

/* Starts the I/O thread, which at once runs io->thread_start. */
int outlog_writer_create(struct outlog_writer **out,
                         const struct outlog_writer_config *config,
                         struct error *err) MUST_CHECK;
/* Waits until io->thread_start has returned, and gives its result. Call before the
 * first task; blocking, so not on a running loop. */
int outlog_writer_wait_started(struct outlog_writer *w, struct error *err) MUST_CHECK;
/* Names the writer of all extents opened from now on. Call before the first task. */
void outlog_writer_set_origin(struct outlog_writer *w,
                              const struct outlog_origin *origin);
/*
 * Ends the I/O thread (after io->thread_stop) and frees everything, tasks included,
 * without callbacks. Drain first; without that, what is buffered is lost.
 */
void outlog_writer_destroy(struct outlog_writer *w);

/* Poll this for reading, then call dispatch. */
int outlog_writer_fd(const struct outlog_writer *w);
void outlog_writer_dispatch(struct outlog_writer *w, uint64_t now_us);
/*
 * Call at the end of every loop round: hands groups to the I/O thread when they are
 * due. Returns when it wants to be called again at latest (UINT64_MAX: no need).
 */
uint64_t outlog_writer_flush(struct outlog_writer *w, uint64_t now_us);

struct outlog_task_params {
    const char *path; /* the log file itself (outlog_stream_path), absolute */
    const char *text; /* file for the end of the output as text, or NULL; absolute */
    bool replace;     /* a file of another server is moved aside */
    uint32_t job, task, instance;
    uint8_t channels;    /* bit 0 stdout, bit 1 stderr are streamed */
    bool keep_tail;      /* the end of output above the limit is kept, too */
    uint64_t max_output; /* bytes kept of this run; 0: no limit */
    void *user;          /* given to the callbacks */
};
/*
 * OUTLOG_READY, OUTLOG_PENDING, or negative: then *out is NULL and the text begins with
 * "Streaming: ". The path is copied.
 */
int outlog_task_begin(struct outlog_writer *w, const struct outlog_task_params *params,
                      uint64_t now_us, struct outlog_task **out,
                      struct error *err) MUST_CHECK;
/*
 * Reads once from a non-blocking pipe, at most 64 KiB, straight into the group buffer.
 * With `hurry` (the program has ended) there is no lingering. Negative: reading failed,
 * treat as EOF; on_done will carry the error.
 */
int outlog_task_read(struct outlog_task *t, enum outlog_channel channel, int fd,
                     bool hurry, uint64_t now_us, uint64_t *retry_us,
                     struct error *err) MUST_CHECK;
/* The job has written `limit` bytes: nothing more of this run is kept. */
void outlog_task_job_full(struct outlog_task *t, uint64_t limit);
/* Bytes of output kept so far. */
uint64_t outlog_task_bytes(const struct outlog_task *t);
/* The same and what was left out above limits. */
uint64_t outlog_task_printed(const struct outlog_task *t);
/*
 * The run is over. end->channels and end->bytes are filled in by the writer. The end
 * record waits for others so long before it is written, longer while a write is under
 * way.
 */
void outlog_task_end(struct outlog_task *t, const struct outlog_end *end,
                     uint64_t within_us, uint64_t now_us);
/* The program was never started and nothing is to be recorded; no on_done follows. */
void outlog_task_drop(struct outlog_task *t);

/*
 * Answers of the server. Numbers that are unknown by now are ignored. `first` may be
 * NULL: then need_lease follows.
 */
void outlog_writer_log_opened(struct outlog_writer *w, uint32_t log,
                              const struct outlog_ident *ident, bool replace,
                              const struct outlog_lease *first);
void outlog_writer_lease(struct outlog_writer *w, uint32_t log,
                         const struct outlog_lease *lease);
/* The log or more space is refused: the tasks that wait for it fail with this text. */
void outlog_writer_log_refused(struct outlog_writer *w, uint32_t log, const char *text);
void outlog_writer_lease_refused(struct outlog_writer *w, uint32_t log,
                                 const char *text);
/*
 * Before the log is sealed: its extent is closed now (lease_ended tells) and, when no
 * task uses it, the log as well (log_closed). Writing goes on in a new extent.
 */
void outlog_writer_log_roll(struct outlog_writer *w, uint32_t log, uint64_t now_us);
/* The link to the server is new: asks again what was not answered (in dispatch). */
void outlog_writer_reconnected(struct outlog_writer *w);

/*
 * Writes all that is there and closes every log; on_drained follows once no task is
 * left. Tasks that still run should be ended by the caller; new ones are refused.
 */
void outlog_writer_drain(struct outlog_writer *w, uint64_t now_us);

struct outlog_writer_stats {
    uint64_t groups, bytes_written, blocks, pauses, write_errors;
    uint32_t tasks, logs;
};
void outlog_writer_get_stats(const struct outlog_writer *w,
                             struct outlog_writer_stats *s);

/* `--stream DIR`: "<DIR>/<server_uid>.hqlog"; malloc'ed, NULL: out of memory. */
char *outlog_stream_path(const char *dir, const char *server_uid);

#endif
