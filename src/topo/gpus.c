/*
 * GPUs as resources: those that the variables name which the vendors' libraries read,
 * else all that the machine has. Numbers mean the order on the bus, which tasks are
 * told to use as well.
 */
#include "topo/discover.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"

#define GPUS_MAX 4096

static const struct {
    const char *variable;
    unsigned detect;
    enum topo_io_kind io;
    const char *maker, *pool;
} families[FAMILY_COUNT] = {
    [FAMILY_NVIDIA] = {"CUDA_VISIBLE_DEVICES", DETECT_NVIDIA, IO_NVIDIA, "NVIDIA",
                       "gpus/nvidia"},
    [FAMILY_AMD] = {"ROCR_VISIBLE_DEVICES", DETECT_AMD, IO_AMD, "AMD", "gpus/amd"},
};

const char *topo_family_pool(enum topo_family family)
{
    return families[family].pool;
}

static int add_device(struct topo_family_devices *f, const char *label, size_t len)
{
    struct topo_device *grown = realloc(f->devices, (f->n + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    f->devices = grown;
    char *copy = strndup(label, len);
    if (!copy)
        return ERR_NOMEM;
    f->devices[f->n++] = (struct topo_device){copy, DOMAIN_NONE};
    return 0;
}

static void drop_devices(struct topo_family_devices *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->devices[i].label);
    free(f->devices);
    *f = (struct topo_family_devices){NULL, 0, false};
}

static bool has_duplicates(const struct topo_family_devices *f)
{
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(f->devices[i].label, f->devices[j].label) == 0)
                return true;
    return false;
}

/* What batch systems and people write for "no GPU", and what ends a list for the
 * vendors' libraries. */
static bool is_none(const char *word, size_t n)
{
    static const char *const words[] = {"", "-1", "NoDevFiles"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strlen(words[i]) == n && memcmp(words[i], word, n) == 0)
            return true;
    return false;
}

/* Parts between commas, verbatim. An empty part makes the value useless. */
static int read_variable(struct topo_family_devices *f, const char *name,
                         const char *value)
{
    for (const char *p = value;; p++) {
        size_t n = strcspn(p, ",");
        if (n && is_none(p, n))
            break;
        if (n == 0 || n > POOL_LABEL_MAX || f->n >= GPUS_MAX) {
            log_warn("%s is not a list of devices (%s)", name, value);
            drop_devices(f);
            return 0;
        }
        if (add_device(f, p, n) < 0)
            return ERR_NOMEM;
        p += n;
        if (!*p)
            break;
    }
    if (f->n)
        log_info("Detected GPUs %s from `%s`", value, name);
    else
        log_info("No GPUs, as `%s` is %s", name, value);
    if (has_duplicates(f)) {
        log_warn("%s contains duplicates (%s)", name, value);
        drop_devices(f);
    }
    return 0;
}

static size_t count_ios(const struct topo *t, enum topo_io_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_ios; i++)
        n += t->ios[i].kind == kind;
    return n;
}

static bool is_number(const char *label)
{
    return *label && strspn(label, "0123456789") == strlen(label);
}

/* By its number on the bus or by (the start of) its UUID. */
static const struct topo_io *find_gpu(const struct topo *t, enum topo_io_kind kind,
                                      const char *label)
{
    unsigned long number = is_number(label) ? strtoul(label, NULL, 10) : ULONG_MAX;
    for (size_t i = 0; i < t->n_ios; i++) {
        const struct topo_io *io = &t->ios[i];
        if (io->kind != kind)
            continue;
        if (number == 0 || (number == ULONG_MAX && io->uuid[0] && *label &&
                            strncmp(io->uuid, label, strlen(label)) == 0))
            return io;
        number -= number != ULONG_MAX;
    }
    return NULL;
}

