/* How many tasks a task of the file stands for: matrix, array, entries. */
#include <stdlib.h>
#include "base/xmem.h"
#include "submit/decimal.h"
#include "submit/entries.h"
#include "submit/workflow_impl.h"

#define AXIS_VALUES_MAX (1u << 20) /* values of an axis that are kept as texts */
#define REASON_MAX 128
#define ARRAY_AXIS "array"

/* --- ranges ------------------------------------------------------------- */

/* Ids in the grammar of --array. */
static int read_ids(struct conf_doc *doc, const struct conf_node *value,
                    struct idset *ids, struct error *err)
{
    static const char expected[] = "numbers such as 1-8, 0-100:5 or 1,4,7-9";
    struct error cause = ERROR_INIT;
    char reason[REASON_MAX], shown[REASON_MAX];
    bool fits = value->kind == CONF_INT || value->kind == CONF_STRING;
    if (!fits || !value->n || strlen(value->text) != value->n)
        return conf_expected(doc, value, err, expected);
    if (idset_parse(ids, value->text, &cause) == 0)
        return 0;
    if (cause.code != ERR_PARSE)
        return error_set(err, cause.code, "%s", cause.text);
    return conf_fail(doc, value, err, "expected %s, found %s: %s", expected,
                     conf_describe(value, shown, sizeof shown),
                     picture_reason(cause.text, reason, sizeof reason));
}

static void axis_set_numbers(struct axis *axis, struct idset *ids)
{
    axis->numbers = *ids;
    axis->n_values = idset_count(ids);
    *ids = (struct idset)IDSET_INIT;
}

static int read_decimal(struct conf_doc *doc, const struct conf_node *value,
                        struct decimal *d, struct error *err)
{
    double number;
    if (!conf_float(value, &number))
        return conf_expected(doc, value, err, "a number");
    if (!decimal_parse(value->text, d))
        return conf_fail(doc, value, err,
                         "a range cannot have the bound or step '%s': decimal numbers "
                         "with up to %d digits are possible",
                         value->text, DECIMAL_DIGITS_MAX);
    return 0;
}

/* first, last and step with the same number of digits. */
static int read_bounds(struct conf_doc *doc, const struct conf_node *list,
                       struct decimal bounds[3], struct error *err)
{
    unsigned digits = 0;
    int rc = 0;
    if (list->n != 2 && list->n != 3)
        return conf_fail(doc, list, err,
                         "a range is [first, last] or [first, last, step]");
    bounds[2] = (struct decimal){1, 0};
    for (uint32_t i = 0; rc == 0 && i < list->n; i++)
        rc = read_decimal(doc, list->items[i], &bounds[i], err);
    for (size_t i = 0; i < 3; i++)
        digits = MAX(digits, bounds[i].digits);
    for (size_t i = 0; rc == 0 && i < 3; i++)
        if (!decimal_widen(&bounds[i], digits))
            rc = conf_fail(doc, list, err, "this range needs too many digits");
    return rc;
}

/* The number of values between the bounds, both included. */
static int count_steps(struct conf_doc *doc, const struct conf_node *list,
                       const struct decimal bounds[3], uint64_t *count,
                       struct error *err)
{
    int64_t step = bounds[2].mantissa, distance;
    if (step == 0)
        return conf_fail(doc, list->items[2], err, "the step of a range cannot be 0");
    if (SUB_OVERFLOWS(bounds[1].mantissa, bounds[0].mantissa, &distance) ||
        distance == INT64_MIN)
        return conf_fail(doc, list, err, "this range is too long");
    if (distance != 0 && (distance < 0) != (step < 0))
        return conf_fail(doc, list, err, "this range is empty");
    *count =
        step == INT64_MIN ? 1 : (uint64_t)llabs(distance) / (uint64_t)llabs(step) + 1;
    return 0;
}

