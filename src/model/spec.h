/*
 * What a submit says: bodies (what tasks share), groups (which tasks there are), needs.
 *
 * A submit adds groups of tasks to a job. All tasks of a group share one body and one
 * argument vector, so an array of a million tasks is one group of 32 bytes; a workflow
 * task with a matrix is one group as well, a single task of a job file a group of one.
 * Text that differs from group to group (arguments, names) lies encoded in one arena,
 * `text`, and is referred to by offset; strings in it end with NUL.
 *
 * The same struct is built by a client, encoded, decoded by the server (journal,
 * memory) and, group by group, by workers.
 */
#ifndef HQ_MODEL_SPEC_H
#define HQ_MODEL_SPEC_H

#include "base/buf.h"
#include "base/idset.h"
#include "model/resource.h"

/* Bytes of standard input. A worker's launcher takes 256 MiB for one task, of which its
 * words, paths and variables may be a part. */
#define TASK_INPUT_MAX ((size_t)240 << 20)
#define SUBMIT_TASKS_MAX 0xfffffff0u /* tasks of one job */
#define SUBMIT_TEXT_MAX 0xfffffff0u  /* bytes of the text arena */
#define AXES_MAX 16
#define ENTRIES_BYTES_MAX ((size_t)1 << 31)
#define CRASH_LIMIT_NEVER_RESTART 0u
#define CRASH_LIMIT_UNLIMITED UINT32_MAX
#define CRASH_LIMIT_DEFAULT 5u

enum stdio_kind {
    STDIO_DEFAULT, /* not given: default path, or streamed when the body has a stream */
    STDIO_NONE,    /* /dev/null */
    STDIO_FILE,
    STDIO_STREAM /* only after resolution on the server */
};

struct stdio_spec {
    uint8_t kind;        /* enum stdio_kind */
    bool rm_if_finished; /* delete the file when the task FINISHED */
    bool append;
    char *path; /* FILE; may hold placeholders */
};

/* NONE: not asked for, the NUMA domains of the task's CPUs; OFF: no binding at all. */
enum pin_mode { PIN_NONE, PIN_TASKSET, PIN_OMP, PIN_OFF };
enum membind_mode { MEMBIND_PREFERRED, MEMBIND_OFF, MEMBIND_STRICT };
enum stream_kind { STREAM_NONE, STREAM_DIR, STREAM_FILE };

struct env_var {
    char *key;
    char *value;
};

/* What the tasks of one or more groups share. Every pointer is owned. */
struct task_body {
    struct env_var *env; /* ascending by key, keys unique */
    size_t n_env;
    char *cwd; /* NULL: the submit directory */
    struct stdio_spec out, err;
    uint8_t *input; /* standard input of every task, or NULL */
    size_t n_input;
    bool has_input;
    bool task_dir;
    bool log_replace;        /* STREAM_FILE: rename a file of another server away */
    bool keep_tail;          /* of output above the limit the last part is kept too */
    uint64_t max_output;     /* streamed bytes of one run; 0: no limit */
    uint64_t max_job_output; /* streamed bytes of the whole job; 0: no limit */
    uint8_t pin;             /* enum pin_mode */
    uint8_t membind;         /* enum membind_mode */
    uint8_t stream_kind;     /* enum stream_kind */
    char *stream;            /* directory or file */
    char *text_view; /* STREAM_FILE: path for the end of the output as text, or NULL */
    int32_t priority;
    uint32_t crash_limit;
    uint64_t time_limit_ns; /* 0: none; a limit of 0 is DURATION_ZERO_NS */
    struct request request;
    bool expand_args; /* %{axis} and %{name} placeholders in arguments are expanded */
    bool shell;       /* argv is one string for sh -c; expansions are shell-quoted */
};

enum need_kind {
    NEED_GROUP, /* every task of that group of this submit finished */
    NEED_EACH,  /* task i of this group needs task i of that group (same size) */
    NEED_TASK   /* the task with this id: of the open job or an earlier group */
};

struct need {
    uint32_t kind;  /* enum need_kind */
    uint32_t value; /* group index in the submit, or task id */
};

/* One axis of a matrix; the last axis runs fastest. */
struct axis {
    char *name;
    char **values; /* NULL: the values are `numbers`, in their order */
    size_t n_values;
    struct idset numbers;
};
#define AXIS_NUMBER_SIZE 12 /* bytes that a number takes as text */

/* What only some groups have. */
struct group_extra {
    struct idset ids; /* ascending; used when the ids are not first_id, first_id+1, … */
    bool has_entries;     /* HQ_ENTRY per task; then n_entries is the group's count */
    uint64_t *entry_ends; /* entry i ends there in entry_data, begins where i-1 ends */
    size_t n_entries, cap_entries;
    struct buf entry_data;
    size_t n_entry_data;
    struct axis *axes;
    size_t n_axes;
};

