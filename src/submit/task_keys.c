#include "submit/task_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/base64.h"
#include "base/duration.h"
#include "base/text.h"
#include "submit/fields.h"

static const char *const pin_names[] = {
    [PIN_NONE] = "none", [PIN_TASKSET] = "taskset", [PIN_OMP] = "omp", NULL};
const char *const key_membind_names[] = {[MEMBIND_PREFERRED] = "preferred",
                                         [MEMBIND_OFF] = "off",
                                         [MEMBIND_STRICT] = "strict",
                                         NULL};

void task_keys_init(struct task_keys *k)
{
    *k = (struct task_keys){.crash_limit = CRASH_LIMIT_DEFAULT,
                            .request = REQUEST_KEYS_INIT,
                            .request_base = REQUEST_KEYS_INIT};
}

void task_keys_inherit(struct task_keys *k, const struct task_keys *base)
{
    *k = *base;
    k->env_base = base->env;
    k->env = NULL;
    k->request_base = base->request;
    k->request = (struct request_keys)REQUEST_KEYS_INIT;
    k->pin_at = NULL;
}

/* --- values ------------------------------------------------------------- */

static bool is_toml(const struct conf_doc *doc)
{
    return conf_format(doc) == CONF_TOML;
}

/* The text of a scalar; in job files texts alone are texts. */
static const char *scalar_text(const struct conf_doc *doc,
                               const struct conf_node *value)
{
    bool fits = is_toml(doc) ? value->kind == CONF_STRING
                             : conf_is_scalar(value) && value->kind != CONF_NULL;
    return fits && strlen(value->text) == value->n ? value->text : NULL;
}

const char *picture_reason(const char *text, char *out, size_t size)
{
    const char *reason = "", *next = text;
    while ((next = strstr(next, "--- ")) != NULL)
        reason = next += strlen("--- ");
    size_t n = MIN(strcspn(reason, "\n"), size - 1);
    memcpy(out, reason, n);
    out[n] = 0;
    return out;
}

int key_decode_duration(struct conf_doc *doc, const struct conf_node *value,
                        const struct conf_field *field, void *member, void *user,
                        struct error *err)
{
    (void)field;
    (void)user;
    const char *text = scalar_text(doc, value);
    int rc = !text          ? ERR_PARSE
             : is_toml(doc) ? duration_parse_units(text, member, err)
                            : duration_parse(text, member, err);
    if (rc == 0)
        return 0;
    return conf_expected(doc, value, err,
                         is_toml(doc) ? "a duration such as \"1h 30m\" or \"90s\""
                                      : "a duration such as 90s, 1h 30m or 01:30:00");
}

int key_decode_limit(struct conf_doc *doc, const struct conf_node *value,
                     const struct conf_field *field, void *member, void *user,
                     struct error *err)
{
    uint64_t *limit_ns = member;
    int rc = key_decode_duration(doc, value, field, member, user, err);
    if (rc == 0)
        *limit_ns = MAX(*limit_ns, DURATION_ZERO_NS);
    return rc;
}

int key_decode_crash_limit(struct conf_doc *doc, const struct conf_node *value,
                           const struct conf_field *field, void *member, void *user,
                           struct error *err)
{
    (void)field;
    (void)user;
    static const char expected[] =
        "a number from 1 to 65535, never-restart or unlimited";
    const char *text = value->kind == CONF_INT ? value->text : scalar_text(doc, value);
    if (!text)
        return conf_expected(doc, value, err, expected);
    int rc = crash_limit_parse(text, member, err);
    return rc ? conf_locate(doc, value, err) : 0;
}

int key_decode_max_output(struct conf_doc *doc, const struct conf_node *value,
                          const struct conf_field *field, void *member, void *user,
                          struct error *err)
{
    (void)field;
    (void)user;
    struct task_keys *k = member;
    const char *text = scalar_text(doc, value);
    if (!text)
        return conf_expected(doc, value, err, "a size such as 100MiB or 100MiB:tail");
    int rc = output_limit_parse(text, &k->max_output, &k->keep_tail, err);
    return rc ? conf_locate(doc, value, err) : 0;
}