static int print_steps(struct axis *axis, const struct decimal bounds[3],
                       struct error *err)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct decimal at = bounds[0];
    size_t n = axis->n_values;
    axis->values = xcalloc(n, sizeof *axis->values);
    for (size_t i = 0; i < n; i++) {
        buf_clear(&text);
        decimal_print(at, &text);
        axis->values[i] = xstrdup(buf_cstr(&text));
        if (i + 1 < n) /* the last step may lead beyond the numbers */
            at.mantissa += bounds[2].mantissa;
    }
    buf_release(&text);
    return text.failed ? error_nomem(err) : 0;
}

static int read_steps(struct conf_doc *doc, const struct conf_node *list,
                      struct axis *axis, struct error *err)
{
    struct decimal bounds[3];
    uint64_t n = 0;
    int rc = read_bounds(doc, list, bounds, err);
    if (rc == 0)
        rc = count_steps(doc, list, bounds, &n, err);
    if (rc)
        return rc;
    int64_t first = bounds[0].mantissa, last = bounds[1].mantissa;
    if (bounds[0].digits == 0 && first >= 0 && last >= first && last <= IDSET_ID_MAX) {
        struct idset ids = IDSET_INIT;
        uint32_t step = (uint32_t)MIN(bounds[2].mantissa, (int64_t)IDSET_ID_MAX);
        if (idset_add(&ids, (uint32_t)first, (uint32_t)n, n > 1 ? step : 1))
            return error_nomem(err);
        axis_set_numbers(axis, &ids);
        return 0;
    }
    if (n > AXIS_VALUES_MAX)
        return conf_fail(doc, list, err, "this range has more than %u values",
                         AXIS_VALUES_MAX);
    axis->n_values = n;
    return print_steps(axis, bounds, err);
}

static int decode_range(struct conf_doc *doc, const struct conf_node *value,
                        const struct conf_field *field, void *member, void *user,
                        struct error *err)
{
    (void)field;
    (void)user;
    struct axis *axis = member;
    if (value->kind == CONF_SEQ)
        return read_steps(doc, value, axis, err);
    struct idset ids = IDSET_INIT;
    int rc = read_ids(doc, value, &ids, err);
    if (rc == 0)
        axis_set_numbers(axis, &ids);
    return rc;
}

/* --- axes --------------------------------------------------------------- */

static const struct conf_field range_fields[] = {{.key = "range",
                                                  .type = CONF_AS_CALL,
                                                  .flags = CONF_REQUIRED,
                                                  .decode = decode_range}};
static const struct conf_schema range_schema =
    CONF_SCHEMA("an axis", range_fields, CONF_DASHES);

static int read_list(struct conf_doc *doc, const struct conf_node *list,
                     struct axis *axis, struct error *err)
{
    if (list->n == 0)
        return conf_fail(doc, list, err, "this list of values is empty");
    axis->values = xcalloc(list->n, sizeof *axis->values);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct conf_node *item = list->items[i];
        if (!conf_is_scalar(item) || item->kind == CONF_NULL ||
            strlen(item->text) != item->n)
            return conf_expected(doc, item, err, "a text or number");
        axis->values[i] = xstrdup(item->text);
        axis->n_values = i + 1;
    }
    return 0;
}

int workflow_read_axis(struct conf_doc *doc, const struct conf_node *value,
                       struct axis *axis, struct error *err)
{
    if (value->kind == CONF_SEQ)
        return read_list(doc, value, axis, err);
    if (value->kind == CONF_MAP)
        return conf_decode(doc, value, &range_schema, axis, NULL, NULL, err);
    return conf_expected(doc, value, err,
                         "a list of values or a range as in {range: 1-8}");
}

