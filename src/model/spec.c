#include "model/spec.h"

#include <stdio.h>
#include <stdlib.h>

#define GROW_MIN 4

/* Makes room for one more element; NULL (and nothing changed) when out of memory. */
static void *grow(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    size_t new_cap = *cap ? *cap * 2 : GROW_MIN, bytes;
    if (MUL_OVERFLOWS(new_cap, size, &bytes))
        return NULL;
    void *p = realloc(array, bytes);
    if (p)
        *cap = new_cap;
    return p;
}

int job_name_check(const char *name, struct error *err)
{
    if (strpbrk(name, "\n\t"))
        return error_set(err, ERR_INVALID, "name cannot have a newline or a tab");
    return 0;
}

void submit_init(struct submit *s)
{
    *s = (struct submit){.max_fails = -1, .text = BUF_INIT(SUBMIT_TEXT_MAX)};
    buf_u8(&s->text, 0);
}

void submit_release(struct submit *s)
{
    free(s->name);
    free(s->submit_dir);
    for (size_t i = 0; i < s->n_bodies; i++)
        task_body_release(&s->bodies[i]);
    free(s->bodies);
    free(s->groups);
    free(s->needs);
    for (size_t i = 0; i < s->n_extras; i++)
        group_extra_release(&s->extras[i]);
    free(s->extras);
    buf_release(&s->text);
    *s = (struct submit){.max_fails = -1};
}

void task_body_init(struct task_body *b)
{
    *b = (struct task_body){.crash_limit = CRASH_LIMIT_DEFAULT};
}

void task_body_release(struct task_body *b)
{
    for (size_t i = 0; i < b->n_env; i++) {
        free(b->env[i].key);
        free(b->env[i].value);
    }
    free(b->env);
    free(b->cwd);
    free(b->out.path);
    free(b->err.path);
    free(b->input);
    free(b->stream);
    free(b->text_view);
    request_release(&b->request);
    task_body_init(b);
}

int task_body_copy(struct task_body *to, const struct task_body *from)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    task_body_encode(from, &b);
    int rc = b.failed ? ERR_NOMEM : 0;
    if (rc == 0) {
        struct cursor c = cursor_make(b.data, b.len);
        rc = task_body_decode(to, &c);
    }
    buf_release(&b);
    return rc;
}

