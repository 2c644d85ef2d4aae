/*
 * Options inside a script: lines "#HQ --option …" of its leading comments, and the
 * interpreter of its first line.
 *
 * Only the first 32 KiB count, up to the first line that is neither empty nor a
 * comment. Words are separated by blanks; a word is "…", or a run without quotes that
 * one "…" may follow directly; \" stands for a quote, and outside of quotes "\ " for a
 * blank.
 */
#ifndef HQ_SUBMIT_DIRECTIVES_H
#define HQ_SUBMIT_DIRECTIVES_H

#include "args/args.h"

#define DIRECTIVES_BYTES_MAX ((size_t)32 * 1024)

struct word_list {
    char **items; /* owned */
    size_t n;
};
void word_list_release(struct word_list *w);

struct directives {
    struct args *args;            /* submit options; never NULL after success */
    struct word_list words;       /* args borrows them */
    struct word_list interpreter; /* words behind "#!" of the first line */
};

/* The options are those of `submit`. Errors start with "Could not parse directives from
 * <name>: ". */
int directives_parse(const struct cmd *submit, const char *name, const void *data,
                     size_t n, struct directives *d, struct error *err) MUST_CHECK;
/* Reads the head of the file. */
int directives_read(const struct cmd *submit, const char *path, struct directives *d,
                    struct error *err) MUST_CHECK;
void directives_release(struct directives *d);

#endif
