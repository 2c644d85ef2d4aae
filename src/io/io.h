/*
 * The event loop and what hangs on it: connections, timers, descriptors, signals,
 * wake-ups from other threads. libuv lives in this folder alone.
 *
 * One thread runs a loop and owns everything made on it; only io_wakeup_send may be
 * called from other threads. Objects are destroyed with their *_destroy, which may be
 * called from their own callbacks; their memory goes once libuv has let go of them.
 */
#ifndef HQ_IO_IO_H
#define HQ_IO_IO_H

#include "base/buf.h"
#include "base/error.h"
#include "wire/channel.h"
#include "wire/messages.h"

struct io_loop;
struct io_timer;
struct io_poll;
struct io_signal;
struct io_wakeup;
struct io_listener;
struct io_conn;

typedef void io_fn(void *arg);

struct io_loop *io_loop_create(void); /* NULL: out of memory */
/* Everything made on it must have been destroyed; runs pending closes. */
void io_loop_destroy(struct io_loop *l);
void io_loop_run(struct io_loop *l); /* until io_loop_stop or nothing is left */
void io_loop_stop(struct io_loop *l);
/* Called once per round, before the loop sleeps and before connections are flushed. */
void io_loop_on_round(struct io_loop *l, io_fn *fn, void *arg);
/* The next round begins at once instead of sleeping (more work is left). */
void io_loop_again(struct io_loop *l);
/* Monotonic time of this round in microseconds, updated on each call of `refresh`. */
uint64_t io_loop_now_us(struct io_loop *l);

struct io_timer *io_timer_create(struct io_loop *l, io_fn *fn, void *arg);
void io_timer_destroy(struct io_timer *t);
/* repeat_ms 0: once. Restarts a running timer. */
void io_timer_start(struct io_timer *t, uint64_t after_ms, uint64_t repeat_ms);
void io_timer_stop(struct io_timer *t);
bool io_timer_active(const struct io_timer *t);

#define IO_READ 1
#define IO_WRITE 2
typedef void io_poll_fn(void *arg, int events); /* IO_* or negative: error on the fd */
/* The descriptor stays the caller's; destroy the poll before closing it. */
struct io_poll *io_poll_create(struct io_loop *l, int fd, io_poll_fn *fn, void *arg);
void io_poll_set(struct io_poll *p, int events); /* 0: stop */
void io_poll_destroy(struct io_poll *p);

typedef void io_signal_fn(void *arg, int signum);
struct io_signal *io_signal_create(struct io_loop *l, int signum, io_signal_fn *fn,
                                   void *arg);
void io_signal_destroy(struct io_signal *s);

struct io_wakeup *io_wakeup_create(struct io_loop *l, io_fn *fn, void *arg);
void io_wakeup_send(struct io_wakeup *w); /* any thread; several sends may merge */
void io_wakeup_destroy(struct io_wakeup *w);

/*
 * Helper commands: programs and file work that may take long, in a thread of their own.
 * Nothing of them blocks the loop.
 */
struct io_command;
struct io_command_result {
    int rc;           /* 0: it ended by itself. Else err: */
    struct error err; /* not started, over its time (ERR_TIMEOUT), too much output */
    bool started;
    int status; /* as waitpid gives it, when it was started */
    struct buf out, err_out;
};
struct io_command_spec {
    const char *const *argv; /* NULL-ended; copied. NULL: no program */
    const char *dir;     /* working directory; "/" where it does not exist. Copied */
    uint64_t timeout_ms; /* then SIGTERM, and SIGKILL two seconds later */
    size_t output_max;   /* bytes of each channel */
    /* In the thread, before and behind the program; before: not 0 is the end. What they
     * touch must live until the callback, or for ever when the command is abandoned. */
    int (*before)(void *arg, struct error *err);
    void (*behind)(void *arg, struct io_command_result *r);
    void *arg;
};
typedef void io_command_fn(void *arg, struct io_command_result *result);
/* `fn` is called once, in a later round of the loop. */
struct io_command *io_command_start(struct io_loop *l,
                                    const struct io_command_spec *spec,
                                    io_command_fn *fn, void *arg);
/* As if its time was over. */
void io_command_stop(struct io_command *c);
/* Stops it without waiting; `fn` is not called. */
void io_command_abandon(struct io_command *c);

/*
 * Callbacks of a connection. Exactly one on_close ends each connection that on_open
 * announced (or whose connect was asked for); afterwards the conn must not be touched.
 */
struct io_conn_ops {
    /* The peer is authenticated. Listener side: `arg` is the listener's. */
    void (*on_open)(struct io_conn *c, void *arg);
    /* One message; the body is valid during the call. */
    void (*on_message)(struct io_conn *c, uint8_t type, struct span body);
    /* err->code ERR_CLOSED: the peer went; ERR_AUTH, ERR_VERSION, …: refused. Never
     * called for connections that ended before on_open on a listener (they are logged).
     */
    void (*on_close)(struct io_conn *c, const struct error *err);
    /* May be NULL: the kernel has taken everything that was batched. */
    void (*on_drained)(struct io_conn *c);
};

struct io_listen_config {
    enum channel_role role;
    const uint8_t *key; /* CHANNEL_KEY_BYTES or NULL: open channel */
    uint16_t port;      /* 0: any free one */
    const struct io_conn_ops *ops;
    void *arg;
};
/* Listens on all IPv4 addresses. ERR_SYSTEM keeps errno in err->sys. */
int io_listen(struct io_loop *l, const struct io_listen_config *config,
              struct io_listener **out, struct error *err) MUST_CHECK;
uint16_t io_listener_port(const struct io_listener *l);
void io_listener_destroy(struct io_listener *l); /* its connections stay */

/* Connects; on_open or on_close follows. The name is resolved without blocking. */
int io_connect(struct io_loop *l, const char *host, uint16_t port,
               enum channel_role role, const uint8_t *key,
               const struct io_conn_ops *ops, void *arg, struct io_conn **out,
               struct error *err) MUST_CHECK;

void io_conn_set_arg(struct io_conn *c, void *arg);
void *io_conn_arg(const struct io_conn *c);
const char *io_conn_peer(const struct io_conn *c); /* "127.0.0.1:4711" */
/*
 * The batch that goes out at the end of this round: append messages with msg_put_*.
 * Never fails halfway; when memory runs out the connection is closed.
 */
struct buf *io_conn_batch(struct io_conn *c);
/* Bytes not yet taken by the kernel, for send caps. */
size_t io_conn_backlog(const struct io_conn *c);
/* Stops or resumes reading from the peer. */
void io_conn_pause(struct io_conn *c, bool pause);
/* Sends what is batched and a final frame, then closes; on_close (code 0) follows. */
void io_conn_finish(struct io_conn *c);
/* Drops the connection; on_close is not called. */
void io_conn_destroy(struct io_conn *c);

#endif