static int check_axis_name(struct workflow *w, const struct conf_node *name)
{
    static const char *const taken[] = {"JOB_ID",     "TASK_ID",    "INSTANCE_ID",
                                        "SUBMIT_DIR", "SERVER_UID", "CWD"};
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                 "0123456789";
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
        if (strcmp(name->text, taken[i]) == 0)
            return conf_fail(
                w->doc, name, w->err,
                "an axis cannot be named '%s', as the placeholder %%{%s} has "
                "a meaning of its own",
                name->text, name->text);
    if (name->n && strchr(letters, name->text[0]) &&
        strspn(name->text, others) == name->n)
        return 0;
    return conf_fail(w->doc, name, w->err,
                     "'%s' cannot be the name of an axis: letters, digits and '_' are "
                     "possible, the first is not a digit",
                     name->text);
}

static struct axis *add_axis(struct group_extra *extra, const char *name)
{
    extra->axes = xrealloc(extra->axes, (extra->n_axes + 1) * sizeof *extra->axes);
    struct axis *axis = &extra->axes[extra->n_axes++];
    *axis = (struct axis){.name = xstrdup(name)};
    return axis;
}

static int read_matrix(struct workflow *w, const struct conf_node *matrix,
                       struct group_extra *extra, uint64_t *count)
{
    uint64_t product = 1;
    if (matrix->kind != CONF_MAP)
        return conf_expected(w->doc, matrix, w->err, "a map of axes to their values");
    if (matrix->n == 0)
        return conf_fail(w->doc, matrix, w->err, "this matrix has no axes");
    if (matrix->n > AXES_MAX)
        return conf_fail(w->doc, matrix, w->err, "a matrix has at most %d axes",
                         AXES_MAX);
    for (uint32_t i = 0; i < matrix->n; i++) {
        const struct conf_pair *p = &matrix->pairs[i];
        int rc = check_axis_name(w, p->key);
        struct axis *axis = rc ? NULL : add_axis(extra, p->key->text);
        if (rc == 0)
            rc = workflow_read_axis(w->doc, p->value, axis, w->err);
        if (rc)
            return rc;
        if (MUL_OVERFLOWS(product, (uint64_t)axis->n_values, &product) ||
            product > SUBMIT_TASKS_MAX)
            return conf_fail(w->doc, matrix, w->err, "this matrix has too many tasks");
    }
    *count = product;
    return 0;
}

/* --- entries ------------------------------------------------------------ */

static int read_inline(struct workflow *w, const struct conf_node *list,
                       struct group_extra *extra)
{
    if (list->kind != CONF_SEQ)
        return conf_expected(w->doc, list, w->err, "a list of texts");
    for (uint32_t i = 0; i < list->n; i++) {
        const struct conf_node *item = list->items[i];
        if (!conf_is_scalar(item) || item->kind == CONF_NULL)
            return conf_expected(w->doc, item, w->err, "a text or number");
        if (group_extra_add_entry(extra, item->text, item->n))
            return error_nomem(w->err);
    }
    return 0;
}

/* The entries with these numbers, or all; *kept are the numbers that exist. */
static int select_entries(struct workflow *w, const struct entries *all,
                          const struct idset *numbers, struct group_extra *extra,
                          struct idset *kept)
{
    struct idset every = IDSET_INIT, sorted = IDSET_INIT;
    int rc = numbers  ? idset_sorted(&sorted, numbers)
             : all->n ? idset_add(&every, 0, (uint32_t)all->n, 1)
                      : 0;
    struct idset_iter it = IDSET_ITER(numbers ? &sorted : &every);
    for (uint32_t i; rc == 0 && idset_next(&it, &i) && i < all->n;) {
        rc = group_extra_add_entry(extra, all->items[i].p, all->items[i].n);
        if (rc == 0)
            rc = idset_add(kept, i, 1, 1);
    }
    idset_release(&every);
    idset_release(&sorted);
    return rc ? error_nomem(w->err) : 0;
}

