/*
 * Pipes for the output of tasks. The launcher makes them in small batches and hands
 * the read ends to the worker by a socket of their own, which nobody watches: the
 * worker takes them from there once it hears of a task that has one. So they wake
 * nobody. Private to this folder.
 */
#ifndef HQ_LAUNCH_PIPES_H
#define HQ_LAUNCH_PIPES_H

#include <pthread.h>
#include "base/error.h"
#include "base/u64map.h"

#define PIPE_BATCH 16 /* at most; read ends per message */

/* In the launcher, for all its threads. */
struct pipe_maker {
    pthread_mutex_t lock;
    int sock;
    int fds[PIPE_BATCH]; /* write ends in stock: [at, n) */
    uint32_t at, n;
    uint32_t next;    /* number of fds[at], or of the next pipe made */
    uint32_t batch;   /* how many were made last */
    uint64_t made_us; /* when */
};

void pipe_maker_init(struct pipe_maker *m, int sock);
/* The write end of a pipe whose read end is on its way to the worker. 0 or errno. */
int pipe_maker_take(struct pipe_maker *m, int *fd, uint32_t *number) MUST_CHECK;

/* In the worker. */
struct pipe_taker {
    int sock;
    struct u64map fds; /* number -> read end that came with others */
};

void pipe_taker_release(struct pipe_taker *t); /* the socket as well */
/* The read end with that number, or -1: there is none, or it was lost on its way. */
int pipe_taker_take(struct pipe_taker *t, uint32_t number);

#endif
