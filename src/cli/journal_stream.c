/* hq journal replay, hq journal stream */
#include "cli/cmds.h"

#include <signal.h>
#include <unistd.h>
#include "args/args.h"
#include "cli/event_feed.h"
#include "cli/journal_past.h"

struct reader {
    struct run *run;
    struct event_feed *feed;
    struct past *past; /* gathered, while it comes from memory */
    struct event_json json;
};

static int take_told(void *arg, const struct told *t)
{
    struct reader *r = arg;
    if (t->type == TOLD_PLACEMENT) /* has no line */
        return 0;
    if (event_feed_from_memory(r->feed) && !event_feed_past_done(r->feed)) {
        if (!r->past)
            r->past = past_create();
        past_add(r->past, t);
        return 0;
    }
    event_json_print(&r->json, t);
    output_puts(r->run->out, ""); /* written out when it has become large */
    return r->json.failed || r->run->out->sys ? ERR_SYSTEM : 0;
}

/* What was gathered, once it is complete. */
static void print_past(struct reader *r)
{
    if (!r->past || !event_feed_past_done(r->feed))
        return;
    past_print(r->past, &r->json, r->run->out);
    past_destroy(r->past);
    r->past = NULL;
}

/* Nobody is left to read: as if we had tried to write. */
static int reader_gone(struct error *err)
{
    (void)raise(SIGPIPE);
    return error_set(err, ERR_CLOSED, "nobody reads the output any more");
}

static int read_all(struct reader *r, bool live, struct error *err)
{
    while (!event_feed_past_done(r->feed) || live) {
        uint8_t type;
        struct span body;
        int rc = client_receive_watching(event_feed_client(r->feed), STDOUT_FILENO,
                                         &type, &body, err);
        if (rc == 1)
            return reader_gone(err);
        if (rc == ERR_CLOSED && event_feed_past_done(r->feed))
            return 0; /* the server has ended */
        if (rc == 0)
            rc = event_feed_take(r->feed, type, body, err);
        if (rc == 0)
            print_past(r);
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
    struct reader r = {.run = run};
    const struct event_feed_config config = {
        .told = take_told, .arg = &r, .live = live};
    int rc = event_feed_open(run, &config, &r.feed, err);
    if (rc)
        return rc;
    event_json_init(&r.json, &run->out->text, STDOUT_FILENO);
    output_no_value(run->out);
    rc = read_all(&r, live, err);
    past_destroy(r.past);
    event_feed_close(r.feed);
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
