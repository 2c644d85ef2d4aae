#include "cli/workflow_plan.h"

#include <stdlib.h>
#include "base/table.h"
#include "cli/job_json.h"
#include "cli/job_text.h"

#define CELL_MAX 60 /* bytes of a cell with the names of other tasks */

static int group_print_ids(const struct submit *s, const struct task_group *g,
                           struct buf *out)
{
    struct idset ids = IDSET_INIT;
    int rc = group_ids(s, g, &ids);
    if (rc == 0)
        idset_print(&ids, out);
    idset_release(&ids);
    return rc;
}

static const char *group_name(const struct submit *s, const struct task_group *g)
{
    const char *name = submit_text(s, g->name);
    return name ? name : "";
}

/* "build, sweep (each)" */
static void print_needs(const struct submit *s, const struct task_group *g,
                        struct buf *out)
{
    struct buf all = BUF_INIT(BUF_MAX_DEFAULT);
    for (uint32_t i = 0; i < g->n_needs && all.len <= CELL_MAX; i++) {
        const struct need *need = &s->needs[g->needs + i];
        if (i)
            buf_puts(&all, ", ");
        switch ((enum need_kind)need->kind) {
        case NEED_GROUP:
            buf_puts(&all, group_name(s, &s->groups[need->value]));
            break;
        case NEED_EACH:
            buf_printf(&all, "%s (each)", group_name(s, &s->groups[need->value]));
            break;
        case NEED_TASK:
            buf_printf(&all, "%u", need->value);
            break;
        }
    }
    (void)print_cut(buf_cstr(&all), CELL_MAX, out);
    out->failed |= all.failed;
    buf_release(&all);
}

/* --- text --------------------------------------------------------------- */

static int print_row(const struct submit *s, const struct task_group *g,
                     struct table *t)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT), ids = BUF_INIT(BUF_MAX_DEFAULT);
    table_cell(t, group_name(s, g));
    table_cellf(t, "%u", g->count);
    int rc = group_print_ids(s, g, &ids);
    (void)print_cut(buf_cstr(&ids), CELL_MAX, &text);
    table_cell(t, s->auto_ids ? "new" : buf_cstr(&text));
    buf_clear(&text);
    print_needs(s, g, &text);
    table_cell(t, buf_cstr(&text));
    buf_clear(&text);
    print_request(&s->bodies[g->body].request, &text);
    table_cell(t, buf_cstr(&text));
    buf_release(&text);
    buf_release(&ids);
    return rc;
}

static void print_total(const struct submit *s, struct output *out)
{
    uint64_t n = submit_task_count(s);
    output_printf(out, "%llu task%s would be submitted ", (unsigned long long)n,
                  n == 1 ? "" : "s");
    if (s->job)
        output_printf(out, "to job %u\n", s->job);
    else
        output_printf(out, "as job '%s'\n", s->name);
}

static int print_table(const struct submit *s, struct output *out, struct error *err)
{
    static const char *const heads[] = {"Task", "Count", "Ids", "Needs", "Resources"};
    struct table t;
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    table_init(&t, TABLE_HORIZONTAL, ARRAY_SIZE(heads), out->colour);
    table_right(&t, 1);
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        table_head(&t, heads[i]);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->n_groups; i++)
        rc = print_row(s, &s->groups[i], &t);
    if (rc == 0)
        rc = table_render(&t, &text);
    if (rc == 0) {
        output_write(out, text.data, text.len);
        print_total(s, out);
    }
    table_release(&t);
    buf_release(&text);
    return rc ? error_nomem(err) : 0;
}

/* --- JSON --------------------------------------------------------------- */

static void json_needs(struct json *j, const struct submit *s,
                       const struct task_group *g)
{
    json_begin_array(j);
    for (uint32_t i = 0; i < g->n_needs; i++) {
        const struct need *need = &s->needs[g->needs + i];
        json_begin_object(j);
        json_kstr(j, "kind", need->kind == NEED_EACH ? "each" : "all");
        if (need->kind == NEED_TASK)
            json_kuint(j, "task", need->value);
        else
            json_kstr(j, "task", group_name(s, &s->groups[need->value]));
        json_end_object(j);
    }
    json_end_array(j);
}

static void json_axes(struct json *j, const struct group_extra *extra)
{
    char number[AXIS_NUMBER_SIZE];
    json_begin_array(j);
    for (size_t a = 0; extra && a < extra->n_axes; a++) {
        const struct axis *axis = &extra->axes[a];
        json_begin_object(j);
        json_kstr(j, "name", axis->name);
        json_key(j, "values");
        json_begin_array(j);
        for (size_t i = 0; i < axis->n_values; i++)
            json_str(j, axis_value(axis, i, number));
        json_end_array(j);
        json_end_object(j);
    }
    json_end_array(j);
}

static int json_group(struct json *j, const struct submit *s,
                      const struct task_group *g)
{
    struct buf ids = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = group_print_ids(s, g, &ids);
    json_begin_object(j);
    json_key(j, "axes");
    json_axes(j, g->extra ? &s->extras[g->extra - 1] : NULL);
    json_kuint(j, "count", g->count);
    json_kstr(j, "ids", s->auto_ids ? NULL : buf_cstr(&ids));
    json_kstr(j, "name", submit_text(s, g->name));
    json_key(j, "needs");
    json_needs(j, s, g);
    json_key(j, "task");
    json_task_body(j, s, g, false);
    json_end_object(j);
    buf_release(&ids);
    return rc;
}

static int print_json(const struct submit *s, struct output *out, struct error *err)
{
    struct json *j = output_json(out);
    int rc = 0;
    json_begin_object(j);
    if (s->max_fails < 0)
        json_knull(j, "max_fails");
    else
        json_kint(j, "max_fails", s->max_fails);
    json_kstr(j, "name", s->name);
    json_kuint(j, "task_count", submit_task_count(s));
    json_key(j, "tasks");
    json_begin_array(j);
    for (size_t i = 0; rc == 0 && i < s->n_groups; i++)
        rc = json_group(j, s, &s->groups[i]);
    json_end_array(j);
    json_end_object(j);
    output_end_json(out);
    return rc ? error_nomem(err) : 0;
}

int workflow_print_plan(const struct submit *s, struct output *out, struct error *err)
{
    switch (out->mode) {
    case OUTPUT_CLI:
        return print_table(s, out, err);
    case OUTPUT_JSON:
        return print_json(s, out, err);
    case OUTPUT_QUIET:
        output_printf(out, "%llu\n", (unsigned long long)submit_task_count(s));
        return 0;
    }
    HQ_ASSERT(false);
    return ERR_INVALID;
}