const struct topo_io *topo_find_io(const struct topo *t, const char *pool,
                                   const char *label)
{
    for (enum topo_family f = 0; f < FAMILY_COUNT; f++) {
        const struct topo_io *io = NULL;
        if (strcmp(pool, families[f].pool) == 0)
            io = find_gpu(t, families[f].io, label);
        if (io)
            return io;
    }
    for (size_t i = 0; i < t->n_ios; i++)
        if (strcmp(t->ios[i].name, label) == 0 || strcmp(t->ios[i].bus, label) == 0)
            return &t->ios[i];
    return NULL;
}

/* Whether UUIDs are known, so that one that is not among them does not exist. */
static bool knows_uuids(const struct topo *t, enum topo_io_kind kind)
{
    for (size_t i = 0; i < t->n_ios; i++)
        if (t->ios[i].kind == kind && t->ios[i].uuid[0])
            return true;
    return false;
}

/* Where no driver tells of GPUs, or not by UUID, any word is believed. */
static int check_device(const struct topo *t, enum topo_family family, const char *who,
                        const char *label, struct error *err)
{
    enum topo_io_kind kind = families[family].io;
    size_t n = count_ios(t, kind);
    bool known =
        is_number(label) || (knows_uuids(t, kind) && strncmp(label, "GPU-", 4) == 0);
    if (n == 0 || !known || find_gpu(t, kind, label))
        return 0;
    return error_set(err, ERR_NOT_FOUND,
                     "%s names device '%s', but this machine has %zu %s GPU%s", who,
                     label, n, families[family].maker, n == 1 ? "" : "s");
}

int gpus_check(const struct topo *t, const struct pool_set *given, struct error *err)
{
    int rc = 0;
    for (enum topo_family family = 0; family < FAMILY_COUNT; family++) {
        const struct pool *p = pool_set_find(given, families[family].pool);
        size_t n = p ? pool_index_count(p) : 0;
        char who[64], scratch[16];
        (void)snprintf(who, sizeof who, "Resource %s", families[family].pool);
        /* The first that is missing ends it, however long a range is. */
        for (size_t i = 0; i < n && rc == 0; i++)
            rc = check_device(t, family, who, pool_label(p, (uint32_t)i, scratch), err);
    }
    return rc;
}

static int count_devices(struct topo_family_devices *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char label[16];
        int len = snprintf(label, sizeof label, "%zu", i);
        if (add_device(f, label, (size_t)len) < 0)
            return ERR_NOMEM;
    }
    f->counted = true;
    return 0;
}

static void locate(const struct topo *t, enum topo_family family,
                   struct topo_family_devices *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct topo_io *io =
            find_gpu(t, families[family].io, f->devices[i].label);
        if (io && io->node != DOMAIN_NONE)
            f->devices[i].domain = topo_domain_of_node(t, io->node);
    }
}

static int find_family(struct topo *t, enum topo_family family, bool imagined,
                       struct error *err)
{
    struct topo_family_devices *f = &t->families[family];
    const char *value = imagined ? NULL : getenv(families[family].variable);
    int rc = 0;
    if (value && *value && read_variable(f, families[family].variable, value) < 0)
        return error_nomem(err);
    for (size_t i = 0; i < f->n && rc == 0; i++)
        rc = check_device(t, family, families[family].variable, f->devices[i].label,
                          err);
    bool none = value && is_none(value, strcspn(value, ","));
    size_t n = count_ios(t, families[family].io);
    if (rc == 0 && f->n == 0 && n && !none) {
        if (!imagined)
            log_info("Detected %zu %s GPUs from the driver", n, families[family].maker);
        rc = count_devices(f, n) < 0 ? error_nomem(err) : 0;
    }
    if (rc == 0)
        locate(t, family, f);
    return rc;
}

int gpus_find(struct topo *t, const struct topo_source *source, struct error *err)
{
    bool imagined = source->synthetic || source->xml;
    int rc = 0;
    for (enum topo_family family = 0; family < FAMILY_COUNT && rc == 0; family++)
        if (source->detect & families[family].detect)
            rc = find_family(t, family, imagined, err);
    return rc;
}
