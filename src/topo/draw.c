/*
 * The machine as a drawing: a box for each package, in it the NUMA domains with their
 * memory, the cores as brackets around their hardware threads (a line for each last
 * level cache), and the devices that lie there.
 */
#include "topo/topo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORES_A_LINE 8
#define TEXT_MAX_BYTES ((size_t)16 << 20)

static int by_place(const void *a, const void *b)
{
    const struct topo_pu *x = a, *y = b;
    if (x->package != y->package)
        return x->package < y->package ? -1 : 1;
    if (x->domain != y->domain)
        return x->domain < y->domain ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind > y->kind ? -1 : 1; /* the fast ones first */
    if (x->cache != y->cache)
        return x->cache < y->cache ? -1 : 1;
    if (x->core != y->core)
        return x->core < y->core ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void put_memory(const struct topo *t, uint32_t node, struct buf *out)
{
    for (size_t i = 0; i < t->n_nodes; i++)
        if (t->nodes[i].node == node && t->nodes[i].memory_bytes)
            buf_printf(out, "  %.2f GiB%s",
                       (double)t->nodes[i].memory_bytes / (double)(1u << 30),
                       t->nodes[i].allowed ? "" : ", not allowed");
}

/* "nvidia 0  0000:3b:00.0" */
static void put_device(const struct topo *t, const struct topo_io *io, struct buf *out)
{
    static const char *const kinds[IO_KIND_COUNT] = {
        [IO_NVIDIA] = "gpu nvidia",
        [IO_AMD] = "gpu amd",
        [IO_NETWORK] = "network",
        [IO_FABRIC] = "fabric",
    };
    size_t number = 0;
    for (const struct topo_io *other = t->ios; other < io; other++)
        number += other->kind == io->kind;
    if (io->kind == IO_NVIDIA || io->kind == IO_AMD)
        buf_printf(out, "%s %zu", kinds[io->kind], number);
    else
        buf_printf(out, "%s %s", kinds[io->kind], io->name);
    if (io->bus[0])
        buf_printf(out, "  %s", io->bus);
    buf_putc(out, '\n');
}

static void put_devices(const struct topo *t, uint32_t node, const char *indent,
                        struct buf *out)
{
    for (size_t i = 0; i < t->n_ios; i++)
        if (t->ios[i].node == node) {
            buf_puts(out, indent);
            put_device(t, &t->ios[i], out);
        }
}

static bool same_line(const struct topo_pu *a, const struct topo_pu *b)
{
    return a->package == b->package && a->domain == b->domain && a->cache == b->cache &&
           a->kind == b->kind;
}

/* "P " and "E " before the cores of a hybrid processor. */
static void put_kind(const struct topo *t, const struct topo_pu *pu, struct buf *out)
{
    if (t->n_kinds == 2)
        buf_puts(out, pu->kind ? "P " : "E ");
    else if (t->n_kinds > 2)
        buf_printf(out, "kind %u ", pu->kind);
}

/* The cores of a line: pus[0 … n). */
static void put_cores(const struct topo *t, const struct topo_pu *pus, size_t n,
                      struct buf *out)
{
    size_t cores = 0;
    for (size_t i = 0; i < n; i++) {
        bool begins = i == 0 || pus[i].core != pus[i - 1].core;
        if (begins && cores % CORES_A_LINE == 0) {
            buf_puts(out, cores ? "\n    " : "    ");
            if (t->n_kinds > 1)
                put_kind(t, &pus[i], out);
        } else if (begins) {
            buf_putc(out, ' ');
        }
        cores += begins;
        buf_printf(out, "%s%u", begins ? "[" : " ", pus[i].id);
        if (i + 1 == n || pus[i + 1].core != pus[i].core)
            buf_putc(out, ']');
    }
    buf_putc(out, '\n');
}

/* One package; returns the number of its hardware threads. */
static size_t put_package(const struct topo *t, const struct topo_pu *pus, size_t left,
                          struct buf *out)
{
    size_t n = 0;
    while (n < left && pus[n].package == pus->package) {
        uint32_t domain = pus[n].domain, node = t->domains[domain].node;
        buf_printf(out, "NUMA node %u", node);
        put_memory(t, node, out);
        buf_putc(out, '\n');
        while (n < left && pus[n].package == pus->package && pus[n].domain == domain) {
            size_t line = 1;
            while (n + line < left && same_line(&pus[n], &pus[n + line]))
                line++;
            put_cores(t, pus + n, line, out);
            n += line;
        }
        put_devices(t, node, "    ", out);
    }
    return n;
}

static void put_rule(struct buf *out, const char *title, size_t width)
{
    size_t used = strlen(title);
    buf_printf(out, "+-%s", title);
    for (size_t i = used; i < width + 1; i++)
        buf_putc(out, '-');
    buf_puts(out, "+\n");
}

static void put_box(const char *title, const char *text, struct buf *out)
{
    size_t width = strlen(title) + 2;
    for (const char *p = text; *p; p += strcspn(p, "\n") + 1)
        width = MAX(width, strcspn(p, "\n"));
    put_rule(out, title, width);
    for (const char *p = text; *p; p += strcspn(p, "\n") + 1)
        buf_printf(out, "| %-*.*s |\n", (int)width, (int)strcspn(p, "\n"), p);
    put_rule(out, "", width);
}

static bool has_domain(const struct topo *t, uint32_t node)
{
    for (size_t i = 0; i < t->n_domains; i++)
        if (t->domains[i].node == node)
            return true;
    return false;
}

/* Nodes without CPUs for us, and devices that nobody can place. */
static void put_others(const struct topo *t, struct buf *out)
{
    for (size_t i = 0; i < t->n_nodes; i++) {
        uint32_t node = t->nodes[i].node;
        if (has_domain(t, node))
            continue;
        buf_printf(out, "NUMA node %u", node);
        put_memory(t, node, out);
        buf_puts(out, "  without CPUs\n");
        put_devices(t, node, "    ", out);
    }
    put_devices(t, DOMAIN_NONE, "", out);
}

static size_t count_cores(const struct topo_pu *sorted, size_t n)
{
    size_t cores = 0;
    for (size_t i = 0; i < n; i++)
        cores += i == 0 || sorted[i].core != sorted[i - 1].core;
    return cores;
}

void topo_draw(const struct topo *t, struct buf *out)
{
    struct topo_pu *pus = malloc(t->n_pus * sizeof *pus);
    struct buf box = BUF_INIT(TEXT_MAX_BYTES);
    if (!pus) {
        out->failed = true;
        return;
    }
    memcpy(pus, t->pus, t->n_pus * sizeof *pus);
    qsort(pus, t->n_pus, sizeof *pus, by_place);
    for (size_t i = 0; i < t->n_pus;) {
        char title[64];
        buf_clear(&box);
        size_t n = put_package(t, pus + i, t->n_pus - i, &box);
        size_t cores = count_cores(pus + i, n);
        (void)snprintf(title, sizeof title, " socket %u: %zu core%s, %zu thread%s ",
                       pus[i].package, cores, cores == 1 ? "" : "s", n,
                       n == 1 ? "" : "s");
        put_box(title, buf_cstr(&box), out);
        i += n;
    }
    out->failed |= box.failed;
    put_others(t, out);
    buf_release(&box);
    free(pus);
}
