/* How a server is described: `server start`, `server info`. */
#ifndef HQ_CLI_SERVER_TEXT_H
#define HQ_CLI_SERVER_TEXT_H

#include "args/output.h"
#include "wire/views.h"

/* Table, JSON or (quiet) the directory. `server_dir` NULL: not shown. */
int server_text_info(struct output *o, const struct server_info *info,
                     const char *server_dir, struct error *err) MUST_CHECK;

#endif