int key_decode_size(struct conf_doc *doc, const struct conf_node *value,
                    const struct conf_field *field, void *member, void *user,
                    struct error *err)
{
    (void)field;
    (void)user;
    const char *text = scalar_text(doc, value);
    if (!text)
        return conf_expected(doc, value, err, "a size such as 100MiB");
    return text_parse_size(text, member, err) ? conf_locate(doc, value, err) : 0;
}

int key_decode_text(struct conf_doc *doc, const struct conf_node *value,
                    const struct conf_field *field, void *member, void *user,
                    struct error *err)
{
    (void)field;
    (void)user;
    struct key_text *out = member;
    const char *text = scalar_text(doc, value);
    if (!text)
        return conf_expected(doc, value, err, is_toml(doc) ? "a string" : "a text");
    if (!*text && !is_toml(doc))
        return conf_fail(doc, value, err, "this text cannot be empty");
    *out = (struct key_text){text, value};
    return 0;
}

int key_decode_base64(struct conf_doc *doc, const struct conf_node *value,
                      const struct conf_field *field, void *member, void *user,
                      struct error *err)
{
    (void)field;
    (void)user;
    struct key_input *input = member;
    const char *text = scalar_text(doc, value);
    if (!text)
        return conf_expected(doc, value, err, "bytes in base64");
    uint8_t *bytes = conf_alloc(doc, BASE64_BYTES_MAX(value->n) + 1);
    size_t n;
    if (!bytes)
        return error_nomem(err);
    if (!base64_decode(text, value->n, bytes, &n))
        return conf_fail(doc, value, err, "this is no base64");
    *input = (struct key_input){bytes, n};
    return 0;
}

int key_decode_weight(struct conf_doc *doc, const struct conf_node *value,
                      const struct conf_field *field, void *member, void *user,
                      struct error *err)
{
    (void)field;
    (void)user;
    char text[64];
    double weight;
    if (!conf_float(value, &weight))
        return conf_expected(doc, value, err, is_toml(doc) ? "f64" : "a number");
    (void)snprintf(text, sizeof text, "%.17g", weight);
    return weight_parse(text, member, err) ? conf_locate(doc, value, err) : 0;
}

int key_decode_pin(struct conf_doc *doc, const struct conf_node *value,
                   const struct conf_field *field, void *member, void *user,
                   struct error *err)
{
    (void)field;
    static const struct conf_field as_name = {
        .key = "pin", .type = CONF_AS_ENUM, .names = pin_names};
    struct task_keys *k = member;
    k->pin_at = value;
    int rc = conf_decode_value(doc, value, &as_name, &k->pin, user, err);
    if (rc == 0 && k->pin == PIN_NONE)
        k->pin = PIN_OFF; /* said so, which is more than not said */
    return rc;
}

int key_decode_nodes(struct conf_doc *doc, const struct conf_node *value,
                     const struct conf_field *field, void *member, void *user,
                     struct error *err)
{
    (void)field;
    static const struct conf_field as_number = {.key = "nodes", .type = CONF_AS_U32};
    struct request_keys *k = member;
    k->nodes_at = value;
    return conf_decode_value(doc, value, &as_number, &k->nodes, user, err);
}

/* --- output files ------------------------------------------------------- */

enum on_close { ON_CLOSE_NONE, ON_CLOSE_RM };

struct stdio_map {
    const char *path;
    int on_close; /* enum on_close */
};

static const char *const on_close_names[] = {
    [ON_CLOSE_NONE] = "none", [ON_CLOSE_RM] = "rm-if-finished", NULL};

#define STDIO_FIELDS(on_close_key, on_close_flags)                                  \
    {                                                                               \
        {.key = "path",                                                             \
         .type = CONF_AS_STRING,                                                    \
         .flags = CONF_REQUIRED,                                                    \
         .offset = offsetof(struct stdio_map, path)},                               \
        {                                                                           \
            .key = (on_close_key), .type = CONF_AS_ENUM, .flags = (on_close_flags), \
            .offset = offsetof(struct stdio_map, on_close), .names = on_close_names \
        }                                                                           \
    }

