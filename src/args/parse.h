/*
 * The command-line parser. Words are read from left to right; the first mistake is
 * reported, with the texts of the command-line contract.
 */
#ifndef HQ_ARGS_PARSE_H
#define HQ_ARGS_PARSE_H

#include "args/args.h"

enum parse_result {
    PARSE_OK,   /* *args is set */
    PARSE_HELP, /* `text` is for standard output; exit status 0 */
    PARSE_USAGE /* `text` is for standard error; exit status 2 */
};

struct parse_mode {
    const char *path; /* words that name the program in texts: "hq" */
    unsigned exclude; /* options with one of these flags count as unknown */
    bool bare;        /* no help and no environment */
};

/*
 * Parses the words behind the program's name. The texts end with a newline. *args
 * belongs to the caller (args_destroy) and borrows `words`.
 */
enum parse_result parse_words(const struct cmd *root, const struct parse_mode *mode,
                              size_t n, const char *const *words, struct args **args,
                              struct buf *text) MUST_CHECK;

#endif
