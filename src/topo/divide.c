/* The share of one of several ranks on a node. */
#include "topo/discover.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"

uint32_t topo_variable(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (!text || *text < '0' || *text > '9')
        return 0;
    unsigned long value = strtoul(text, &end, 10);
    return *end || value > UINT32_MAX ? 0 : (uint32_t)value;
}

void topo_division_read(struct topo_division *d)
{
    d->job_cpus = topo_variable("SLURM_CPUS_ON_NODE");
    d->job_gpus = topo_variable("SLURM_GPUS_ON_NODE");
}

/* Which ranks have CPUs in a domain: first … first + n - 1. */
struct holders {
    uint32_t first, n;
};

static uint32_t count_domain_pus(const struct topo *t, uint32_t domain)
{
    return cpu_set_count(&t->domains[domain].cpus);
}

/* At least as many domains as ranks: neighbours go together, cut where the number of
 * CPUs comes nearest to equal shares, and every rank gets one. */
static void give_domains(const struct topo *t, uint32_t ranks, struct holders *holders)
{
    uint64_t before = 0;
    uint32_t rank = 0, n = (uint32_t)t->n_domains;
    for (uint32_t d = 0; d < n; d++) {
        uint64_t middle = before * 2 + count_domain_pus(t, d);
        uint32_t wanted = (uint32_t)(middle * ranks / (2 * t->n_pus));
        /* Every rank so far has one, and enough domains are left for the others. */
        uint32_t least = ranks > n - d ? ranks - (n - d) : 0;
        uint32_t next = d == 0 ? 0 : MIN(MAX(wanted, rank), rank + 1);
        rank = MAX(next, least);
        holders[d] = (struct holders){rank, 1};
        before += count_domain_pus(t, d);
    }
}

/* More ranks than domains: each domain gets ranks by its share of the CPUs, one at
 * least; the next rank goes where ranks are scarcest. */
static void give_ranks(const struct topo *t, uint32_t ranks, struct holders *holders)
{
    for (size_t d = 0; d < t->n_domains; d++)
        holders[d].n = 1;
    for (uint32_t left = ranks - (uint32_t)t->n_domains; left > 0; left--) {
        uint32_t best = 0;
        for (uint32_t d = 1; d < t->n_domains; d++)
            if ((uint64_t)count_domain_pus(t, d) * holders[best].n >
                (uint64_t)count_domain_pus(t, best) * holders[d].n)
                best = d;
        holders[best].n++;
    }
    for (size_t d = 0, first = 0; d < t->n_domains; d++) {
        holders[d].first = (uint32_t)first;
        first += holders[d].n;
    }
}

