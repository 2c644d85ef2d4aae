/*
 * The dashboard: screens over what events told (dash.h), in full-screen mode, until the
 * user leaves or the source of events ends.
 */
#ifndef HQ_TUI_TUI_H
#define HQ_TUI_TUI_H

#include "tui/dash.h"
#include "tui/terminal.h"

/* Where further events come from. */
struct tui_feed {
    int fd; /* readable when there is something to take */
    /* Takes what has come, without waiting, and not much at a time: 0, or 1 when more
     * can be taken at once. ERR_CLOSED: it has ended; another error: it broke. */
    int (*take)(void *arg, struct error *err);
    void *arg;
};

struct tui_config {
    struct dash *dash;
    const struct tui_feed *feed; /* NULL: a replay */
    bool reconstructed;          /* the history came from a server without a journal */
    bool colour;
};

/* 0 when the user left or the feed ended (*ended: the latter); another end of the feed
 * is the error. A signal that asks to end is raised again behind the full-screen mode.
 */
int tui_run(const struct tui_config *config, bool *ended, struct error *err) MUST_CHECK;

#endif