static int read_source(struct workflow *w, const struct conf_node *source, bool json,
                       const struct idset *numbers, struct group_extra *extra,
                       struct idset *kept)
{
    struct entries all;
    struct key_text path = {0};
    int rc = key_decode_text(w->doc, source, NULL, &path, NULL, w->err);
    if (rc)
        return rc;
    char *file = workflow_file(w, path.text);
    rc = json ? entries_read_json(file, w->notices, &all, w->err)
              : entries_read_lines(file, w->notices, &all, w->err);
    free(file);
    if (rc) {
        error_prefix(w->err, "cannot read '%s': ", path.text);
        return conf_locate(w->doc, source, w->err);
    }
    if (all.n > SUBMIT_TASKS_MAX)
        rc = conf_fail(w->doc, source, w->err, "this file has too many entries");
    else
        rc = select_entries(w, &all, numbers, extra, kept);
    if (rc == 0 && extra->n_entries == 0)
        rc = conf_fail(w->doc, source, w->err, "'%s' has no %s%s", path.text,
                       json ? "elements" : "lines",
                       numbers && all.n ? " with these numbers" : "");
    entries_release(&all);
    return rc;
}

/* --- all together ------------------------------------------------------- */

struct source {
    const char *key;
    const struct conf_node *value;
};

/* At most one source; an array may only choose among entries. */
static int check_sources(struct workflow *w, const struct task_keys *k)
{
    const struct source sources[] = {{"matrix", k->matrix},
                                     {"each-line", k->each_line},
                                     {"each-json", k->each_json},
                                     {"entries", k->entries}};
    const struct source *first = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
        if (!sources[i].value)
            continue;
        if (first)
            return conf_fail(w->doc, sources[i].value, w->err,
                             "'%s' cannot be used with '%s'", sources[i].key,
                             first->key);
        first = &sources[i];
    }
    if (k->matrix && k->array)
        return conf_fail(w->doc, k->array, w->err,
                         "'array' cannot be used with 'matrix'");
    return 0;
}

/* array, and what it chooses from. The numbers become the axis "array". */
static int read_array(struct workflow *w, const struct task_keys *k,
                      struct group_extra *extra, uint64_t *count)
{
    const struct conf_node *source = k->each_line ? k->each_line : k->each_json;
    struct idset ids = IDSET_INIT, kept = IDSET_INIT;
    int rc = k->array ? read_ids(w->doc, k->array, &ids, w->err) : 0;
    if (rc == 0 && source)
        rc =
            read_source(w, source, !k->each_line, k->array ? &ids : NULL, extra, &kept);
    if (rc == 0 && k->entries)
        rc = read_inline(w, k->entries, extra);
    if (rc == 0 && k->entries && extra->n_entries == 0)
        rc = conf_fail(w->doc, k->entries, w->err, "this list of entries is empty");
    if (rc == 0 && k->entries && k->array && extra->n_entries != idset_count(&ids))
        rc = conf_fail(w->doc, k->entries, w->err,
                       "'array' has %llu numbers, but there are %zu entries",
                       (unsigned long long)idset_count(&ids), extra->n_entries);
    if (rc == 0) {
        *count = k->array && !source ? idset_count(&ids) : extra->n_entries;
        if (k->array)
            axis_set_numbers(add_axis(extra, ARRAY_AXIS), source ? &kept : &ids);
    }
    idset_release(&ids);
    idset_release(&kept);
    return rc;
}

int workflow_read_extent(struct workflow *w, const struct conf_node *task,
                         const struct task_keys *k, uint32_t *count,
                         struct group_extra *extra, bool *used)
{
    uint64_t n = 1;
    int rc = check_sources(w, k);
    *used = k->matrix || k->array || k->each_line || k->each_json || k->entries;
    if (rc == 0 && k->matrix)
        rc = read_matrix(w, k->matrix, extra, &n);
    else if (rc == 0 && *used)
        rc = read_array(w, k, extra, &n);
    if (rc)
        return rc;
    w->n_tasks += n;
    if (w->n_tasks > SUBMIT_TASKS_MAX)
        return conf_fail(w->doc, task, w->err, "from here on there are too many tasks");
    *count = (uint32_t)n;
    return 0;
}
