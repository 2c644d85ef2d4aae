/*
 * Past events that come in no order: gathered, then printed by time. Starts and ends of
 * single tasks, which are nearly all of them, take 32 bytes each; other lines are kept
 * as text.
 */
#ifndef HQ_CLI_JOURNAL_PAST_H
#define HQ_CLI_JOURNAL_PAST_H

#include "args/output.h"
#include "history/event_json.h"

struct past;

struct past *past_create(void);
void past_destroy(struct past *p);
void past_add(struct past *p, const struct told *t);
/* Prints all; events of one instant stay in their order. */
void past_print(struct past *p, struct event_json *json, struct output *out);

#endif
