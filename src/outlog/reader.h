/*
 * Reading output logs: sealed, still being written, or damaged; one file, or all
 * `*.hqlog` and HyperQueue's own `*.hqs` of a directory as one log. Memory is bounded
 * by one task's blocks and a page per source; extents without a usable index are
 * scanned and their entries kept.
 *
 * What is damaged is left out and reported to the damage callback; everything around it
 * is still read. A file is read as it was when it was opened.
 */
#ifndef HQ_OUTLOG_READER_H
#define HQ_OUTLOG_READER_H

#include "outlog/index.h"
#include "outlog/slot.h"

struct outlog_reader;

struct outlog_damage {
    const char *path;
    uint64_t offset, bytes;
    const char *what; /* "damaged block", … */
};
typedef void (*outlog_damage_fn)(void *arg, const struct outlog_damage *d);

/*
 * Opens a log file or a directory. With server_uid (may be NULL) only logs of that
 * server; without, logs of several servers are refused (ERR_INVALID, the text lists
 * them). Files in a directory that are no logs are left out. Texts follow the command
 * line's contract.
 */
int outlog_reader_open(struct outlog_reader **out, const char *path,
                       const char *server_uid, struct error *err) MUST_CHECK;
/* Several of them as one log. */
int outlog_reader_open_all(struct outlog_reader **out, const char *const *paths,
                           size_t n, const char *server_uid,
                           struct error *err) MUST_CHECK;
void outlog_reader_destroy(struct outlog_reader *r);
void outlog_reader_on_damage(struct outlog_reader *r, outlog_damage_fn fn, void *arg);

/* Tells the damage that one of those that share the files has found. */
void outlog_reader_damage(struct outlog_reader *r, const struct outlog_damage *d);

/*
 * Another reader of the same open files, for one other thread; to be destroyed before
 * `of`. It tells damage to a callback of its own, on its thread. */
int outlog_reader_share(struct outlog_reader **out, struct outlog_reader *of,
                        struct error *err) MUST_CHECK;

size_t outlog_reader_n_files(const struct outlog_reader *r);
const char *outlog_reader_path(const struct outlog_reader *r, size_t i); /* borrowed */
/* Whether that path does not lead to the open file any more: removed or replaced. */
bool outlog_reader_gone(const struct outlog_reader *r, size_t i);

struct outlog_reader_stats {
    uint32_t n_files;
    uint64_t reads, bytes_read; /* system calls and their bytes */
    uint64_t bytes_unpacked;
    uint64_t damaged_bytes;
};
void outlog_reader_get_stats(const struct outlog_reader *r,
                             struct outlog_reader_stats *s);

/* A block: its entry and where it lies. */
struct outlog_ref {
    struct outlog_entry e;
    uint32_t file;
};

/* ---- by task: one run after another, ascending by (job, task, instance) -------------
 */

/* One run (instance) of a task. Valid until the next call on its iterator. */
struct outlog_run {
    uint32_t job, task, instance;
    bool newest;   /* no later instance is in the log */
    bool finished; /* its end record is there */
    bool cut;      /* output was dropped on purpose */
    bool gaps;     /* blocks are missing in between */
    enum outlog_state state;
    uint64_t bytes[OUTLOG_N_CHANNELS];
    uint64_t first_us, last_us;    /* times of the first and last block */
    const struct outlog_ref *refs; /* ascending by seq */
    size_t n_refs;
};

struct outlog_runs; /* iterator */

int outlog_runs_create(struct outlog_runs **out, struct outlog_reader *r,
                       struct error *err) MUST_CHECK;
void outlog_runs_destroy(struct outlog_runs *it);
/* The next run returned is the first at or behind (job, task). */
int outlog_runs_seek(struct outlog_runs *it, uint32_t job, uint32_t task,
                     struct error *err) MUST_CHECK;
/* 1: *run is filled; 0: the end; negative: reading failed. */
int outlog_runs_next(struct outlog_runs *it, struct outlog_run *run,
                     struct error *err) MUST_CHECK;

