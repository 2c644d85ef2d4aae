/*
 * Errors of the small command-line grammars (ranges, resources), with a picture:
 *     Unexpected token found while attempting to parse number, expected something else:
 *       1,x
 *         |
 *         --- Unexpected token `x`
 * The text ends with a newline after the picture, and with "(the input was empty)"
 * without one for an empty input. Whoever prints it adds "\n\n" and the hint.
 */
#ifndef HQ_BASE_SYNTAX_H
#define HQ_BASE_SYNTAX_H

#include "base/error.h"
#include "base/util.h"

/*
 * The character at byte offset `at` was not expected, or, at the end, more was. `label`
 * names what was being read ("number"; may be NULL), `expected` lists what could
 * have followed (", or -"; NULL: "something else"). Returns ERR_PARSE.
 */
int syntax_unexpected(struct error *err, const char *input, size_t at,
                      const char *label, const char *expected);
/* The same for a whole word of `len` bytes. */
int syntax_unexpected_word(struct error *err, const char *input, size_t at, size_t len,
                           const char *label, const char *expected);
/* The item that starts at `at` is well-formed but refused for `reason`. ERR_PARSE. */
int syntax_refused(struct error *err, const char *input, size_t at, const char *label,
                   const char *reason);

#endif
