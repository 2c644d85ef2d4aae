/*
 * What every program of ours does around its command: arguments, log level, output
 * mode, exit status.
 *
 *     struct run run;
 *     struct error err = ERROR_INIT;
 *     cli_begin(&run, &cmd_root, argc, argv);          // may end the process
 *     int rc = args_cmd(run.args)->run(&run, &err);
 *     return cli_end(&run, rc, &err);
 */
#ifndef HQ_CLI_MAIN_H
#define HQ_CLI_MAIN_H

#include "args/args.h"
#include "args/output.h"

/*
 * Parses the arguments. Prints help, version or a usage error and ends the process with
 * status 0 or 2 where there is nothing to run. SIGPIPE gets its default action;
 * standard descriptors that are closed stay unusable, but their numbers are taken.
 */
void cli_begin(struct run *run, const struct cmd *root, int argc, char **argv);
/* Prints the error if there is one, ends the output; returns the exit status. */
int cli_end(struct run *run, int rc, struct error *err);

#endif
