/* Requests as data: memory, comparison, bytes. The grammar is in request_parse.c. */
#include "model/resource.h"

#include <stdlib.h>
#include "model/resource_grammar.h"

#define AMOUNT_MAX (AMOUNT_UNITS_MAX * AMOUNT_ONE + AMOUNT_ONE - 1)

static void variant_release(struct request_variant *v)
{
    for (size_t i = 0; i < v->n_entries; i++)
        free(v->entries[i].name);
    free(v->entries);
}

void request_variant_release(struct request_variant *v)
{
    variant_release(v);
    *v = (struct request_variant)REQUEST_VARIANT_INIT;
}

void request_release(struct request *r)
{
    for (size_t i = 0; i < r->n_variants; i++)
        variant_release(&r->variants[i]);
    free(r->variants);
    *r = (struct request)REQUEST_INIT;
}

static int variant_push(struct request_variant *v, const char *name,
                        enum request_policy policy, uint64_t amount)
{
    struct request_entry *grown =
        realloc(v->entries, (v->n_entries + 1) * sizeof *v->entries);
    if (!grown)
        return ERR_NOMEM;
    v->entries = grown;
    char *copy = strdup(name);
    if (!copy)
        return ERR_NOMEM;
    v->entries[v->n_entries++] = (struct request_entry){copy, policy, amount};
    return 0;
}

int request_variant_add(struct request_variant *v, const char *name,
                        enum request_policy policy, uint64_t amount, struct error *err)
{
    if (request_variant_find(v, name))
        return error_set(err, ERR_EXISTS, "Resource '%s' defined more than once", name);
    if (v->n_entries >= REQUEST_ENTRIES_MAX)
        return error_set(err, ERR_TOO_BIG,
                         "too many resources in one request, at most %d are possible",
                         REQUEST_ENTRIES_MAX);
    if (variant_push(v, name, policy, policy == POLICY_ALL ? 1 : amount) < 0)
        return error_nomem(err);
    return 0;
}

bool request_variant_any_gpus(const struct request_variant *v)
{
    bool any = false, kind = false;
    for (size_t i = 0; i < v->n_entries; i++) {
        any |= strcmp(v->entries[i].name, GPUS_ANY) == 0;
        kind |= strncmp(v->entries[i].name, GPUS_KIND, strlen(GPUS_KIND)) == 0;
    }
    return any && !kind;
}

const struct request_entry *request_variant_find(const struct request_variant *v,
                                                 const char *name)
{
    for (size_t i = 0; i < v->n_entries; i++)
        if (strcmp(v->entries[i].name, name) == 0)
            return &v->entries[i];
    return NULL;
}

int request_add(struct request *r, struct request_variant *v, struct error *err)
{
    if (r->n_variants >= REQUEST_VARIANTS_MAX)
        return error_set(err, ERR_TOO_BIG,
                         "too many variants in one request, at most %d are possible",
                         REQUEST_VARIANTS_MAX);
    struct request_variant *grown =
        realloc(r->variants, (r->n_variants + 1) * sizeof *r->variants);
    if (!grown)
        return error_nomem(err);
    r->variants = grown;
    r->variants[r->n_variants++] = *v;
    *v = (struct request_variant)REQUEST_VARIANT_INIT;
    return 0;
}

int request_default(struct request *r)
{
    struct request_variant v = REQUEST_VARIANT_INIT;
    struct request made = REQUEST_INIT;
    int rc = variant_push(&v, "cpus", POLICY_COMPACT, AMOUNT_ONE);
    if (rc == 0)
        rc = request_add(&made, &v, NULL);
    if (rc == 0)
        *r = made;
    else
        variant_release(&v);
    return rc;
}

int request_copy(struct request *to, const struct request *from)
{
    struct request made = REQUEST_INIT;
    for (size_t i = 0; i < from->n_variants; i++) {
        const struct request_variant *src = &from->variants[i];
        struct request_variant v = *src;
        v.entries = NULL;
        v.n_entries = 0;
        int rc = 0;
        for (size_t j = 0; j < src->n_entries && rc == 0; j++)
            rc = variant_push(&v, src->entries[j].name, src->entries[j].policy,
                              src->entries[j].amount);
        if (rc < 0 || request_add(&made, &v, NULL) < 0) {
            variant_release(&v);
            request_release(&made);
            return ERR_NOMEM;
        }
    }
    *to = made;
    return 0;
}

