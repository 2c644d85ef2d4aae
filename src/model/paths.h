/*
 * Placeholders and paths of tasks (reference of jobs, section 5). The server resolves
 * what is known at submit, the worker the rest, the client repeats both for display.
 */
#ifndef HQ_MODEL_PATHS_H
#define HQ_MODEL_PATHS_H

#include "model/spec.h"

/* What placeholders stand for. */
struct path_context {
    uint32_t job;
    const char *submit_dir;
    const char *server_uid;
    bool task; /* task_id and instance are known */
    uint32_t task_id;
    uint32_t instance;
    const struct group_extra *axes; /* workflow: %{axis} too; NULL: none */
    uint32_t axis_index;            /* index of the task in its group */
};

/*
 * Replaces %{NAME} by what the context knows; everything else stays as it is. `cwd` is
 * the value of %{CWD}, NULL where that name means nothing. `quote`: values of axes
 * become one word of a shell.
 */
void placeholders_expand(const char *text, const struct path_context *ctx,
                         const char *cwd, bool quote, struct buf *out);
/* Names in the text that are not among the `known` ones (NULL-terminated), each once,
 * joined with ", "; the number of them. */
size_t placeholders_unknown(const char *text, const char *const *known,
                            struct buf *out);
bool placeholders_contain(const char *text, const char *name);

struct task_paths {
    char *cwd;
    char *out, *err; /* NULL unless the channel goes to a file */
};
/* Malloc'ed strings. 0 or ERR_NOMEM. Without a task a directory that only tasks can
 * complete stays relative, and paths that begin with it keep their %{CWD}. */
int task_paths_resolve(const struct task_body *body, const struct path_context *ctx,
                       struct task_paths *paths) MUST_CHECK;
void task_paths_release(struct task_paths *p);
/* Appends a path of a resolved array as it is shown: with the directory filled in. */
void stdio_show_path(const char *path, const char *cwd, struct buf *out);
/* The stream's path, absolute unless the submit directory is not. */
char *stream_path_resolve(const char *stream, const struct path_context *ctx);

/* Where the channel really goes: DEFAULT decided by whether there is a stream. */
enum stdio_kind stdio_effective(const struct task_body *body,
                                const struct stdio_spec *s);
#define STDOUT_DEFAULT_PATH "%{CWD}/job-%{JOB_ID}/%{TASK_ID}.stdout"
#define STDERR_DEFAULT_PATH "%{CWD}/job-%{JOB_ID}/%{TASK_ID}.stderr"

#endif