static int by_core(const void *a, const void *b)
{
    const struct topo_pu *x = a, *y = b;
    if (x->core != y->core)
        return x->core < y->core ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static uint32_t number_cores(const struct topo_pu *sorted, uint32_t n, uint32_t *number)
{
    uint32_t cores = 0;
    for (uint32_t i = 0; i < n; i++) {
        cores += i == 0 || sorted[i].core != sorted[i - 1].core;
        number[i] = cores - 1;
    }
    return cores;
}

/* Marks the threads of piece `piece` of `pieces` of a domain. */
static int keep_piece(const struct topo *t, uint32_t domain, uint32_t piece,
                      uint32_t pieces, struct cpu_set *kept, struct error *err)
{
    uint32_t n = 0, of = count_domain_pus(t, domain);
    struct topo_pu *pus = malloc(of * sizeof *pus);
    uint32_t *core = malloc(of * sizeof *core);
    if (!pus || !core) {
        free(pus);
        free(core);
        return error_nomem(err);
    }
    for (size_t i = 0; i < t->n_pus; i++)
        if (t->pus[i].domain == domain)
            pus[n++] = t->pus[i];
    qsort(pus, n, sizeof *pus, by_core);
    uint32_t cores = number_cores(pus, n, core);
    for (uint32_t i = 0; i < n; i++) {
        bool mine;
        if (pieces <= cores)
            mine = core[i] >= (uint64_t)cores * piece / pieces &&
                   core[i] < (uint64_t)cores * (piece + 1) / pieces;
        else if (pieces <= n)
            mine = i >= (uint64_t)n * piece / pieces &&
                   i < (uint64_t)n * (piece + 1) / pieces;
        else
            mine = i == piece % n;
        if (mine)
            cpu_set_add(kept, pus[i].id);
    }
    free(pus);
    free(core);
    return 0;
}

/* Drops all CPUs that are not in `kept`, and domains that lose their last. */
static void keep_cpus(struct topo *t, const struct cpu_set *kept, uint32_t *domain_map)
{
    size_t n = 0, domains = 0;
    for (uint32_t d = 0; d < t->n_domains; d++) {
        cpu_set_intersect(&t->domains[d].cpus, kept);
        domain_map[d] = DOMAIN_NONE;
        if (cpu_set_count(&t->domains[d].cpus) == 0)
            continue;
        domain_map[d] = (uint32_t)domains;
        t->domains[domains++] = t->domains[d];
    }
    for (size_t i = 0; i < t->n_pus; i++) {
        if (!cpu_set_has(kept, t->pus[i].id))
            continue;
        t->pus[n] = t->pus[i];
        t->pus[n].domain = domain_map[t->pus[n].domain];
        n++;
    }
    t->n_pus = n;
    t->n_domains = domains;
    cpu_set_copy(&t->mask, kept);
}

/* Deals the devices of a domain to the ranks there, others evenly to all. */
static int keep_devices(struct topo_family_devices *f, const struct topo_division *d,
                        const struct holders *holders, size_t n_domains)
{
    const struct holders everybody = {0, d->local_size};
    uint32_t *count = calloc(n_domains + 1, sizeof *count); /* the last: elsewhere */
    uint32_t *dealt = calloc(n_domains + 1, sizeof *dealt);
    size_t kept = 0;
    int rc = count && dealt ? 0 : ERR_NOMEM;
    for (size_t i = 0; rc == 0 && i < f->n; i++)
        count[MIN(f->devices[i].domain, n_domains)]++;
    for (size_t i = 0; rc == 0 && i < f->n; i++) {
        size_t domain = MIN(f->devices[i].domain, n_domains);
        const struct holders *h =
            holders && domain < n_domains ? &holders[domain] : &everybody;
        uint64_t rank = h->first + (uint64_t)dealt[domain]++ * h->n / count[domain];
        if (rank == d->local_rank)
            f->devices[kept++] = f->devices[i];
        else
            free(f->devices[i].label);
    }
    if (rc == 0)
        f->n = kept;
    free(count);
    free(dealt);
    return rc;
}

static void map_devices(struct topo *t, const uint32_t *domain_map)
{
    for (size_t f = 0; f < FAMILY_COUNT; f++)
        for (size_t i = 0; i < t->families[f].n; i++)
            if (t->families[f].devices[i].domain != DOMAIN_NONE)
                t->families[f].devices[i].domain =
                    domain_map[t->families[f].devices[i].domain];
}

static int divide_cpus(struct topo *t, const struct topo_division *d,
                       const struct holders *holders, uint32_t *domain_map,
                       struct error *err)
{
    struct cpu_set kept;
    int rc = 0;
    cpu_set_clear(&kept);
    for (uint32_t i = 0; i < t->n_domains && rc == 0; i++)
        if (d->local_rank - holders[i].first < holders[i].n)
            rc = keep_piece(t, i, d->local_rank - holders[i].first, holders[i].n, &kept,
                            err);
    if (rc == 0)
        keep_cpus(t, &kept, domain_map);
    return rc;
}

/* Whether n things are no more than a rank's share of the job's. */
static bool is_share(size_t n, uint32_t of_job, uint32_t ranks)
{
    return of_job && (uint64_t)n * ranks <= of_job;
}

int topo_divide(struct topo *t, const struct topo_division *d, struct error *err)
{
    if (d->local_size <= 1)
        return 0;
    if (d->local_rank >= d->local_size)
        return error_set(err, ERR_INVALID, "local rank %u of %u ranks", d->local_rank,
                         d->local_size);
    size_t n_domains = t->n_domains;
    struct holders *holders = calloc(n_domains, sizeof *holders);
    uint32_t *domain_map = calloc(n_domains, sizeof *domain_map);
    int rc = holders && domain_map ? 0 : error_nomem(err);
    bool bound = is_share(t->n_pus, d->job_cpus, d->local_size);
    if (rc == 0 && d->local_size > t->n_pus && !bound)
        log_warn("%u ranks share %zu CPUs of this node", d->local_size, t->n_pus);
    if (rc == 0 && d->local_size <= n_domains)
        give_domains(t, d->local_size, holders);
    else if (rc == 0)
        give_ranks(t, d->local_size, holders);
    for (size_t f = 0; f < FAMILY_COUNT && rc == 0; f++)
        if (!is_share(t->families[f].n, d->job_gpus, d->local_size) &&
            keep_devices(&t->families[f], d, bound ? NULL : holders, n_domains) < 0)
            rc = error_nomem(err);
    if (rc == 0 && !bound)
        rc = divide_cpus(t, d, holders, domain_map, err);
    if (rc == 0 && !bound)
        map_devices(t, domain_map);
    if (rc == 0)
        t->memory_bytes /= d->local_size;
    free(holders);
    free(domain_map);
    return rc;
}
