/*
 * A thread that reads pieces of files, since a read may wait for a slow disk. Requests
 * come back in the order in which they were made.
 */
#ifndef HQ_SERVER_FEED_READER_H
#define HQ_SERVER_FEED_READER_H

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"

struct feed_reader;

struct feed_read {
    struct list_node node;
    void *owner; /* the requester's; NULL: nobody wants the result any more */
    int fd;
    bool close_fd; /* set when the owner goes: nobody else will */
    uint64_t offset;
    size_t n;
    uint8_t *data; /* malloc'ed, n bytes long */
    size_t got;    /* fewer than n: the file ends there, or sys says why */
    int sys;
};

/* `notify` is called by the thread whenever something was read. */
int feed_reader_create(struct feed_reader **out, void notify(void *arg), void *arg,
                       struct error *err) MUST_CHECK;
/* Waits for the read at hand; drops all requests. */
void feed_reader_destroy(struct feed_reader *r);
/* Takes the request. */
void feed_reader_add(struct feed_reader *r, struct feed_read *read);
/* The next one that is done, or NULL; feed_read_destroy it. */
struct feed_read *feed_reader_next(struct feed_reader *r);
void feed_read_destroy(struct feed_read *read);

#endif
