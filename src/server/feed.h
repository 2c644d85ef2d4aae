/*
 * Clients that read events: `journal replay` and `journal stream`.
 *
 * With a journal a reader gets the bytes of its file, past and live alike, piece by
 * piece as fast as it takes them: the file is the buffer, so that a slow reader costs
 * no memory and misses nothing. Without one it gets what the server remembers
 * (history.h) and then the live events, which wait in memory for the slowest reader;
 * one that is too far behind is told so and dropped.
 */
#ifndef HQ_SERVER_FEED_H
#define HQ_SERVER_FEED_H

#include "server/internal.h"

/* Answers the request once the journal holds everything up to now. `overviews`: workers
 * are to report their load meanwhile. */
void feed_request(struct client_link *c, bool live, bool overviews);
void feed_end(struct client_link *c);
/* The peer took all that was sent. */
void feed_drained(struct client_link *c);

void feeds_init(struct server *s);
/* Whether anybody wants events although there is no journal. */
bool feeds_wanted(const struct server *s);
/* Without a journal: an encoded event that just happened, to all readers. */
void feeds_event(struct server *s, struct span event);
/* A submit is about to be applied to a job: readers that have not been told of the job
 * yet must get it once only. */
void feeds_before_submit(struct server *s, uint32_t job);
/* A live message of a task. */
void feeds_notify(struct server *s, const struct msg_RSP_NOTIFY *m);
/* With a journal: an encoded event that it does not keep, to all live readers; one that
 * is behind misses it. */
void feeds_passing(struct server *s, struct span event);
/* Whether any reader wants workers to report their load. */
bool feeds_want_overviews(const struct server *s);
/* The journal made progress. */
void feeds_journal(struct server *s, const struct journal_progress *p);
/* It goes on in another file. */
void feeds_pruned(struct server *s, const struct journal_pruned *p);
void feeds_round(struct server *s); /* end of a loop round */
void feeds_news(void *server);      /* the reading thread has something */
void feeds_release(struct server *s);

#endif
