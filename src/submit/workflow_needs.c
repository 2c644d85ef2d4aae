/* needs: which tasks come first. Groups may need later ones; cycles are refused. */
#include "base/text.h"
#include "base/xmem.h"
#include "submit/workflow_impl.h"

/* --- reading ------------------------------------------------------------ */

static const char *suggest_task(struct workflow *w, const char *name)
{
    if (!w->name_list) {
        w->name_list = xcalloc((size_t)w->tasks->n + 1, sizeof *w->name_list);
        for (uint32_t i = 0; i < w->tasks->n; i++)
            w->name_list[i] = w->tasks->pairs[i].key->text;
    }
    return text_suggest(name, w->name_list);
}

static int find_task(struct workflow *w, const struct conf_node *name, uint32_t *task)
{
    uintptr_t known = (uintptr_t)strmap_get(w->names, name->text, name->n);
    if (known) {
        *task = (uint32_t)(known - 1);
        return 0;
    }
    const char *meant = suggest_task(w, name->text);
    return conf_fail(w->doc, name, w->err, "there is no task '%s'%s%s%s", name->text,
                     meant ? ", did you mean '" : "", meant ? meant : "",
                     meant ? "'?" : "");
}

static int add_need(struct workflow *w, uint32_t task, const struct conf_node *name,
                    enum need_kind kind)
{
    uint32_t other = 0;
    int rc = find_task(w, name, &other);
    if (rc)
        return rc;
    if (other == task)
        return conf_fail(w->doc, name, w->err, "task '%s' cannot need itself",
                         name->text);
    const struct each_need each = {task, other, name};
    if (kind == NEED_EACH && !vec_push(&w->each, each))
        return error_nomem(w->err);
    return submit_add_need(w->s, kind, other) ? error_nomem(w->err) : 0;
}

/* The values of {name: VALUE}. */
static int read_kind(struct workflow *w, const struct conf_node *value,
                     enum need_kind *kind)
{
    static const char *const names[] = {"all", "each", NULL};
    static const struct conf_field as_name = {
        .key = "needs", .type = CONF_AS_ENUM, .names = names};
    int each = 0;
    if (value->kind == CONF_MAP) {
        const struct conf_pair *when = conf_get_pair(value, "when");
        if (when)
            return conf_fail(w->doc, when->key, w->err,
                             "key 'when' is reserved for a later version");
    }
    int rc = conf_decode_value(w->doc, value, &as_name, &each, NULL, w->err);
    *kind = each ? NEED_EACH : NEED_GROUP;
    return rc;
}

static int read_map(struct workflow *w, uint32_t task, const struct conf_node *map)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < map->n; i++) {
        enum need_kind kind = NEED_GROUP;
        rc = read_kind(w, map->pairs[i].value, &kind);
        if (rc == 0)
            rc = add_need(w, task, map->pairs[i].key, kind);
    }
    return rc;
}

static int read_item(struct workflow *w, uint32_t task, const struct conf_node *item)
{
    if (item->kind == CONF_MAP)
        return read_map(w, task, item);
    if (!conf_is_scalar(item) || item->kind == CONF_NULL)
        return conf_expected(w->doc, item, w->err, "the name of a task");
    return add_need(w, task, item, NEED_GROUP);
}

int workflow_read_needs(struct workflow *w, uint32_t task,
                        const struct conf_node *needs)
{
    int rc = 0;
    if (!needs)
        return 0;
    if (needs->kind != CONF_SEQ)
        return read_item(w, task, needs);
    for (uint32_t i = 0; rc == 0 && i < needs->n; i++)
        rc = read_item(w, task, needs->items[i]);
    return rc;
}

/* --- checks ------------------------------------------------------------- */

static const char *task_name(const struct workflow *w, uint32_t task)
{
    return w->tasks->pairs[task].key->text;
}

static int check_each(struct workflow *w)
{
    for (size_t i = 0; i < w->each.len; i++) {
        const struct each_need *e = &w->each.data[i];
        uint32_t own = w->s->groups[e->group].count;
        uint32_t other = w->s->groups[e->other].count;
        if (own != other)
            return conf_fail(
                w->doc, e->at, w->err,
                "'each' wants equally many tasks, but '%s' has %u and '%s' "
                "has %u",
                task_name(w, e->group), own, task_name(w, e->other), other);
    }
    return 0;
}

#define SHOWN_CYCLE_MAX 8 /* tasks of a cycle that a message names */

/* Every task left waits for another one that is left: following the first such need
 * ends in a cycle. */
static int fail_cycle(struct workflow *w, const uint32_t *waits, uint32_t start)
{
    const struct submit *s = w->s;
    uint32_t n = w->tasks->n, at = start, length = 0;
    struct buf names = BUF_INIT(BUF_MAX_DEFAULT);
    uint32_t *next = xcalloc(n, sizeof *next);
    bool *passed = xcalloc(n, sizeof *passed);
    for (; !passed[at]; at = next[at]) {
        const struct task_group *g = &s->groups[at];
        passed[at] = true;
        for (uint32_t k = 0; k < g->n_needs; k++) {
            next[at] = s->needs[g->needs + k].value;
            if (waits[next[at]])
                break;
        }
    }
    start = at;
    do {
        if (length++ < SHOWN_CYCLE_MAX)
            buf_printf(&names, "'%s' needs ", task_name(w, at));
        at = next[at];
    } while (at != start);
    if (length > SHOWN_CYCLE_MAX)
        buf_printf(&names, "... (%u more) needs ", length - SHOWN_CYCLE_MAX);
    int rc = conf_fail(w->doc, w->tasks->pairs[start].key, w->err,
                       "the needs of these tasks form a cycle: %s'%s'",
                       buf_cstr(&names), task_name(w, start));
    buf_release(&names);
    free(next);
    free(passed);
    return rc;
}

/* Takes away tasks that need nothing (any more) until only cycles are left. */
static int check_cycles(struct workflow *w)
{
    const struct submit *s = w->s;
    uint32_t n = w->tasks->n, depth = 0, done = 0;
    uint32_t *waits = xcalloc(n, sizeof *waits);
    uint32_t *heads = xcalloc((size_t)n + 1, sizeof *heads);
    uint32_t *fill = xcalloc(n, sizeof *fill);
    uint32_t *stack = xcalloc(n, sizeof *stack);
    uint32_t *targets = xcalloc(s->n_needs + 1, sizeof *targets);
    for (size_t i = 0; i < s->n_needs; i++)
        heads[s->needs[i].value + 1]++;
    for (uint32_t i = 0; i < n; i++)
        heads[i + 1] += heads[i];
    for (uint32_t i = 0; i < n; i++) {
        waits[i] = s->groups[i].n_needs;
        for (uint32_t k = 0; k < waits[i]; k++) {
            uint32_t other = s->needs[s->groups[i].needs + k].value;
            targets[heads[other] + fill[other]++] = i;
        }
        if (waits[i] == 0)
            stack[depth++] = i;
    }
    for (; depth; done++) {
        uint32_t i = stack[--depth];
        for (uint32_t e = heads[i]; e < heads[i + 1]; e++)
            if (--waits[targets[e]] == 0)
                stack[depth++] = targets[e];
    }
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && done < n && i < n; i++)
        if (waits[i])
            rc = fail_cycle(w, waits, i);
    free(waits);
    free(heads);
    free(fill);
    free(stack);
    free(targets);
    return rc;
}

int workflow_check_needs(struct workflow *w)
{
    int rc = check_each(w);
    return rc || w->s->n_needs == 0 ? rc : check_cycles(w);
}