static const struct conf_field stdio_fields[] = STDIO_FIELDS("on-close", 0);
static const struct conf_field stdio_job_fields[] =
    STDIO_FIELDS("on_close", CONF_REQUIRED);
static const struct conf_schema stdio_schema =
    CONF_SCHEMA("an output file", stdio_fields, CONF_DASHES);
static const struct conf_schema stdio_job_schema =
    CONF_SCHEMA("an output file", stdio_job_fields, CONF_IGNORE_UNKNOWN);

static int decode_stdio_map(struct conf_doc *doc, const struct conf_node *value,
                            bool job_file, struct key_stdio *out, struct error *err)
{
    struct stdio_map map = {.on_close = ON_CLOSE_NONE};
    int rc = conf_decode(doc, value, job_file ? &stdio_job_schema : &stdio_schema, &map,
                         NULL, NULL, err);
    if (rc)
        return rc;
    *out = (struct key_stdio){STDIO_FILE, map.on_close == ON_CLOSE_RM, map.path, value};
    return 0;
}

/* The text of --stdout and --stderr. */
static int parse_stdio(struct conf_doc *doc, const struct conf_node *value,
                       const char *text, struct key_stdio *out, struct error *err)
{
    struct stdio_spec spec;
    if (stdio_parse(text, &spec, err))
        return conf_locate(doc, value, err);
    *out = (struct key_stdio){spec.kind, spec.rm_if_finished, NULL, value};
    if (!spec.path)
        return 0;
    size_t size = strlen(spec.path) + 1;
    char *path = conf_alloc(doc, size);
    if (path)
        out->path = memcpy(path, spec.path, size);
    free(spec.path);
    return path ? 0 : error_nomem(err);
}

int key_decode_stdio(struct conf_doc *doc, const struct conf_node *value,
                     const struct conf_field *field, void *member, void *user,
                     struct error *err)
{
    (void)user;
    struct key_stdio *out = member;
    bool job_file = field->arg != NULL;
    const char *text = scalar_text(doc, value);
    if (value->kind == CONF_MAP)
        return decode_stdio_map(doc, value, job_file, out, err);
    if (!text)
        return conf_expected(doc, value, err,
                             is_toml(doc) ? "a string or a table" : "a text or a map");
    if (!job_file)
        return parse_stdio(doc, value, text, out, err);
    bool none = strcmp(text, "none") == 0;
    *out = (struct key_stdio){none ? STDIO_NONE : STDIO_FILE, false, none ? NULL : text,
                              value};
    return 0;
}

/* --- bodies ------------------------------------------------------------- */

static int set_text(char **to, const char *from, struct error *err)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? error_nomem(err) : 0;
}

static int set_stdio(struct stdio_spec *to, const struct key_stdio *from,
                     struct error *err)
{
    to->kind = from->kind;
    to->rm_if_finished = from->rm_if_finished;
    return set_text(&to->path, from->path, err);
}

static int set_env(struct conf_doc *doc, const struct conf_node *env,
                   struct task_body *body, struct error *err)
{
    if (!env)
        return 0;
    if (env->kind != CONF_MAP)
        return conf_expected(doc, env, err, "a map");
    for (uint32_t i = 0; i < env->n; i++) {
        const struct conf_pair *p = &env->pairs[i];
        const char *value = scalar_text(doc, p->value);
        if (!value)
            return conf_expected(doc, p->value, err,
                                 is_toml(doc) ? "a string" : "a text or number");
        if (!p->key->n || memchr(p->key->text, '=', p->key->n) ||
            strlen(p->key->text) != p->key->n)
            return conf_fail(doc, p->key, err,
                             "'%s' cannot be the name of an environment variable",
                             p->key->text);
        if (task_body_setenv(body, p->key->text, value))
            return error_nomem(err);
    }
    return 0;
}

