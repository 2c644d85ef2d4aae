/* The common end of all kinds of submit: send, print the job's id, wait. */
#ifndef HQ_CLI_SUBMIT_SEND_H
#define HQ_CLI_SUBMIT_SEND_H

#include "cli/session.h"
#include "submit/build.h"

/*
 * Sends *s, prints the id in the way of the output mode, and waits when the command has
 * been given --wait or --progress.
 */
int submit_send(struct run *r, struct client *c, struct submit *s,
                struct notices *notices, struct error *err) MUST_CHECK;
/* Prints the id of a new job in the way of the output mode. */
void submit_print_id(struct run *r, uint32_t job, const struct notices *notices);
/* hq submit -f FILE. */
int submit_workflow(struct run *r, struct error *err) MUST_CHECK;

#endif
