/* Text helpers: shell words, display width, suggestions, UTF-8. */
#ifndef HQ_BASE_TEXT_H
#define HQ_BASE_TEXT_H

#include "base/buf.h"
#include "base/error.h"

/* Columns the text takes on a terminal; colour sequences count zero. */
size_t text_width(const char *s, size_t n);
/* The first character of s[0 .. n), n > 0, and its columns (0 for control and combining
 * ones): how many bytes it takes. A byte that is no UTF-8 is '?'. */
size_t text_char(const char *s, size_t n, uint32_t *c, size_t *columns);
/* The largest cut <= n bytes that does not split a character. */
size_t text_cut(const char *s, size_t n);
/* Valid UTF-8 copied; every invalid byte sequence as U+FFFD. */
void text_lossy(struct buf *out, const char *s, size_t n);
/* One word that a POSIX shell reads back as s. */
void text_shell_quote(struct buf *out, const char *s, size_t n);
/* Splits like a POSIX shell without expansion. ERR_PARSE on an open quote. The array
 * ends with NULL; text_free_words it. */
int text_shell_split(const char *s, char ***words, size_t *n,
                     struct error *err) MUST_CHECK;
void text_free_words(char **words);
/* The candidate most like `word`, of equals the last, if near enough to be a typo, else
 * NULL. The array ends with NULL. */
const char *text_suggest(const char *word, const char *const *candidates);
/* Decimal u32/u64 with optional '_' between digits; whole text. */
bool text_to_u32(const char *s, uint32_t *out);
bool text_to_u64(const char *s, uint64_t *out);
/* "12 B", "3.50 KiB", "1.25 MiB" as `hq log summary` prints sizes (limit 2048). */
void text_print_size(struct buf *out, uint64_t bytes);
/* Sizes as people write them: "100", "10kB", "1 GiB", "64M" (decimal and binary units).
 */
int text_parse_size(const char *s, uint64_t *bytes, struct error *err) MUST_CHECK;

#endif