static bool variant_equal(const struct request_variant *a,
                          const struct request_variant *b)
{
    if (a->n_entries != b->n_entries || a->n_nodes != b->n_nodes ||
        a->min_time_ns != b->min_time_ns || a->weight != b->weight)
        return false;
    for (size_t i = 0; i < a->n_entries; i++) {
        const struct request_entry *x = &a->entries[i], *y = &b->entries[i];
        if (x->amount != y->amount || x->policy != y->policy ||
            strcmp(x->name, y->name) != 0)
            return false;
    }
    return true;
}

bool request_equal(const struct request *a, const struct request *b)
{
    if (a->n_variants != b->n_variants)
        return false;
    for (size_t i = 0; i < a->n_variants; i++)
        if (!variant_equal(&a->variants[i], &b->variants[i]))
            return false;
    return true;
}

int request_check(const struct request *r, struct error *err)
{
    if (r->n_variants == 0 || r->n_variants > REQUEST_VARIANTS_MAX)
        return error_set(err, ERR_INVALID, "a request needs 1 to %d variants",
                         REQUEST_VARIANTS_MAX);
    for (size_t i = 0; i < r->n_variants; i++)
        if (r->variants[i].n_nodes && r->n_variants > 1)
            return error_set(err, ERR_INVALID,
                             "a multi-node request cannot have several variants");
    return 0;
}

/*
 * varint count of variants, each: varint count of entries (str name, u8 policy, varint
 * amount), varint nodes, varint min_time_ns, varint weight.
 */
void request_encode(const struct request *r, struct buf *out)
{
    buf_varint(out, r->n_variants);
    for (size_t i = 0; i < r->n_variants; i++) {
        const struct request_variant *v = &r->variants[i];
        buf_varint(out, v->n_entries);
        for (size_t j = 0; j < v->n_entries; j++) {
            buf_str(out, v->entries[j].name);
            buf_u8(out, (uint8_t)v->entries[j].policy);
            buf_varint(out, v->entries[j].amount);
        }
        buf_varint(out, v->n_nodes);
        buf_varint(out, v->min_time_ns);
        buf_varint(out, v->weight);
    }
}

int resource_name_decode(char **name, struct cursor *c)
{
    struct span text = cursor_bytes(c);
    if (c->failed || text.n == 0 || text.n > RESOURCE_NAME_MAX ||
        memchr(text.p, 0, text.n))
        return ERR_CORRUPT;
    char *copy = strndup((const char *)text.p, text.n);
    if (!copy)
        return ERR_NOMEM;
    if (!resource_name_valid(copy)) {
        free(copy);
        return ERR_CORRUPT;
    }
    *name = copy;
    return 0;
}

static int entry_decode(struct request_variant *v, struct cursor *c)
{
    char *name = NULL;
    int rc = resource_name_decode(&name, c);
    uint8_t policy = cursor_u8(c);
    uint64_t amount = cursor_varint(c);
    if (rc == 0 &&
        (c->failed || policy > POLICY_ALL || amount == 0 || amount > AMOUNT_MAX ||
         (policy == POLICY_ALL && amount != 1) || request_variant_find(v, name)))
        rc = ERR_CORRUPT;
    if (rc == 0)
        rc = variant_push(v, name, (enum request_policy)policy, amount);
    free(name);
    return rc;
}

static int variant_decode(struct request_variant *v, struct cursor *c)
{
    size_t n = cursor_count(c, 3);
    if (n > REQUEST_ENTRIES_MAX)
        return ERR_CORRUPT;
    for (size_t i = 0; i < n; i++) {
        int rc = entry_decode(v, c);
        if (rc < 0)
            return rc;
    }
    v->n_nodes = cursor_varint32(c);
    v->min_time_ns = cursor_varint(c);
    v->weight = cursor_varint(c);
    return c->failed ? ERR_CORRUPT : 0;
}

int request_decode(struct request *r, struct cursor *c)
{
    struct request made = REQUEST_INIT;
    size_t n = cursor_count(c, 4);
    int rc = c->failed || n > REQUEST_VARIANTS_MAX ? ERR_CORRUPT : 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct request_variant v = REQUEST_VARIANT_INIT;
        rc = variant_decode(&v, c);
        if (rc == 0)
            rc = request_add(&made, &v, NULL);
        if (rc < 0)
            variant_release(&v);
    }
    if (rc == 0 && n > 0 && request_check(&made, NULL) < 0)
        rc = ERR_CORRUPT;
    if (rc == 0)
        *r = made;
    else
        request_release(&made);
    return rc;
}
