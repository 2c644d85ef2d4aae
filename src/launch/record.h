/*
 * What worker and launcher say to each other over their socket, both being the same
 * program: a stream of records, each u32 length of what follows, u8 kind, body. Numbers
 * are little-endian; strings end with NUL, so that the launcher points at them where
 * they lie. Private to this folder.
 */
#ifndef HQ_LAUNCH_RECORD_H
#define HQ_LAUNCH_RECORD_H

#include "base/buf.h"
#include "base/cursor.h"
#include "launch/launch.h"

#define RECORD_HEAD_BYTES 5 /* length and kind */

enum request_kind {
    REQUEST_TEMPLATE = 1, /* u32 id, spec */
    REQUEST_DROP,         /* u32 id */
    REQUEST_BIND,         /* u32 slot, binding */
    REQUEST_TASK,         /* u64 handle, u32 slot, u32 template, u8 urgent, spec */
    REQUEST_RETRACT,      /* u64 handle, u32 slot */
    REQUEST_KILL,         /* u64 handle, u32 slot, u8 enum launch_kill */
    REQUEST_LEFTOVER,     /* u64 device, u64 inode, str path */
    REQUEST_GOODBYE       /* - */
};

/* A spec as it lies in a record. Everything is borrowed from there. */
struct spec_view {
    uint8_t out_kind, err_kind; /* enum launch_output_kind */
    size_t n_argv, n_env, n_unset;
    const char *argv, *env, *unset; /* n strings, one behind the other */
    const char *cwd;                /* NULL: not given */
    const char *out_path, *err_path;
    bool has_input;
    bool session;
    struct span input;
};

/* Starts a record; returns the offset that record_end needs. */
size_t record_begin(struct buf *b, uint8_t kind);
void record_end(struct buf *b, size_t start);

void spec_encode(struct buf *b, const struct launch_spec *spec);
void spec_decode(struct cursor *c, struct spec_view *view); /* marks c failed */

void binding_encode(struct buf *b, const struct launch_binding *binding);
/* The arrays are borrowed; nodes is filled with copies (LAUNCH_NODES_MAX_WORDS). */
void binding_decode(struct cursor *c, struct launch_binding *binding, uint64_t *nodes);

/* A reply: an event whose pipes are numbers (0: none) instead. Its kind is that of the
 * event. */
struct reply {
    struct launch_event event;
    uint32_t out_pipe, err_pipe;
};

#define REPLY_BYTES_MAX 96
/* Writes the whole record and returns its size. */
size_t reply_encode(const struct reply *r, uint8_t to[REPLY_BYTES_MAX]);
void reply_decode(struct cursor *c, uint8_t kind, struct reply *r);

#endif
