/*
 * struct args: what the parser found, asked for by name. Asking for something that the
 * command does not declare is a bug in the command and aborts. Values are borrowed and
 * live as long as the arguments.
 *
 * A value comes from the command line, else from the option's environment variable,
 * else it is the option's default. Values have passed the option's validator.
 */
#ifndef HQ_ARGS_ARGS_H
#define HQ_ARGS_ARGS_H

#include "args/cmd.h"

enum args_source { ARGS_NONE, ARGS_DEFAULT, ARGS_ENV, ARGS_LINE };

struct args_list {
    const char *const *items;
    size_t n;
};

/* The command that is to run, and its words: "hq job list". */
const struct cmd *args_cmd(const struct args *a);
const char *args_path(const struct args *a);
/* Value of an option or positional; NULL when there is none. The last, if repeated. */
const char *args_str(const struct args *a, const char *name);
/* Whether a switch is on. */
bool args_flag(const struct args *a, const char *name);
/* All values of a repeated option or of a positional. */
struct args_list args_list(const struct args *a, const char *name);
/* Whether it was given by the user: on the command line or by its variable. */
bool args_given(const struct args *a, const char *name);
enum args_source args_source(const struct args *a, const char *name);
/* Whether the command declares it at all. */
bool args_declared(const struct args *a, const char *name);

/* Values that the validator has checked already, as numbers; `absent` when not given.
 */
uint32_t args_u32(const struct args *a, const char *name, uint32_t absent);
int32_t args_i32(const struct args *a, const char *name, int32_t absent);
uint64_t args_duration_ns(const struct args *a, const char *name, uint64_t absent);
/* 0 when it was not given; else at least DURATION_ZERO_NS. */
uint64_t args_limit_ns(const struct args *a, const char *name);

void args_destroy(struct args *a);

#endif
