/*
 * The events of a running server as told events (history/told.h): first the past, then,
 * if wanted, what happens from then on.
 */
#ifndef HQ_CLI_EVENT_FEED_H
#define HQ_CLI_EVENT_FEED_H

#include "args/cmd.h"
#include "client/client.h"
#include "history/told.h"

struct event_feed_config {
    told_fn *told;
    void *arg;
    bool live;      /* go on behind the past */
    bool overviews; /* have all workers report their load meanwhile */
    bool hush;      /* malformed events are reported at the end only */
};

struct event_feed; /* opaque */

/* Connects and asks for events. */
int event_feed_open(const struct run *r, const struct event_feed_config *config,
                    struct event_feed **out, struct error *err) MUST_CHECK;
/* Reports what was passed over. NULL is fine. */
void event_feed_close(struct event_feed *f);

/* Messages of this connection go to event_feed_take. */
struct client *event_feed_client(const struct event_feed *f);
/* Tells what a message means: 0, an error, or what `told` returned. */
int event_feed_take(struct event_feed *f, uint8_t type, struct span body,
                    struct error *err) MUST_CHECK;
/* The past is complete. */
bool event_feed_past_done(const struct event_feed *f);
/* The past was made up from the server's memory and comes in no order of time; known
 * before the first event is told. */
bool event_feed_from_memory(const struct event_feed *f);

#endif
