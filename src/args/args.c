#include "args/args_build.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/duration.h"
#include "base/text.h"
#include "base/xmem.h"

static struct slot *slot_new(struct args *a)
{
    if (a->n_slots == a->cap_slots) {
        a->cap_slots = a->cap_slots ? 2 * a->cap_slots : 64;
        a->slots = xrealloc(a->slots, a->cap_slots * sizeof *a->slots);
    }
    struct slot *s = &a->slots[a->n_slots++];
    *s = (struct slot){.level = a->depth - 1};
    return s;
}

static void add_level(struct args *a, const struct cmd *cmd)
{
    HQ_ASSERT(a->depth < CMD_DEPTH_MAX);
    a->path[a->depth++] = cmd;
    struct opt_iter it = opt_iter_make(cmd);
    for (const struct opt *opt; (opt = opt_next(&it));)
        slot_new(a)->opt = opt;
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++)
        slot_new(a)->pos = pos;
}

struct args *args_create(const struct cmd *root, const char *path)
{
    struct args *a = xcalloc(1, sizeof *a);
    buf_init(&a->words, BUF_MAX_DEFAULT);
    buf_puts(&a->words, path);
    add_level(a, root);
    return a;
}

void args_enter(struct args *a, const struct cmd *sub)
{
    for (const struct pos *pos = args_current(a)->positionals; pos && pos->name;
         pos++) {
        buf_putc(&a->words, ' ');
        pos_print(pos, true, &a->words);
    }
    buf_printf(&a->words, " %s", sub->name);
    add_level(a, sub);
}

void args_destroy(struct args *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n_slots; i++)
        free(a->slots[i].values);
    for (size_t i = 0; i < a->n_owned; i++)
        free(a->owned[i]);
    free(a->owned);
    free(a->slots);
    buf_release(&a->words);
    free(a);
}

const struct cmd *args_current(const struct args *a)
{
    return a->path[a->depth - 1];
}

struct slot *args_slot_of_opt(struct args *a, const struct opt *opt)
{
    for (size_t i = 0; i < a->n_slots; i++)
        if (a->slots[i].opt == opt)
            return &a->slots[i];
    return NULL;
}

struct slot *args_slot_of_pos(struct args *a, const struct pos *pos)
{
    for (size_t i = 0; i < a->n_slots; i++)
        if (a->slots[i].pos == pos)
            return &a->slots[i];
    return NULL;
}

void args_slot_add(struct slot *s, const char *value)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 4;
        s->values = xrealloc(s->values, s->cap * sizeof *s->values);
    }
    s->values[s->n++] = value;
}

const char *args_keep(struct args *a, const char *text, size_t n)
{
    a->owned = xrealloc(a->owned, (a->n_owned + 1) * sizeof *a->owned);
    return a->owned[a->n_owned++] = xstrndup(text, n);
}

/* The deepest declaration wins. */
struct slot *args_find(const struct args *a, const char *name)
{
    for (size_t i = a->n_slots; i-- > 0;) {
        struct slot *s = &a->slots[i];
        if (strcmp(s->opt ? s->opt->name : s->pos->name, name) == 0)
            return s;
    }
    return NULL;
}

static const struct slot *slot_get(const struct args *a, const char *name)
{
    const struct slot *s = args_find(a, name);
    if (!s) {
        fprintf(stderr, "bug: '%s' does not declare '%s'\n", args_path(a), name);
        abort();
    }
    return s;
}

const struct cmd *args_cmd(const struct args *a)
{
    return args_current(a);
}

const char *args_path(const struct args *a)
{
    return buf_cstr(&a->words);
}

bool args_declared(const struct args *a, const char *name)
{
    return args_find(a, name) != NULL;
}

const char *args_str(const struct args *a, const char *name)
{
    const struct slot *s = slot_get(a, name);
    HQ_ASSERT(!s->opt || !(s->opt->flags & OPT_SWITCH));
    return s->n ? s->values[s->n - 1] : NULL;
}

bool args_flag(const struct args *a, const char *name)
{
    const struct slot *s = slot_get(a, name);
    HQ_ASSERT(s->opt && (s->opt->flags & OPT_SWITCH));
    return s->n > 0;
}

struct args_list args_list(const struct args *a, const char *name)
{
    const struct slot *s = slot_get(a, name);
    return (struct args_list){s->values, s->n};
}

enum args_source args_source(const struct args *a, const char *name)
{
    return slot_get(a, name)->source;
}

bool args_given(const struct args *a, const char *name)
{
    enum args_source source = args_source(a, name);
    return source == ARGS_LINE || source == ARGS_ENV;
}

uint32_t args_u32(const struct args *a, const char *name, uint32_t absent)
{
    const char *text = args_str(a, name);
    uint32_t v = absent;
    HQ_ASSERT(!text || text_to_u32(text, &v));
    return v;
}

uint64_t args_limit_ns(const struct args *a, const char *name)
{
    return args_str(a, name) ? MAX(args_duration_ns(a, name, 0), DURATION_ZERO_NS) : 0;
}

int32_t args_i32(const struct args *a, const char *name, int32_t absent)
{
    const char *text = args_str(a, name);
    return text ? (int32_t)strtol(text, NULL, 10) : absent;
}

uint64_t args_duration_ns(const struct args *a, const char *name, uint64_t absent)
{
    const char *text = args_str(a, name);
    uint64_t ns = absent;
    HQ_ASSERT(!text || duration_parse(text, &ns, NULL) == 0);
    return ns;
}
