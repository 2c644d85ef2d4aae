/*
 * What the keys of a task mean, for workflows and job files alike: values are decoded
 * from nodes (functions for conf_field.decode), gathered in a struct task_keys, and
 * made a task body. Memory of a struct task_keys belongs to the document.
 *
 * Keys are inherited by copying: a task starts with the keys of `defaults` and decodes
 * its own over them. Environment and request are merged and so keep both sides.
 */
#ifndef HQ_SUBMIT_TASK_KEYS_H
#define HQ_SUBMIT_TASK_KEYS_H

#include "base/strmap.h"
#include "conf/conf.h"
#include "model/spec.h"

#define NODES_NOT_GIVEN UINT32_MAX
#define WEIGHT_NOT_GIVEN 0u
#define TIME_NOT_GIVEN UINT64_MAX

/* Keys that say which resources are needed, of one map. */
struct request_keys {
    const struct conf_node *cpus;      /* scalar */
    const struct conf_node *resources; /* map */
    const struct conf_node *nodes_at;
    uint32_t nodes;
    uint64_t weight;
    uint64_t min_time_ns;
    const struct conf_node *variants; /* list of maps; excludes the others */
};

#define REQUEST_KEYS_INIT                                       \
    {                                                           \
        .nodes = NODES_NOT_GIVEN, .min_time_ns = TIME_NOT_GIVEN \
    }

struct key_text {
    const char *text; /* NULL: not given */
    const struct conf_node *at;
};

struct key_stdio {
    uint8_t kind; /* enum stdio_kind */
    bool rm_if_finished;
    const char *path;
    const struct conf_node *at;
};

struct key_input {
    const uint8_t *data; /* NULL: not given */
    size_t n;
};

struct task_keys {
    /* Which tasks there are and what they run; never inherited. */
    const struct conf_node *run;
    const struct conf_node *needs;
    const struct conf_node *matrix;
    const struct conf_node *array;
    const struct conf_node *each_line;
    const struct conf_node *each_json;
    const struct conf_node *entries;
    /* How they run. */
    const struct conf_node *env;
    const struct conf_node *env_base; /* of the defaults */
    struct key_text cwd;
    struct key_stdio out, err;
    struct key_input input;
    struct key_text stream, log; /* at most one is given */
    bool log_replace;
    bool task_dir;
    bool keep_tail;
    uint64_t max_output, max_job_output;
    int pin;                        /* enum pin_mode */
    int membind;                    /* enum membind_mode */
    const struct conf_node *pin_at; /* of this map, not inherited */
    int32_t priority;
    uint32_t crash_limit;
    uint64_t time_limit_ns;
    struct request_keys request;
    struct request_keys request_base; /* of the defaults */
};

void task_keys_init(struct task_keys *k);
/* The start of a task whose defaults are *base. */
void task_keys_inherit(struct task_keys *k, const struct task_keys *base);

/* ---- values: functions for CONF_AS_CALL and the member they fill ---- */

/* uint64_t, in ns. Job files have the form with units only. */
int key_decode_duration(struct conf_doc *doc, const struct conf_node *value,
                        const struct conf_field *field, void *member, void *user,
                        struct error *err) MUST_CHECK;
/* The same for limits, where 0 means none: a limit of 0 becomes 1 ns. */
int key_decode_limit(struct conf_doc *doc, const struct conf_node *value,
                     const struct conf_field *field, void *member, void *user,
                     struct error *err) MUST_CHECK;
/* uint32_t */
int key_decode_crash_limit(struct conf_doc *doc, const struct conf_node *value,
                           const struct conf_field *field, void *member, void *user,
                           struct error *err) MUST_CHECK;
/* struct task_keys as a whole: max_output and keep_tail. */
int key_decode_max_output(struct conf_doc *doc, const struct conf_node *value,
                          const struct conf_field *field, void *member, void *user,
                          struct error *err) MUST_CHECK;
/* uint64_t, in bytes */
int key_decode_size(struct conf_doc *doc, const struct conf_node *value,
                    const struct conf_field *field, void *member, void *user,
                    struct error *err) MUST_CHECK;
/* struct key_text: a text that is not empty. */
int key_decode_text(struct conf_doc *doc, const struct conf_node *value,
                    const struct conf_field *field, void *member, void *user,
                    struct error *err) MUST_CHECK;
/* struct key_stdio: a text or a map. The text is that of the options of `hq submit`
 * unless field->arg is set: then it is "none" or a path. */
int key_decode_stdio(struct conf_doc *doc, const struct conf_node *value,
                     const struct conf_field *field, void *member, void *user,
                     struct error *err) MUST_CHECK;
/* struct key_input: bytes in base64. */
int key_decode_base64(struct conf_doc *doc, const struct conf_node *value,
                      const struct conf_field *field, void *member, void *user,
                      struct error *err) MUST_CHECK;
/* uint64_t, in 1/10000 */
int key_decode_weight(struct conf_doc *doc, const struct conf_node *value,
                      const struct conf_field *field, void *member, void *user,
                      struct error *err) MUST_CHECK;
/* struct task_keys as a whole: pin and pin_at. */
int key_decode_pin(struct conf_doc *doc, const struct conf_node *value,
                   const struct conf_field *field, void *member, void *user,
                   struct error *err) MUST_CHECK;
/* struct request_keys: the number of nodes and where it stands. */
int key_decode_nodes(struct conf_doc *doc, const struct conf_node *value,
                     const struct conf_field *field, void *member, void *user,
                     struct error *err) MUST_CHECK;

extern const char *const key_membind_names[]; /* enum membind_mode, NULL-ended */

/* What the picture of a small grammar (base/syntax.h) says in its last line; "" if the
 * text is no such picture. */
const char *picture_reason(const char *text, char *out, size_t size);

/* ---- requests (request_keys.c) ---- */

/* One amount: a text of the request grammar, or a number. */
int request_amount_decode(const struct conf_doc *doc, const struct conf_node *value,
                          enum request_policy *policy, uint64_t *amount,
                          struct error *err) MUST_CHECK;
/* The variants of a list of maps; `schema` decodes each into a struct request_keys. */
int request_decode_variants(struct conf_doc *doc, const struct conf_node *list,
                            const struct conf_schema *schema, struct request *out,
                            struct error *err) MUST_CHECK;
/*
 * The request of a task: its own keys over those of the defaults. Own variants, or any
 * own key over variants of the defaults, replace everything; `nodes` and `cpus` drop
 * each other. One cpu is added where no cpus are asked for.
 */
int request_merge(struct conf_doc *doc, const struct task_keys *k,
                  const struct conf_schema *schema, struct request *out,
                  struct error *err) MUST_CHECK;
/* Whether the task takes whole nodes; pinning then means nothing. */
bool request_is_gang(const struct task_keys *k);

/* ---- bodies ---- */

/*
 * What k says as a body; the schema is that of the variants of a request. Shell and
 * placeholders of the arguments are left to the caller.
 */
int task_body_make(struct conf_doc *doc, const struct task_keys *k,
                   const struct conf_schema *variant_schema, struct task_body *body,
                   struct error *err) MUST_CHECK;

/* The bodies of a submit, each kept once. */
struct body_set {
    struct strmap *known; /* encoded body -> index + 1 */
    struct buf bytes;
};

int body_set_init(struct body_set *set, struct error *err) MUST_CHECK;
void body_set_release(struct body_set *set);
/* Takes *body in any case; *index is its place in s->bodies. */
int body_set_add(struct body_set *set, struct submit *s, struct task_body *body,
                 uint32_t *index, struct error *err) MUST_CHECK;

#endif
