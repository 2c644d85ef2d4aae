/*
 * Values of options: validators for the command table (0, or an error whose text
 * follows "invalid value 'x' for '--option <OPTION>': ") and the parsers that command
 * bodies use for the same text.
 */
#ifndef HQ_CLI_VALUES_H
#define HQ_CLI_VALUES_H

#include "base/error.h"
#include "base/idset.h"
#include "model/spec.h"
#include "model/worker.h"
#include "wire/lists.h"

#define HEARTBEAT_MIN_MS 150

int value_check_u32(const char *text, struct error *err);
int value_check_positive(const char *text, struct error *err); /* u32 >= 1 */
int value_check_i32(const char *text, struct error *err);
int value_check_port(const char *text, struct error *err);
int value_check_duration(const char *text, struct error *err);
int value_check_duration_units(const char *text, struct error *err);
int value_check_heartbeat(const char *text, struct error *err);
int value_check_size(const char *text, struct error *err);
int value_check_idset(const char *text, struct error *err);
int value_check_selector(const char *text, struct error *err);    /* all, last, array */
int value_check_job_array(const char *text, struct error *err);   /* last, array */
int value_check_job_or_last(const char *text, struct error *err); /* last, one id */
int value_check_time(const char *text, struct error *err);        /* point in time */
int value_check_env(const char *text, struct error *err);
int value_check_stdio(const char *text, struct error *err);
int value_check_crash_limit(const char *text, struct error *err);
int value_check_output_limit(const char *text, struct error *err);
int value_check_reason(const char *text, struct error *err);
int value_check_weight(const char *text, struct error *err);
int value_check_cpus(const char *text, struct error *err);
int value_check_resource(const char *text, struct error *err);
int value_check_setting(const char *text, struct error *err); /* KEY=VALUE */
int value_check_worker_cpus(const char *text, struct error *err);
int value_check_worker_resource(const char *text, struct error *err);
int value_check_detect(const char *text, struct error *err);
int value_check_utilization(const char *text, struct error *err);
int value_check_backlog(const char *text, struct error *err);
int value_check_alloc_workers(const char *text, struct error *err);
int value_check_alloc_name(const char *text, struct error *err); /* part of a path */
int value_check_alloc_word(const char *text, struct error *err); /* of one line */
int value_check_walltime(const char *text, struct error *err);   /* longer than 0 */
/* ERR_NOT_FOUND when the text is none of the words that take a duration. */
int value_check_server_lost(const char *text, struct error *err);

/* "all", "last" or an array. */
int selector_parse(const char *text, struct selector *s, struct error *err) MUST_CHECK;

/* "reconnect:5m"; *ns is 0 when no duration is said. */
int server_lost_parse(const char *text, enum server_lost_policy *policy, uint64_t *ns,
                      struct error *err) MUST_CHECK;

#endif