static int set_stream(const struct task_keys *k, struct task_body *body,
                      struct error *err)
{
    const char *path = k->log.text ? k->log.text : k->stream.text;
    body->stream_kind = k->log.text      ? STREAM_FILE
                        : k->stream.text ? STREAM_DIR
                                         : STREAM_NONE;
    body->log_replace = k->log.text && k->log_replace;
    return set_text(&body->stream, path, err);
}

static int set_input(const struct key_input *input, struct task_body *body,
                     struct error *err)
{
    if (!input->data)
        return 0;
    if (input->n > TASK_INPUT_MAX)
        return error_set(err, ERR_TOO_BIG, "standard input is larger than %zu MiB",
                         TASK_INPUT_MAX >> 20);
    body->input = malloc(input->n + 1);
    if (!body->input)
        return error_nomem(err);
    if (input->n)
        memcpy(body->input, input->data, input->n);
    body->n_input = input->n;
    body->has_input = true;
    return 0;
}

static int fill_body(struct conf_doc *doc, const struct task_keys *k,
                     const struct conf_schema *variant_schema, struct task_body *body,
                     struct error *err)
{
    body->task_dir = k->task_dir;
    body->pin = request_is_gang(k) ? PIN_NONE : (uint8_t)k->pin;
    body->membind = (uint8_t)k->membind;
    body->priority = k->priority;
    body->crash_limit = k->crash_limit;
    body->time_limit_ns = k->time_limit_ns;
    body->max_output = k->max_output;
    body->max_job_output = k->max_job_output;
    body->keep_tail = k->keep_tail;
    int rc = set_text(&body->cwd, k->cwd.text, err);
    if (rc == 0)
        rc = set_stdio(&body->out, &k->out, err);
    if (rc == 0)
        rc = set_stdio(&body->err, &k->err, err);
    if (rc == 0)
        rc = set_stream(k, body, err);
    if (rc == 0)
        rc = set_input(&k->input, body, err);
    if (rc == 0)
        rc = set_env(doc, k->env_base, body, err);
    if (rc == 0)
        rc = set_env(doc, k->env, body, err);
    return rc ? rc : request_merge(doc, k, variant_schema, &body->request, err);
}

int task_body_make(struct conf_doc *doc, const struct task_keys *k,
                   const struct conf_schema *variant_schema, struct task_body *body,
                   struct error *err)
{
    task_body_init(body);
    int rc = fill_body(doc, k, variant_schema, body, err);
    if (rc)
        task_body_release(body);
    return rc;
}

int body_set_init(struct body_set *set, struct error *err)
{
    *set = (struct body_set){strmap_create(), BUF_INIT(BUF_MAX_DEFAULT)};
    return set->known ? 0 : error_nomem(err);
}

void body_set_release(struct body_set *set)
{
    strmap_destroy(set->known);
    buf_release(&set->bytes);
    *set = (struct body_set){0};
}

static int add_body(struct body_set *set, struct submit *s, struct task_body *body,
                    uint32_t *index, struct error *err)
{
    const char *key = buf_cstr(&set->bytes);
    if (set->bytes.failed)
        return error_set(err, ERR_TOO_BIG, "the description of a task is too large");
    uintptr_t known = (uintptr_t)strmap_get(set->known, key, set->bytes.len);
    if (known) {
        *index = (uint32_t)(known - 1);
        return 0;
    }
    *index = submit_add_body(s, body);
    uintptr_t value = (uintptr_t)*index + 1;
    if (*index == UINT32_MAX ||
        strmap_add(set->known, key, set->bytes.len, (void *)value))
        return error_nomem(err);
    return 0;
}

int body_set_add(struct body_set *set, struct submit *s, struct task_body *body,
                 uint32_t *index, struct error *err)
{
    buf_clear(&set->bytes);
    task_body_encode(body, &set->bytes);
    int rc = add_body(set, s, body, index, err);
    task_body_release(body);
    return rc;
}
