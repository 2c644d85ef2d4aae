/* What `hq log` looks for in lines: a fixed text or an extended regular expression. */
#ifndef HQ_CLI_LOG_MATCH_H
#define HQ_CLI_LOG_MATCH_H

#include <regex.h>
#include "base/buf.h"
#include "base/error.h"

struct log_match {
    uint8_t *text; /* fixed text, in small letters when case does not matter */
    size_t n;
    size_t rare[2]; /* places of the two bytes that are looked for first */
    bool ignore_case, invert, is_regex;
    regex_t regex;
};

/* Copies the pattern. A fixed text must not hold a line feed. */
int log_match_init(struct log_match *m, const char *pattern, bool is_regex,
                   bool ignore_case, struct error *err) MUST_CHECK;
void log_match_release(struct log_match *m);

/* Whether the line (without its line feed) is wanted. */
bool log_match_line(const struct log_match *m, const uint8_t *p, size_t n);
/*
 * The same of a line that is looked at in pieces, each of which begins with the last
 * log_match_overlap bytes of the one before; `first`, `last`: it holds the beginning,
 * the end of the line. `invert` plays no part. A match of a regular expression that is
 * longer than the overlap may be missed.
 */
bool log_match_piece(const struct log_match *m, const uint8_t *p, size_t n, bool first,
                     bool last);
size_t log_match_overlap(const struct log_match *m); /* NULL: 0 */
/*
 * Whether the fixed text lies in these bytes of a stream. Where not, *ends tells with
 * which beginnings of it they end, for log_match_goes_on with the bytes behind; 0:
 * none. `fold` is room for small letters. Not for regular expressions.
 */
bool log_match_in(const struct log_match *m, const uint8_t *p, size_t n,
                  struct buf *fold, uint64_t *ends);
/*
 * Two bytes (small and capital, or twice the same) of which one is in each occurrence
 * of the fixed text; false: the text has none that is seldom in output.
 */
bool log_match_rare(const struct log_match *m, uint8_t rare[2]);
/* Of these beginnings the ones that hold the rare byte, and perhaps more. */
uint64_t log_match_ends_rare(const struct log_match *m, uint64_t ends);
/* Whether these bytes begin inside of the text and hold its rare byte, so that it may
 * have begun in bytes that are not at hand, as they do not. */
bool log_match_begins_inside(const struct log_match *m, const uint8_t *p, size_t n);
/* Whether one of these beginnings goes on in these bytes, or may behind them. */
bool log_match_goes_on(const struct log_match *m, uint64_t ends, const uint8_t *p,
                       size_t n);

#endif
