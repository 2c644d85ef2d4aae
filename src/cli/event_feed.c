#include "cli/event_feed.h"

#include <stdlib.h>
#include "base/log.h"
#include "base/xmem.h"
#include "cli/session.h"
#include "history/track.h"
#include "journal/pull.h"

struct event_feed {
    struct event_feed_config config;
    struct client *client;
    struct track *track;
    struct journal_pull pull;
    bool from_memory, past_done;
    uint64_t malformed, reported;
    struct error first_malformed;
};

static void report(struct event_feed *f)
{
    if (f->malformed && !f->reported++)
        log_error("%s; it is left out", f->first_malformed.text);
}

static int take_event(struct event_feed *f, struct span event, struct error *err)
{
    int rc = track_event(f->track, event, err);
    if (rc != ERR_CORRUPT)
        return rc;
    if (f->malformed++ == 0)
        f->first_malformed = *err;
    if (!f->config.hush)
        report(f);
    return 0;
}

static int take_events(struct event_feed *f, struct span events, struct error *err)
{
    struct cursor c = cursor_make(events.p, events.n);
    int rc = 0;
    while (rc == 0 && cursor_left(&c)) {
        struct span event = cursor_bytes(&c);
        rc = c.failed ? error_set(err, ERR_CORRUPT, "malformed events from the server")
                      : take_event(f, event, err);
    }
    return rc;
}

static int take_bytes(struct event_feed *f, const struct msg_RSP_JOURNAL_BYTES *m,
                      struct error *err)
{
    struct span payload;
    int rc = journal_pull_add(&f->pull, m->offset, m->bytes, err);
    while (rc == 0 && (rc = journal_pull_next(&f->pull, &payload, err)) == 1)
        rc = take_events(f, payload, err);
    return rc;
}

/* The past is complete. */
static int take_ok(struct event_feed *f, struct error *err)
{
    int rc = track_live(f->track, err);
    f->past_done = true;
    return rc;
}

int event_feed_take(struct event_feed *f, uint8_t type, struct span body,
                    struct error *err)
{
    int rc = 0;
    switch (type) {
    case MSG_RSP_JOURNAL_BEGIN: {
        struct msg_RSP_JOURNAL_BEGIN m;
        rc = msg_get_RSP_JOURNAL_BEGIN(body, &m, err);
        if (rc == 0 && m.from_memory) {
            f->from_memory = true;
            track_from_memory(f->track);
        }
        return rc;
    }
    case MSG_RSP_JOURNAL_BYTES: {
        struct msg_RSP_JOURNAL_BYTES m;
        rc = msg_get_RSP_JOURNAL_BYTES(body, &m, err);
        return rc ? rc : take_bytes(f, &m, err);
    }
    case MSG_RSP_EVENTS: {
        struct msg_RSP_EVENTS m;
        rc = msg_get_RSP_EVENTS(body, &m, err);
        return rc ? rc : take_events(f, m.events, err);
    }
    case MSG_RSP_NOTIFY: {
        struct msg_RSP_NOTIFY m;
        rc = msg_get_RSP_NOTIFY(body, &m, err);
        if (rc == 0)
            track_notify(f->track, m.job, m.task, m.worker, m.message, m.time_us);
        return rc;
    }
    case MSG_RSP_OK:
        return take_ok(f, err);
    default:
        return client_unwanted(type, body, err);
    }
}

int event_feed_open(const struct run *r, const struct event_feed_config *config,
                    struct event_feed **out, struct error *err)
{
    struct event_feed *f = xcalloc(1, sizeof *f);
    f->config = *config;
    journal_pull_init(&f->pull);
    int rc = session_open(r, &f->client, err);
    if (rc == 0 && !(f->track = track_create(config->told, config->arg)))
        rc = error_nomem(err);
    if (rc == 0) {
        struct msg_REQ_JOURNAL_READ req = {.live = config->live,
                                           .overviews = config->overviews};
        msg_put_REQ_JOURNAL_READ(client_batch(f->client), &req);
        rc = client_send(f->client, err);
    }
    if (rc == 0)
        *out = f;
    else
        event_feed_close(f);
    return rc;
}

void event_feed_close(struct event_feed *f)
{
    if (!f)
        return;
    report(f);
    if (f->malformed > 1)
        log_error("%llu more malformed events are left out",
                  (unsigned long long)f->malformed - 1);
    journal_pull_release(&f->pull);
    track_destroy(f->track);
    client_close(f->client);
    free(f);
}

struct client *event_feed_client(const struct event_feed *f)
{
    return f->client;
}

bool event_feed_past_done(const struct event_feed *f)
{
    return f->past_done;
}

bool event_feed_from_memory(const struct event_feed *f)
{
    return f->from_memory;
}
