/* A journal file, read for what it tells (history/told.h). */
#ifndef HQ_CLI_JOURNAL_FILE_H
#define HQ_CLI_JOURNAL_FILE_H

#include "base/error.h"
#include "history/told.h"

/*
 * Tells all of the file. Damage and events that are malformed are logged and passed
 * over. An error names the file; what `fn` returned comes back without a text.
 */
int journal_file_tell(const char *path, told_fn *fn, void *arg,
                      struct error *err) MUST_CHECK;

#endif
