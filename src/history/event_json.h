/*
 * Events as `hq journal export`, `replay` and `stream` print them: one compact JSON
 * object a line, {"event":{…},"time":"…"}, times in UTC with milliseconds.
 */
#ifndef HQ_HISTORY_EVENT_JSON_H
#define HQ_HISTORY_EVENT_JSON_H

#include "base/json.h"
#include "history/told.h"

#define EVENT_SECOND_BYTES 24

struct event_json {
    struct buf *out;
    int out_fd;  /* lines of any length go there in pieces; -1: all stays in `out` */
    bool failed; /* a write to out_fd failed; errno is kept in sys */
    int sys;
    uint64_t lines;
    uint64_t second; /* the one that `text` shows */
    char text[EVENT_SECOND_BYTES];
};

void event_json_init(struct event_json *e, struct buf *out, int out_fd);
/* Appends the line of one event. */
void event_json_print(struct event_json *e, const struct told *t);

#endif
