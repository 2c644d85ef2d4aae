/*
 * Replies on their way to the worker, gathered from all threads of the launcher.
 * Sending blocks while the worker is busy; it never blocks on us in turn. Private to
 * this folder.
 */
#ifndef HQ_LAUNCH_REPLIES_H
#define HQ_LAUNCH_REPLIES_H

#include <pthread.h>
#include "launch/record.h"

struct replies {
    pthread_mutex_t lock;
    int sock;
    int timer;          /* timerfd: fires when gathered replies are due */
    struct buf out;     /* gathered */
    struct buf leaving; /* being sent, by one thread, without the lock */
    bool sending;
    bool again;      /* what is in out is due */
    uint64_t due_us; /* monotonic time when out has to go */
    uint64_t put_us; /* of the last reply */
    bool broken;     /* the worker is gone; of the sender */
};

int replies_init(struct replies *r, int sock, struct error *err) MUST_CHECK;
/* 0: at once, and whatever was gathered before with it. */
void replies_put(struct replies *r, const struct reply *reply, uint64_t within_us);
/* Sends what is due; the timer calls for it. */
void replies_flush_due(struct replies *r);

#endif
