/* `hq log` and `hq output-log`: one function per verb; the options are in cmd_log.c. */
#ifndef HQ_CLI_LOG_CMD_H
#define HQ_CLI_LOG_CMD_H

#include "args/args.h"

int log_cmd_summary(struct run *r, struct error *err);
int log_cmd_jobs(struct run *r, struct error *err);
int log_cmd_list(struct run *r, struct error *err);
int log_cmd_show(struct run *r, struct error *err);
int log_cmd_grep(struct run *r, struct error *err);
int log_cmd_tail(struct run *r, struct error *err);
int log_cmd_cat(struct run *r, struct error *err);
int log_cmd_export(struct run *r, struct error *err);
int log_cmd_check(struct run *r, struct error *err);
int log_cmd_seal(struct run *r, struct error *err);
int log_cmd_repair(struct run *r, struct error *err);

#endif
