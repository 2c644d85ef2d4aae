/* hq journal replay, hq journal stream */
#include "cli/cmds.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "args/args.h"
#include "base/log.h"
#include "cli/journal_past.h"
#include "cli/session.h"
#include "history/track.h"
#include "journal/pull.h"

struct reader {
    struct run *run;
    struct client *client;
    bool live; /* goes on behind the past */
    bool past_done;
    struct track *track;
    struct journal_pull pull;
    struct past *past; /* gathered, while it comes from memory */
    struct event_json json;
    uint64_t malformed;
};

static int take_told(void *arg, const struct told *t)
{
    struct reader *r = arg;
    if (r->past) {
        past_add(r->past, t);
        return 0;
    }
    event_json_print(&r->json, t);
    output_puts(r->run->out, ""); /* written out when it has become large */
    return r->json.failed || r->run->out->sys ? ERR_SYSTEM : 0;
}

static int take_event(struct reader *r, struct span event, struct error *err)
{
    int rc = track_event(r->track, event, err);
    if (rc != ERR_CORRUPT)
        return rc;
    if (r->malformed++ == 0)
        log_error("%s; it is left out", err->text);
    return 0;
}

static int take_events(struct reader *r, struct span events, struct error *err)
{
    struct cursor c = cursor_make(events.p, events.n);
    int rc = 0;
    while (rc == 0 && cursor_left(&c)) {
        struct span event = cursor_bytes(&c);
        rc = c.failed ? error_set(err, ERR_CORRUPT, "malformed events from the server")
                      : take_event(r, event, err);
    }
    return rc;
}

static int take_bytes(struct reader *r, const struct msg_RSP_JOURNAL_BYTES *m,
                      struct error *err)
{
    struct span payload;
    int rc = journal_pull_add(&r->pull, m->offset, m->bytes, err);
    while (rc == 0 && (rc = journal_pull_next(&r->pull, &payload, err)) == 1)
        rc = take_events(r, payload, err);
    return rc;
}

static int take_begin(struct reader *r, const struct msg_RSP_JOURNAL_BEGIN *m)
{
    if (m->from_memory) {
        track_from_memory(r->track);
        r->past = past_create();
    }
    return 0;
}

/* The past is complete. */
static int take_ok(struct reader *r, struct error *err)
{
    int rc = track_live(r->track, err);
    struct past *past = r->past;
    r->past = NULL;
    r->past_done = true;
    if (past && rc == 0)
        past_print(past, &r->json, r->run->out);
    past_destroy(past);
    return rc;
}

static int take_notify(struct reader *r, const struct msg_RSP_NOTIFY *m)
{
    track_notify(r->track, m->job, m->task, m->worker, m->message, m->time_us);
    return 0;
}

static int take_message(struct reader *r, uint8_t type, struct span body,
                        struct error *err)
{
    int rc = 0;
    switch (type) {
    case MSG_RSP_JOURNAL_BEGIN: {
        struct msg_RSP_JOURNAL_BEGIN m;
        rc = msg_get_RSP_JOURNAL_BEGIN(body, &m, err);
        return rc ? rc : take_begin(r, &m);
    }
    case MSG_RSP_JOURNAL_BYTES: {
        struct msg_RSP_JOURNAL_BYTES m;
        rc = msg_get_RSP_JOURNAL_BYTES(body, &m, err);
        return rc ? rc : take_bytes(r, &m, err);
    }
    case MSG_RSP_EVENTS: {
        struct msg_RSP_EVENTS m;
        rc = msg_get_RSP_EVENTS(body, &m, err);
        return rc ? rc : take_events(r, m.events, err);
    }
    case MSG_RSP_NOTIFY: {
        struct msg_RSP_NOTIFY m;
        rc = msg_get_RSP_NOTIFY(body, &m, err);
        return rc ? rc : take_notify(r, &m);
    }
    case MSG_RSP_OK:
        return take_ok(r, err);
    default:
        return client_unwanted(type, body, err);
    }
}

/* Nobody is left to read: as if we had tried to write. */
static int reader_gone(struct error *err)
{
    (void)raise(SIGPIPE);
    return error_set(err, ERR_CLOSED, "nobody reads the output any more");
}

static int read_all(struct reader *r, struct error *err)
{
    while (!r->past_done || r->live) {
        uint8_t type;
        struct span body;
        int rc = client_receive_watching(r->client, STDOUT_FILENO, &type, &body, err);
        if (rc == 1)
            return reader_gone(err);
        if (rc == ERR_CLOSED && r->past_done)
            return 0; /* the server has ended */
        if (rc == 0)
            rc = take_message(r, type, body, err);
        if (!r->past)
            output_flush(r->run->out); /* so that it is seen at once */
        if (r->json.failed && !r->run->out->sys)
            r->run->out->sys = r->json.sys;
        if (r->run->out->sys)
            return error_errno(err, r->run->out->sys,
                               "cannot write to standard output");
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_events(struct run *run, bool live, struct error *err)
{
    struct reader r = {.run = run, .live = live};
    int rc = session_open(run, &r.client, err);
    if (rc)
        return rc;
    r.track = track_create(take_told, &r);
    event_json_init(&r.json, &run->out->text, STDOUT_FILENO);
    journal_pull_init(&r.pull);
    output_no_value(run->out);
    struct msg_REQ_JOURNAL_READ req = {.live = live};
    msg_put_REQ_JOURNAL_READ(client_batch(r.client), &req);
    rc = r.track ? client_send(r.client, err) : error_nomem(err);
    if (rc == 0)
        rc = read_all(&r, err);
    if (r.malformed > 1)
        log_error("%llu more malformed events are left out",
                  (unsigned long long)r.malformed - 1);
    past_destroy(r.past);
    journal_pull_release(&r.pull);
    track_destroy(r.track);
    client_close(r.client);
    return rc;
}

int journal_replay_run(struct run *r, struct error *err)
{
    return read_events(r, false, err);
}

int journal_stream_run(struct run *r, struct error *err)
{
    return read_events(r, true, err);
}