/* Adds a run to the counts of a log (n_jobs is left alone). */
void outlog_count_run(struct outlog_counts *c, const struct outlog_run *run);
/*
 * Counts of the whole log. From the seal where it covers everything, else by walking
 * all runs. */
int outlog_reader_counts(struct outlog_reader *r, struct outlog_counts *c,
                         struct error *err) MUST_CHECK;

/* The largest ids of a job and of a task, superseded runs included; 0: there is none.
 * Reads little of the indexes of a log that is not sealed. */
struct outlog_ids {
    uint32_t job, task;
};
int outlog_reader_largest_ids(struct outlog_reader *r, struct outlog_ids *ids,
                              struct error *err) MUST_CHECK;

/* ---- by time ------------------------------------------------------------------------
 */

struct outlog_blocks; /* iterator over all blocks, ascending by time or in place */

struct outlog_block_filter {
    bool any_job;
    uint32_t job;
    int channel; /* enum outlog_channel, -1: all, events too */
    bool verify; /* payloads as well: damaged blocks are left out */
    /* Packed groups that hold neither of two bytes may be passed over. */
    bool may_skip;
    uint8_t unless[2];
    /* One extent after another, and only those of the part-th of n_parts parts, so that
     * several threads, each with its reader, share the work. */
    bool in_place;
    uint32_t part, n_parts;
};
int outlog_blocks_create(struct outlog_blocks **out, struct outlog_reader *r,
                         const struct outlog_block_filter *filter,
                         struct error *err) MUST_CHECK;
void outlog_blocks_destroy(struct outlog_blocks *it);
/* 1, 0 or negative, as above. Blocks of one run come in their order. */
int outlog_blocks_next(struct outlog_blocks *it, struct outlog_ref *ref,
                       struct error *err) MUST_CHECK;
/* The output bytes (ref->e.output) of the block given last, borrowed until the next
 * call. Only with `verify`. NULL: it cannot be read any more. */
const uint8_t *outlog_blocks_data(struct outlog_blocks *it);

/* ---- following ----------------------------------------------------------------------
 */

struct outlog_follow; /* blocks that are written from now on */

/*
 * What the reader knows, and runs show, stays as it is now: what follows is told by
 * outlog_follow_poll, each block once. Stream files of HyperQueue are not followed.
 */
int outlog_follow_create(struct outlog_follow **out, struct outlog_reader *r,
                         struct error *err) MUST_CHECK;
void outlog_follow_destroy(struct outlog_follow *t); /* before the reader */
/* Blocks were met that are held back for a while, since those in front are missing. */
bool outlog_follow_waits(const struct outlog_follow *t);
/* `data`: the output of the block, ref->e.output bytes. */
typedef int (*outlog_follow_fn)(void *arg, const struct outlog_ref *ref,
                                const uint8_t *data, struct error *err);
/*
 * Gives what is new to fn, ascending by time, blocks of one run in their order. 1:
 * there was something, and there may be more; 0: nothing at present; negative: failed.
 * now_us: any clock that goes on.
 */
int outlog_follow_poll(struct outlog_follow *t, uint64_t now_us, outlog_follow_fn fn,
                       void *arg, struct error *err) MUST_CHECK;

/* ---- content ------------------------------------------------------------------------
 */

/*
 * The output bytes of a block, verified. ERR_CORRUPT: damaged, reported, nothing there.
 * Borrowed until the next call for the same reader.
 */
int outlog_read_block(struct outlog_reader *r, const struct outlog_ref *ref,
                      const uint8_t **data, size_t *n) MUST_CHECK;
/* As outlog_read_block, with the end record behind the output where there is one. */
int outlog_read_payload(struct outlog_reader *r, const struct outlog_ref *ref,
                        const uint8_t **data, size_t *n) MUST_CHECK;
/* The end record of a block with OUTLOG_FLAG_END. */
int outlog_read_end(struct outlog_reader *r, const struct outlog_ref *ref,
                    struct outlog_end *end) MUST_CHECK;
/* Who wrote the block; false when its extent header is damaged. */
bool outlog_read_origin(struct outlog_reader *r, const struct outlog_ref *ref,
                        struct outlog_origin *origin);

#endif
