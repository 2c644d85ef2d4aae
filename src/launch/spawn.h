/*
 * Starting one process with vfork semantics: the child borrows the memory of the
 * launcher and the calling thread sleeps until it has executed the program or failed,
 * so the cost does not depend on the size of the launcher and errors come back through
 * plain memory. The child inherits the memory policy of the calling thread.
 * Private to this folder.
 */
#ifndef HQ_LAUNCH_SPAWN_H
#define HQ_LAUNCH_SPAWN_H

#include <limits.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include "launch/binding.h"

/* What is the same for every task of the launcher. */
struct spawn_context {
    pid_t launcher;
    int null_fd; /* /dev/null for writing; 0 and 1 of the launcher are it, too */
    bool limit_changed;
    struct rlimit files; /* the limit of descriptors as the worker had it */
};

/* Shared with the child even where vfork is not available. */
struct spawn_result {
    atomic_int pid; /* set by the child first thing; 0 before */
    int step;       /* enum launch_step, 0: executed */
    int sys;
};

/* Memory for the starts of one thread. */
struct spawn_area {
    struct spawn_result *result;
    char *stack; /* of the child */
    char file[PATH_MAX];
};

struct spawn_output {
    enum launch_output_kind kind; /* never DEFAULT */
    const char *path;
    int fd; /* PIPE: write end; stays open here */
};

/* Everything is borrowed; argv[-1] and argv[0] may be overwritten. */
struct spawn_order {
    const char **argv; /* NULL-terminated, at least one word, writable slot in front */
    const char **envp;
    const char *path;  /* value of PATH in envp, or NULL */
    const char *cwd;   /* or NULL */
    const char *input; /* a path to open as standard input; NULL: /dev/null */
    int input_fd;      /* the descriptor behind that path, else -1 */
    struct spawn_output out, err;
    bool err_is_out;            /* one open file for both */
    const struct binding *mask; /* CPUs to take; NULL: those of the calling thread */
    bool session;               /* its own, not only its own process group */
};

bool spawn_area_init(struct spawn_area *a) MUST_CHECK;
void spawn_area_release(struct spawn_area *a);

/*
 * The pid, with *step 0: the program was executed. Else *step and *sys tell the
 * failure; the pid is then -1 or that of a child that is about to exit and must be
 * reaped.
 */
pid_t spawn_process(const struct spawn_context *ctx, struct spawn_area *a,
                    const struct spawn_order *order, enum launch_step *step,
                    int *sys) MUST_CHECK;

#endif
