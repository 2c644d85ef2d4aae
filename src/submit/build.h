/*
 * From the options of `hq submit` and of #HQ lines to what is sent to the server. The
 * order of the checks is part of the contract (reference of jobs, 4.4).
 */
#ifndef HQ_SUBMIT_BUILD_H
#define HQ_SUBMIT_BUILD_H

#include "args/notices.h"
#include "model/spec.h"
#include "submit/directives.h"

struct submit_input {
    const struct args *line;
    const struct directives *directives; /* NULL: none */
    const struct buf *input;             /* of --stdin; NULL: not given */
};

/*
 * Reads what the mode of --directives asks for. *found tells whether there was a
 * source; then *d belongs to the caller.
 */
int submit_read_directives(const struct args *line, const struct buf *input,
                           struct directives *d, bool *found,
                           struct error *err) MUST_CHECK;
/* Fills *s, which the caller has initialised and releases in any case. */
int submit_build(const struct submit_input *in, struct notices *notices,
                 struct submit *s, struct error *err) MUST_CHECK;

#endif