struct task_group {
    uint32_t first_id;
    uint32_t count;
    uint32_t body;  /* index into bodies */
    uint32_t argv;  /* offset in text: varint count, then strings (submit_argv) */
    uint32_t name;  /* offset in text, 0: no name */
    uint32_t needs; /* first index into needs */
    uint32_t n_needs;
    uint32_t extra; /* index into extras plus 1, 0: none */
};

struct submit {
    uint32_t job;      /* 0: a new job; else attach to this open job */
    char *name;        /* NULL when attaching */
    int64_t max_fails; /* -1: no limit */
    char *submit_dir;
    bool graph; /* shown as "graph" in JSON: job files with [[task]], workflows */
    bool
        auto_ids; /* ids are assigned by the server, after the largest one of the job */
    struct task_body *bodies;
    size_t n_bodies, cap_bodies;
    struct task_group *groups;
    size_t n_groups, cap_groups;
    struct need *needs;
    size_t n_needs, cap_needs;
    struct group_extra *extras;
    size_t n_extras, cap_extras;
    struct buf text; /* offset 0 holds one NUL, so that 0 can mean "none" */
};

/* "name cannot have a newline or a tab" */
int job_name_check(const char *name, struct error *err) MUST_CHECK;
void submit_init(struct submit *s);
void submit_release(struct submit *s);
void task_body_init(struct task_body *b); /* defaults; request stays empty */
void task_body_release(struct task_body *b);
int task_body_copy(struct task_body *to, const struct task_body *from) MUST_CHECK;
/* Sets or replaces one variable, keeping the order. Copies both. */
int task_body_setenv(struct task_body *b, const char *key,
                     const char *value) MUST_CHECK;
void group_extra_init(struct group_extra *e);
void group_extra_release(struct group_extra *e);
/* Copies entry bytes; call once per task in id order. */
int group_extra_add_entry(struct group_extra *e, const void *p, size_t n) MUST_CHECK;

/* Builders; each takes its argument's contents on success and returns the index. They
 * return UINT32_MAX when out of memory or above the maximum. */
uint32_t submit_add_body(struct submit *s, struct task_body *b);
uint32_t submit_add_extra(struct submit *s, struct group_extra *e);
/* Text offsets: argument vector of n words; a name. */
uint32_t submit_add_argv(struct submit *s, const char *const *words, size_t n);
uint32_t submit_add_text(struct submit *s, const char *text);
/* A group of `count` tasks from first_id; body and argv as returned above. */
uint32_t submit_add_group(struct submit *s, const struct task_group *g);
/* A need of the group added last. */
int submit_add_need(struct submit *s, enum need_kind kind, uint32_t value) MUST_CHECK;

/* The words of an argument vector: pointers into text, NULL-terminated array that the
 * caller frees (the words are borrowed). NULL when out of memory. */
char **submit_argv(const struct submit *s, uint32_t argv, size_t *n);
/* The argument vector of an array submit, which is there without any task as well. */
uint32_t submit_array_argv(const struct submit *s);
const char *submit_text(const struct submit *s, uint32_t offset); /* NULL for 0 */
/* Task id of the task at index i (< count) of the group, and back (UINT32_MAX: none).
 */
uint32_t group_id_at(const struct submit *s, const struct task_group *g, uint32_t i);
uint32_t group_index_of(const struct submit *s, const struct task_group *g,
                        uint32_t id);
/* All ids of the group in ascending order, appended to `ids`. */
int group_ids(const struct submit *s, const struct task_group *g,
              struct idset *ids) MUST_CHECK;
uint64_t submit_task_count(const struct submit *s);

/* Bytes of entry i, borrowed. */
struct span group_entry(const struct group_extra *e, uint32_t i);
/* Value index of axis `a` for task i (last axis fastest). */
size_t axis_value_index(const struct group_extra *e, size_t a, uint32_t i);
/* The value of that index: borrowed from the axis, or written to `number`. */
const char *axis_value(const struct axis *axis, size_t index,
                       char number[AXIS_NUMBER_SIZE]);

void task_body_encode(const struct task_body *b, struct buf *out);
int task_body_decode(struct task_body *b, struct cursor *c) MUST_CHECK;
void group_extra_encode(const struct group_extra *e, struct buf *out);
int group_extra_decode(struct group_extra *e, uint32_t count,
                       struct cursor *c) MUST_CHECK;
void submit_encode(const struct submit *s, struct buf *out);
/* Checks every offset, index and count; ERR_CORRUPT names what is wrong. */
int submit_decode(struct submit *s, struct cursor *c, struct error *err) MUST_CHECK;

#endif
