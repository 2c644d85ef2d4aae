/* From what was found to the pools a worker registers; --detect-resources. */
#include <stdlib.h>
#include <string.h>
#include "topo/discover.h"

static const struct {
    const char *name;
    unsigned detect;
} detectable[] = {
    {"cpus", DETECT_CPUS},
    {"mem", DETECT_MEM},
    {"gpus/nvidia", DETECT_NVIDIA},
    {"gpus/amd", DETECT_AMD},
};

static unsigned detect_of(const char *word, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(detectable); i++)
        if (strlen(detectable[i].name) == n && memcmp(detectable[i].name, word, n) == 0)
            return detectable[i].detect;
    return DETECT_NONE;
}

int topo_detect_parse(const char *text, unsigned *detect, struct error *err)
{
    unsigned found = DETECT_NONE;
    if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) {
        *detect = *text == 'a' ? DETECT_ALL : DETECT_NONE;
        return 0;
    }
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, ",");
        unsigned one = detect_of(p, n);
        if (one == DETECT_NONE)
            return error_set(err, ERR_PARSE, "invalid variant: %.*s", (int)n, p);
        found |= one;
        p += n;
        if (!*p)
            break;
    }
    *detect = found;
    return 0;
}

unsigned topo_detect_except(unsigned detect, const struct pool_set *set)
{
    for (size_t i = 0; i < ARRAY_SIZE(detectable); i++)
        if (pool_set_find(set, detectable[i].name))
            detect &= ~detectable[i].detect;
    return detect;
}

static int push_number(struct pool *p, uint32_t id)
{
    struct buf text = BUF_INIT(64);
    buf_printf(&text, "%u", id);
    int rc = text.failed ? ERR_NOMEM : pool_add_label(p, buf_cstr(&text), text.len);
    buf_release(&text);
    return rc;
}

/* Whether a hardware thread of the same core comes first. */
static bool is_second_thread(const struct topo *t, const struct topo_pu *pu)
{
    for (size_t i = 0; i < t->n_pus; i++)
        if (t->pus[i].core == pu->core && t->pus[i].id < pu->id)
            return true;
    return false;
}

static int begin_pool(struct pool *p, const char *name, enum pool_kind kind)
{
    *p = (struct pool)POOL_INIT;
    p->kind = kind;
    p->name = strdup(name);
    return p->name ? 0 : ERR_NOMEM;
}

/* Adds the pool, or releases it on failure. */
static int end_pool(struct pool_set *set, struct pool *p, int rc, struct error *err)
{
    if (rc == 0)
        rc = pool_set_add(set, p, err);
    else
        (void)error_nomem(err);
    if (rc < 0)
        pool_release(p);
    return rc;
}

static int add_cpus(const struct topo *t, bool no_ht, struct pool_set *set,
                    struct error *err)
{
    struct pool p;
    uint32_t last = DOMAIN_NONE;
    int rc = begin_pool(&p, "cpus", POOL_LIST);
    for (size_t i = 0; i < t->n_pus && rc == 0; i++) {
        const struct topo_pu *pu = &t->pus[i];
        if (no_ht && is_second_thread(t, pu))
            continue;
        if (pu->domain != last)
            rc = pool_add_group(&p);
        last = pu->domain;
        if (rc == 0)
            rc = push_number(&p, pu->id);
    }
    if (p.n_groups > 1)
        p.kind = POOL_GROUPS;
    return end_pool(set, &p, rc, err);
}

static int add_devices(const struct topo_family_devices *f, const char *name,
                       struct pool_set *set, struct error *err)
{
    struct pool p;
    if (f->n == 0)
        return 0;
    bool counted = f->counted; /* and not divided: still 0 … n-1 */
    for (size_t i = 0; i < f->n && counted; i++)
        counted = strtoul(f->devices[i].label, NULL, 10) == i;
    int rc = begin_pool(&p, name, counted ? POOL_RANGE : POOL_LIST);
    if (rc == 0 && counted)
        p.range_last = (uint32_t)f->n - 1;
    else if (rc == 0)
        rc = pool_add_group(&p);
    for (size_t i = 0; i < f->n && rc == 0 && !counted; i++)
        rc = pool_add_label(&p, f->devices[i].label, strlen(f->devices[i].label));
    return end_pool(set, &p, rc, err);
}

