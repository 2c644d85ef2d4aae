/* Private to autoalloc: what the adapters share. */
#ifndef HQ_AUTOALLOC_INTERNAL_H
#define HQ_AUTOALLOC_INTERNAL_H

#include "autoalloc/batch.h"

void command_add(struct batch_command *c, const char *word);
/* A word of a directive line: in double quotes when it holds blanks or quotes. */
void directive_word(struct buf *out, const char *word);
/* " -p part": all additional arguments behind the prefix, if there are any. */
void directive_args(struct buf *out, const char *prefix, const struct alloc_words *w);
void print_hms(struct buf *out, uint64_t ns); /* "26:00:00", rounded up */
/* Start command, worker, stop command. */
void worker_line(const struct batch_script *s, const char *manager, struct buf *out);
/* Whether the line needs a shell: it is more than one program with its arguments. */
bool worker_line_needs_shell(const struct batch_script *s);
bool span_has(struct span s, const char *text);
/* The next line of *rest. */
bool next_line(struct span *rest, struct span *line);
/* What a program printed, for people; long output cut. */
void describe_output(struct span s, struct buf *to);
/* ERR_PARSE: what the submit program printed names no allocation. */
int missing_id(struct span out, const char *program, struct error *err);
/* The text without blanks and line ends at both sides. */
struct span span_trim(struct span s);
/* The time, known if its parts can be those of one. */
struct batch_time checked_time(struct batch_time t);
/* Exactly n digits at *p, which moves behind them; -1 when there are none. */
int take_number(const char **p, int n);

#endif