int task_body_setenv(struct task_body *b, const char *key, const char *value)
{
    size_t lo = 0, hi = b->n_env;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(b->env[mid].key, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    char *v = strdup(value);
    if (!v)
        return ERR_NOMEM;
    if (lo < b->n_env && strcmp(b->env[lo].key, key) == 0) {
        free(b->env[lo].value);
        b->env[lo].value = v;
        return 0;
    }
    char *k = strdup(key);
    struct env_var *env = k ? realloc(b->env, (b->n_env + 1) * sizeof *env) : NULL;
    if (!env) {
        free(k);
        free(v);
        return ERR_NOMEM;
    }
    b->env = env;
    memmove(env + lo + 1, env + lo, (b->n_env - lo) * sizeof *env);
    env[lo] = (struct env_var){k, v};
    b->n_env++;
    return 0;
}

void group_extra_init(struct group_extra *e)
{
    *e = (struct group_extra){.ids = IDSET_INIT,
                              .entry_data = BUF_INIT(ENTRIES_BYTES_MAX)};
}

void group_extra_release(struct group_extra *e)
{
    idset_release(&e->ids);
    free(e->entry_ends);
    buf_release(&e->entry_data);
    for (size_t i = 0; i < e->n_axes; i++) {
        for (size_t j = 0; e->axes[i].values && j < e->axes[i].n_values; j++)
            free(e->axes[i].values[j]);
        idset_release(&e->axes[i].numbers);
        free(e->axes[i].values);
        free(e->axes[i].name);
    }
    free(e->axes);
    group_extra_init(e);
}

int group_extra_add_entry(struct group_extra *e, const void *p, size_t n)
{
    void *ends =
        grow(e->entry_ends, e->n_entries, &e->cap_entries, sizeof *e->entry_ends);
    if (!ends)
        return ERR_NOMEM;
    e->entry_ends = ends;
    buf_append(&e->entry_data, p, n);
    if (e->entry_data.failed)
        return ERR_TOO_BIG;
    e->has_entries = true;
    e->entry_ends[e->n_entries++] = e->entry_data.len;
    return 0;
}

struct span group_entry(const struct group_extra *e, uint32_t i)
{
    uint64_t begin = i ? e->entry_ends[i - 1] : 0;
    /* Never NULL: all entries may be empty. */
    const uint8_t *data = (const uint8_t *)buf_cstr(&e->entry_data);
    return (struct span){data + begin, e->entry_ends[i] - begin};
}

uint32_t submit_add_body(struct submit *s, struct task_body *b)
{
    void *p = grow(s->bodies, s->n_bodies, &s->cap_bodies, sizeof *s->bodies);
    if (!p)
        return UINT32_MAX;
    s->bodies = p;
    s->bodies[s->n_bodies] = *b;
    task_body_init(b);
    return (uint32_t)s->n_bodies++;
}

uint32_t submit_add_extra(struct submit *s, struct group_extra *e)
{
    void *p = grow(s->extras, s->n_extras, &s->cap_extras, sizeof *s->extras);
    if (!p)
        return UINT32_MAX;
    s->extras = p;
    s->extras[s->n_extras] = *e;
    group_extra_init(e);
    return (uint32_t)s->n_extras++;
}

uint32_t submit_add_argv(struct submit *s, const char *const *words, size_t n)
{
    size_t at = s->text.len;
    buf_varint(&s->text, n);
    for (size_t i = 0; i < n; i++)
        buf_append(&s->text, words[i], strlen(words[i]) + 1);
    if (s->text.failed)
        return UINT32_MAX;
    /* Tasks of a graph often differ in name and needs only. */
    size_t last = s->n_groups ? s->groups[s->n_groups - 1].argv : at;
    size_t size = s->text.len - at;
    if (last + size <= at &&
        memcmp(s->text.data + last, s->text.data + at, size) == 0) {
        s->text.len = at;
        return (uint32_t)last;
    }
    return (uint32_t)at;
}

uint32_t submit_add_text(struct submit *s, const char *text)
{
    size_t at = s->text.len;
    buf_append(&s->text, text, strlen(text) + 1);
    return s->text.failed ? UINT32_MAX : (uint32_t)at;
}

uint32_t submit_add_group(struct submit *s, const struct task_group *g)
{
    void *p = grow(s->groups, s->n_groups, &s->cap_groups, sizeof *s->groups);
    if (!p || s->n_groups >= UINT32_MAX - 1)
        return UINT32_MAX;
    s->groups = p;
    s->groups[s->n_groups] = *g;
    s->groups[s->n_groups].needs = (uint32_t)s->n_needs;
    s->groups[s->n_groups].n_needs = 0;
    return (uint32_t)s->n_groups++;
}

int submit_add_need(struct submit *s, enum need_kind kind, uint32_t value)
{
    void *p = grow(s->needs, s->n_needs, &s->cap_needs, sizeof *s->needs);
    if (!p || s->n_needs >= UINT32_MAX - 1)
        return ERR_NOMEM;
    s->needs = p;
    s->needs[s->n_needs++] = (struct need){(uint32_t)kind, value};
    s->groups[s->n_groups - 1].n_needs++;
    return 0;
}

char **submit_argv(const struct submit *s, uint32_t argv, size_t *n)
{
    struct cursor c = cursor_make(s->text.data + argv, s->text.len - argv);
    *n = cursor_count(&c, 1);
    char **words = malloc((*n + 1) * sizeof *words);
    if (!words)
        return NULL;
    char *p = (char *)s->text.data + (c.p - s->text.data);
    for (size_t i = 0; i < *n; i++) {
        words[i] = p;
        p += strlen(p) + 1;
    }
    words[*n] = NULL;
    return words;
}

uint32_t submit_array_argv(const struct submit *s)
{
    if (s->n_groups)
        return s->groups[0].argv;
    return s->text.len > 1 ? 1 : 0; /* behind the byte that stands for no text */
}

const char *submit_text(const struct submit *s, uint32_t offset)
{
    return offset ? (const char *)s->text.data + offset : NULL;
}

static const struct idset *group_idset(const struct submit *s,
                                       const struct task_group *g)
{
    if (!g->extra || s->extras[g->extra - 1].ids.n_ranges == 0)
        return NULL;
    return &s->extras[g->extra - 1].ids;
}

uint32_t group_id_at(const struct submit *s, const struct task_group *g, uint32_t i)
{
    const struct idset *ids = group_idset(s, g);
    return ids ? idset_at(ids, i) : g->first_id + i;
}

uint32_t group_index_of(const struct submit *s, const struct task_group *g, uint32_t id)
{
    const struct idset *ids = group_idset(s, g);
    if (!ids)
        return id >= g->first_id && id - g->first_id < g->count ? id - g->first_id
                                                                : UINT32_MAX;
    uint32_t base = 0;
    for (size_t r = 0; r < ids->n_ranges; r++) {
        const struct idrange *range = &ids->ranges[r];
        if (id >= range->first && (id - range->first) % range->step == 0 &&
            (id - range->first) / range->step < range->count)
            return base + (id - range->first) / range->step;
        base += range->count;
    }
    return UINT32_MAX;
}

int group_ids(const struct submit *s, const struct task_group *g, struct idset *ids)
{
    const struct idset *own = group_idset(s, g);
    if (!own)
        return g->count ? idset_add(ids, g->first_id, g->count, 1) : 0;
    for (size_t r = 0; r < own->n_ranges; r++) {
        int rc = idset_append(ids, own->ranges[r]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

uint64_t submit_task_count(const struct submit *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_groups; i++)
        n += s->groups[i].count;
    return n;
}

size_t axis_value_index(const struct group_extra *e, size_t a, uint32_t i)
{
    size_t below = 1;
    for (size_t k = a + 1; k < e->n_axes; k++)
        below *= e->axes[k].n_values;
    return i / below % e->axes[a].n_values;
}

const char *axis_value(const struct axis *axis, size_t index,
                       char number[AXIS_NUMBER_SIZE])
{
    if (axis->values)
        return axis->values[index];
    (void)snprintf(number, AXIS_NUMBER_SIZE, "%u", idset_at(&axis->numbers, index));
    return number;
}
