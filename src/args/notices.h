/*
 * What a command remarks on its way. In cli mode a remark is a log line at once. In
 * json and quiet mode standard error stays empty when the command succeeds: remarks are
 * kept, warnings go into the JSON value, and all of them are logged when the command
 * fails.
 */
#ifndef HQ_ARGS_NOTICES_H
#define HQ_ARGS_NOTICES_H

#include "args/output.h"
#include "base/log.h"

struct notice {
    enum log_level level;
    char *text;
};

struct notices {
    const struct output *out;
    struct notice *items;
    size_t n;
};

void notices_init(struct notices *n, const struct output *out);
void notices_release(struct notices *n);
void notice_info(struct notices *n, const char *fmt, ...) PRINTF(2, 3);
void notice_warn(struct notices *n, const char *fmt, ...) PRINTF(2, 3);
/* The command failed: logs what was kept. */
void notices_log(struct notices *n);
/* "warnings": […] inside an object, when there is one. */
void notices_json(const struct notices *n, struct json *j);

#endif
