/* hq dashboard */
#include "cli/cmds.h"

#include "args/args.h"
#include "base/log.h"
#include "cli/event_feed.h"
#include "cli/journal_file.h"
#include "tui/tui.h"

#define MESSAGES_AT_ONCE 64

static int show(struct run *r, struct tui_config *config, bool *ended,
                struct error *err)
{
    output_no_value(r->out);
    output_printf(r->out, "Loaded %llu event%s\n",
                  (unsigned long long)config->dash->n_events,
                  config->dash->n_events == 1 ? "" : "s");
    output_flush(r->out);
    config->colour = r->out->colour;
    return tui_run(config, ended, err);
}

int dashboard_replay_run(struct run *r, struct error *err)
{
    struct dash dash;
    bool ended;
    int rc = terminal_check(err);
    if (rc != 0)
        return rc;
    dash_init(&dash);
    rc = journal_file_tell(args_str(r->args, "JOURNAL"), dash_told, &dash, err);
    if (rc == 0) {
        struct tui_config config = {.dash = &dash};
        rc = show(r, &config, &ended, err);
    }
    dash_release(&dash);
    return rc;
}

static int take_ready(void *arg, struct error *err)
{
    struct event_feed *feed = arg;
    for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
        uint8_t type;
        struct span body;
        int rc = client_receive_ready(event_feed_client(feed), &type, &body, err);
        if (rc == 1)
            return 0;
        if (rc == 0)
            rc = event_feed_take(feed, type, body, err);
        if (rc != 0)
            return rc;
    }
    return 1;
}

static int load_past(struct event_feed *feed, struct error *err)
{
    int rc = 0;
    while (rc == 0 && !event_feed_past_done(feed)) {
        uint8_t type;
        struct span body;
        rc = client_receive(event_feed_client(feed), &type, &body, err);
        if (rc == 0)
            rc = event_feed_take(feed, type, body, err);
    }
    return rc;
}

int dashboard_stream_run(struct run *r, struct error *err)
{
    struct dash dash;
    struct event_feed *feed = NULL;
    bool ended = false;
    const struct event_feed_config wanted = {
        .told = dash_told, .arg = &dash, .live = true, .overviews = true, .hush = true};
    int rc = terminal_check(err);
    if (rc != 0)
        return rc;
    dash_init(&dash);
    rc = event_feed_open(r, &wanted, &feed, err);
    if (rc == 0)
        rc = load_past(feed, err);
    if (rc == 0) {
        const struct tui_feed source = {client_fd(event_feed_client(feed)), take_ready,
                                        feed};
        struct tui_config config = {.dash = &dash,
                                    .feed = &source,
                                    .reconstructed = event_feed_from_memory(feed)};
        rc = show(r, &config, &ended, err);
    }
    event_feed_close(feed);
    dash_release(&dash);
    if (ended)
        log_info("The server closed the connection");
    return rc;
}
