/*
 * Reading the output of many runs: blocks are gathered, read in the order of their
 * places in the files, by a few threads, and given out in the order they were asked
 * for. Runs whose blocks lie mixed up in the log are so read in few passes, in bounded
 * memory.
 */
#ifndef HQ_CLI_LOG_BATCH_H
#define HQ_CLI_LOG_BATCH_H

#include "base/parallel.h"
#include "outlog/reader.h"

struct log_batch_events {
    /* One of the marks that the caller put between blocks. */
    void (*on_mark)(void *arg, uint64_t a, uint64_t b);
    void (*on_data)(void *arg, const struct outlog_entry *e, const uint8_t *p,
                    size_t n);
    /* For log_batch_add_end; NULL: it cannot be read. */
    void (*on_end)(void *arg, const struct outlog_end *end);
};

struct log_item;

struct log_batch {
    struct outlog_reader *reader;
    const struct log_batch_events *events;
    void *arg;
    struct log_item *items;
    size_t n_items, cap_items;
    size_t items_max; /* so many are gathered at most */
    uint64_t bytes;   /* of the content of those gathered */
    size_t largest;   /* content of one block so far */
    uint64_t memory;  /* that all may take; 0: not asked for yet */
    uint64_t piece;   /* content read at once where that is as good as more */
    struct buf data;  /* content read last */
    uint32_t n_threads;
    struct outlog_reader *readers[PARALLEL_MAX]; /* of each thread */
};

void log_batch_init(struct log_batch *b, struct outlog_reader *reader,
                    const struct log_batch_events *events, void *arg);
void log_batch_release(struct log_batch *b);
/* Both may give out what was gathered so far. */
int log_batch_mark(struct log_batch *b, uint64_t a, uint64_t c,
                   struct error *err) MUST_CHECK;
int log_batch_add(struct log_batch *b, const struct outlog_ref *ref,
                  struct error *err) MUST_CHECK;
/* The end record of the block instead of its output. */
int log_batch_add_end(struct log_batch *b, const struct outlog_ref *ref,
                      struct error *err) MUST_CHECK;
/* Gives out the rest. */
int log_batch_flush(struct log_batch *b, struct error *err) MUST_CHECK;

#endif
