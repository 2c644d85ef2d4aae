/* Private to io. */
#ifndef HQ_IO_INTERNAL_H
#define HQ_IO_INTERNAL_H

#include <uv.h>
#include "base/list.h"
#include "io/io.h"

#define READ_CHUNK (256u * 1024u)

struct io_loop {
    uv_loop_t uv;
    uv_prepare_t prepare; /* once per round, right before polling */
    uv_idle_t idle;       /* active: poll must not sleep */
    struct list dirty;    /* connections with something to flush */
    io_fn *round_fn;
    void *round_arg;
    bool again;
    /* Reads of all connections go through one buffer: channel_input takes all at once.
     * Not thread-local storage, which would count against the stack of every thread. */
    uint8_t read_buffer[READ_CHUNK];
    size_t n_pending; /* accepted, not authenticated yet */
};

void io_conn_flush(struct io_conn *c); /* takes it off the dirty list */
struct io_conn *io_conn_of_dirty(struct list_node *n);

#endif