/* In MiB with four decimals, rounded down. */
static uint64_t memory_amount(uint64_t bytes)
{
    uint64_t whole = bytes >> 20, rest = bytes & ((1u << 20) - 1);
    whole = MIN(whole, AMOUNT_UNITS_MAX);
    return whole * AMOUNT_ONE + (rest * AMOUNT_ONE >> 20);
}

static int add_memory(const struct topo *t, struct pool_set *set, struct error *err)
{
    struct pool p;
    uint64_t amount = memory_amount(t->memory_bytes);
    if (amount == 0)
        return 0;
    int rc = begin_pool(&p, "mem", POOL_SUM);
    p.sum = amount;
    return end_pool(set, &p, rc, err);
}

static int by_id(const void *a, const void *b)
{
    const struct topo_pu *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Reads a label as a CPU id. */
static int label_id(const char *label, uint32_t *id, struct error *err)
{
    char *end;
    unsigned long value = strtoul(label, &end, 10);
    if (*label < '0' || *label > '9' || *end || value > UINT32_MAX)
        return error_set(err, ERR_INVALID,
                         "CPU '%s' is not a number, which --no-hyper-threading needs",
                         label);
    *id = (uint32_t)value;
    return 0;
}

/* Whether another CPU of the sorted list is a lower thread of the same core. */
static bool has_lower_sibling(const struct topo *t, const struct topo_pu *listed,
                              size_t n, uint32_t id)
{
    const struct topo_pu *pu = topo_find_pu(t, id);
    for (size_t i = 0; pu && i < n && listed[i].id < id; i++)
        if (listed[i].core == pu->core)
            return true;
    return false;
}

/* Fills the CPUs of an explicit pool that exist here, in ascending order. */
static int list_cpus(const struct topo *t, const struct pool *from,
                     struct topo_pu *listed, size_t *n, struct error *err)
{
    *n = 0;
    for (size_t g = 0; g < from->n_groups; g++) {
        for (size_t i = 0; i < from->groups[g].n; i++) {
            uint32_t id = 0;
            int rc = label_id(from->groups[g].labels[i], &id, err);
            if (rc < 0)
                return rc;
            const struct topo_pu *pu = topo_find_pu(t, id);
            if (pu)
                listed[(*n)++] = *pu;
        }
    }
    qsort(listed, *n, sizeof *listed, by_id);
    return 0;
}

/* A range written out as a list. */
static int as_labels(struct pool *to, const struct pool *from)
{
    if (from->kind != POOL_RANGE)
        return pool_copy(to, from);
    int rc = begin_pool(to, from->name, POOL_LIST);
    if (rc == 0)
        rc = pool_add_group(to);
    for (uint64_t id = from->range_first; id <= from->range_last && rc == 0; id++)
        rc = push_number(to, (uint32_t)id);
    if (rc < 0)
        pool_release(to);
    return rc;
}

/* Copies the labels that are no second threads of others listed. */
static int copy_first_threads(const struct topo *t, const struct pool *all,
                              const struct topo_pu *listed, size_t n_listed,
                              struct pool *kept)
{
    int rc = 0;
    for (size_t g = 0; g < all->n_groups && rc == 0; g++) {
        bool begun = false;
        for (size_t i = 0; i < all->groups[g].n && rc == 0; i++) {
            const char *label = all->groups[g].labels[i];
            if (has_lower_sibling(t, listed, n_listed,
                                  (uint32_t)strtoul(label, NULL, 10)))
                continue;
            if (!begun)
                rc = pool_add_group(kept);
            begun = true;
            if (rc == 0)
                rc = pool_add_label(kept, label, strlen(label));
        }
    }
    kept->kind = kept->n_groups > 1 ? POOL_GROUPS : POOL_LIST;
    return rc;
}

/* The pool without the CPUs that are second threads of others in it. */
static int drop_second_threads(const struct topo *t, struct pool *p, struct error *err)
{
    struct pool all = POOL_INIT, kept = POOL_INIT;
    size_t n_listed, n_all = (size_t)(pool_size(p) / AMOUNT_ONE);
    if (p->kind == POOL_SUM || n_all > POOL_ITEMS_MAX)
        return 0; /* refused later, by pool_set_finish */
    struct topo_pu *listed = malloc((n_all + 1) * sizeof *listed);
    int rc = listed ? as_labels(&all, p) : ERR_NOMEM;
    if (rc == 0)
        rc = begin_pool(&kept, p->name, POOL_LIST);
    if (rc == 0) {
        rc = list_cpus(t, &all, listed, &n_listed, err);
        if (rc == 0)
            rc = copy_first_threads(t, &all, listed, n_listed, &kept);
    }
    if (rc == ERR_NOMEM)
        (void)error_nomem(err);
    if (rc == 0 && pool_size(&kept) < pool_size(p)) {
        struct pool old = *p;
        *p = kept;
        kept = old;
    }
    pool_release(&kept);
    pool_release(&all);
    free(listed);
    return rc;
}

int topo_detect_check(unsigned detect, const struct pool_set *set, struct error *err)
{
    if ((detect & DETECT_CPUS) || pool_set_find(set, "cpus"))
        return 0;
    return error_set(err, ERR_INVALID,
                     "You have to specify --cpus explicitly when opting out of CPU "
                     "automatic detection");
}

int topo_resources(const struct topo *t, unsigned detect, bool no_ht,
                   struct pool_set *set, struct error *err)
{
    struct pool *given = NULL;
    for (size_t i = 0; i < set->n_pools; i++)
        if (strcmp(set->pools[i].name, "cpus") == 0)
            given = &set->pools[i];
    detect = topo_detect_except(detect, set);
    int rc = topo_detect_check(detect, set, err);
    if (rc == 0)
        rc = gpus_check(t, set, err);
    if (rc == 0 && given && no_ht)
        rc = drop_second_threads(t, given, err);
    if (rc == 0 && (detect & DETECT_CPUS))
        rc = add_cpus(t, no_ht, set, err);
    if (rc == 0 && (detect & DETECT_NVIDIA))
        rc = add_devices(&t->families[FAMILY_NVIDIA], "gpus/nvidia", set, err);
    if (rc == 0 && (detect & DETECT_AMD))
        rc = add_devices(&t->families[FAMILY_AMD], "gpus/amd", set, err);
    if (rc == 0 && (detect & DETECT_MEM))
        rc = add_memory(t, set, err);
    return rc;
}

static uint32_t node_of_label(const struct topo *t, const char *pool, const char *label)
{
    if (strcmp(pool, "cpus") == 0) {
        char *end;
        unsigned long id = strtoul(label, &end, 10);
        const struct topo_pu *pu = NULL;
        if (*label >= '0' && *label <= '9' && !*end && id < CPU_SET_MAX)
            pu = topo_find_pu(t, (uint32_t)id);
        return pu ? t->domains[pu->domain].node : DOMAIN_NONE;
    }
    const struct topo_io *io = topo_find_io(t, pool, label);
    return io ? io->node : DOMAIN_NONE;
}

static int locate_pool(const struct topo *t, struct pool *p)
{
    size_t n = pool_index_count(p);
    bool any = false;
    char scratch[16];
    if (n == 0 || n > POOL_ITEMS_MAX)
        return 0;
    uint16_t *nodes = malloc(n * sizeof *nodes);
    if (!nodes)
        return ERR_NOMEM;
    size_t g = 0, first = 0;
    for (size_t i = 0; i < n; i++) {
        for (; p->kind != POOL_RANGE && i - first >= p->groups[g].n; g++)
            first += p->groups[g].n;
        const char *label = p->kind == POOL_RANGE ? pool_label(p, (uint32_t)i, scratch)
                                                  : p->groups[g].labels[i - first];
        uint32_t node = node_of_label(t, p->name, label);
        nodes[i] = node < NODES_MAX ? (uint16_t)node : NODE_NONE;
        any |= nodes[i] != NODE_NONE;
    }
    free(p->nodes);
    p->nodes = any ? nodes : NULL;
    if (!any)
        free(nodes);
    return 0;
}

int topo_locate(const struct topo *t, struct pool_set *set, struct error *err)
{
    for (size_t i = 0; i < set->n_pools && !t->single_node; i++)
        if (locate_pool(t, &set->pools[i]) < 0)
            return error_nomem(err);
    return 0;
}
