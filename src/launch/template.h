/*
 * Templates inside the launcher, and how a task's own words and variables are laid over
 * them to give what exec needs. Private to this folder.
 */
#ifndef HQ_LAUNCH_TEMPLATE_H
#define HQ_LAUNCH_TEMPLATE_H

#include "launch/envset.h"
#include "launch/record.h"
#include "launch/spawn.h"

/* Immutable and counted: tasks refer to it from several threads. */
struct template
{
    atomic_uint refs;
    struct spec_view spec; /* points into bytes */
    struct envset env;     /* base environment and that of the template */
    size_t path_at;        /* PATH in env; env.n: not set */
    const char **argv;
    int input_fd; /* sealed memory file with the input; -1: none */
    char input_path[32];
    uint8_t bytes[];
};

/* Arrays that grow to the largest task of a thread. */
struct scratch {
    const char **words;
    size_t cap_words;
    const char **vars;
    size_t cap_vars;
    int input_fd; /* of the task at hand, -1: none */
    char input_path[32];
};

/* NULL: out of memory or descriptors. The body of a REQUEST_TEMPLATE behind the id. */
struct template *template_create(char *const *base_env, struct span body);
struct template *template_hold(struct template *t);
void template_drop(struct template *t); /* NULL is fine */

void scratch_init(struct scratch *s);
void scratch_release(struct scratch *s);
/* Closes what order_build opened for one task. */
void scratch_reset(struct scratch *s);

/*
 * Fills *order (but for pipes) from the template and the task's own spec. It points
 * into both and into the scratch. LAUNCH_STEP_NONE, or what failed with errno in *sys.
 */
enum launch_step order_build(const struct template *t, const struct spec_view *own,
                             struct scratch *s, struct spawn_order *order, int *sys);
/* Makes the directories the order needs, in the order of the steps. */
enum launch_step order_make_dirs(const struct spawn_order *order, int *sys);

#endif
