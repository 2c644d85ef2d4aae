/*
 * GPUs: named by the variables that the vendors' libraries read, else (NVIDIA) counted
 * in /proc. Their NUMA nodes come from PCI in /sys; indices mean the order of the bus,
 * which tasks are told to use as well.
 */
#include "topo/discover.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"

#define GPUS_MAX 4096
#define FILE_MAX ((size_t)1 << 20)
#define NVIDIA_DIR "/proc/driver/nvidia/gpus"
#define AMD_DIR "/sys/class/kfd/kfd/topology/nodes"

static const struct {
    const char *variable;
    unsigned detect;
} families[FAMILY_COUNT] = {
    [FAMILY_NVIDIA] = {"CUDA_VISIBLE_DEVICES", DETECT_NVIDIA},
    [FAMILY_AMD] = {"ROCR_VISIBLE_DEVICES", DETECT_AMD},
};

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

/* Parts between commas, verbatim. An empty part makes the value useless. */
static int read_variable(struct topo_family_devices *f, const char *name,
                         const char *value)
{
    for (const char *p = value;; p++) {
        size_t n = strcspn(p, ",");
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
    log_info("Detected GPUs %s from `%s`", value, name);
    if (has_duplicates(f)) {
        log_warn("%s contains duplicates (%s)", name, value);
        drop_devices(f);
    }
    return 0;
}

/* One GPU that the machine has. */
struct slot {
    char bus[64];  /* "0000:3b:00.0" */
    char uuid[64]; /* "GPU-…", or "" */
};

struct slots {
    struct slot *slots;
    size_t n;
};

static int add_slot(struct slots *s, const char *bus, const char *uuid)
{
    struct slot *grown = realloc(s->slots, (s->n + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    s->slots = grown;
    struct slot *slot = &s->slots[s->n++];
    (void)snprintf(slot->bus, sizeof slot->bus, "%s", bus);
    (void)snprintf(slot->uuid, sizeof slot->uuid, "%s", uuid);
    for (char *p = slot->bus; *p; p++)
        if (*p >= 'A' && *p <= 'F')
            *p = (char)(*p - 'A' + 'a');
    return 0;
}

static int by_bus(const void *a, const void *b)
{
    return strcmp(((const struct slot *)a)->bus, ((const struct slot *)b)->bus);
}

/* The word behind "<key>" in a text of "key: value" or "key value" lines. */
static void read_word(const char *text, const char *key, char *out, size_t size)
{
    const char *p = strstr(text, key);
    out[0] = 0;
    if (!p)
        return;
    p += strlen(key);
    p += strspn(p, ": \t");
    (void)snprintf(out, size, "%.*s", (int)strcspn(p, " \t\n"), p);
}

static int find_nvidia(struct slots *s, const char *root)
{
    struct buf text = BUF_INIT(FILE_MAX), path = BUF_INIT(8192);
    int rc = 0;
    buf_printf(&path, "%s%s", root ? root : "", NVIDIA_DIR);
    DIR *dir = opendir(buf_cstr(&path));
    for (struct dirent *e; dir && rc == 0 && s->n < GPUS_MAX && (e = readdir(dir));) {
        char uuid[64];
        if (e->d_name[0] == '.')
            continue;
        uuid[0] = 0;
        if (sysfs_read(&text, root, "%s/%s/information", NVIDIA_DIR, e->d_name))
            read_word(buf_cstr(&text), "GPU UUID", uuid, sizeof uuid);
        rc = add_slot(s, e->d_name, uuid);
    }
    if (dir)
        closedir(dir);
    buf_release(&text);
    buf_release(&path);
    if (s->n)
        qsort(s->slots, s->n, sizeof *s->slots, by_bus);
    return rc;
}

static unsigned read_number(const char *text, const char *key)
{
    char word[32];
    read_word(text, key, word, sizeof word);
    return (unsigned)strtoul(word, NULL, 10);
}

/* GPUs among the nodes of the driver, in its order. */
static int find_amd(struct slots *s, const char *root)
{
    struct buf text = BUF_INIT(FILE_MAX);
    int rc = 0;
    for (unsigned node = 0; rc == 0 && node < GPUS_MAX; node++) {
        char bus[64];
        if (!sysfs_read(&text, root, "%s/%u/properties", AMD_DIR, node))
            break;
        if (read_number(buf_cstr(&text), "simd_count ") == 0)
            continue;
        unsigned location = read_number(buf_cstr(&text), "location_id ");
        unsigned domain = read_number(buf_cstr(&text), "\ndomain ");
        (void)snprintf(bus, sizeof bus, "%04x:%02x:%02x.%x", domain & 0xffff,
                       location >> 8 & 0xff, location >> 3 & 0x1f, location & 7);
        rc = add_slot(s, bus, "");
    }
    buf_release(&text);
    return rc;
}

/* The GPU a label means: its number on the bus, or (the start of) its UUID. */
static const struct slot *slot_of(const struct slots *s, const char *label)
{
    char *end;
    unsigned long index = strtoul(label, &end, 10);
    if (*label >= '0' && *label <= '9' && !*end)
        return index < s->n ? &s->slots[index] : NULL;
    for (size_t i = 0; i < s->n; i++)
        if (s->slots[i].uuid[0] && *label &&
            strncmp(s->slots[i].uuid, label, strlen(label)) == 0)
            return &s->slots[i];
    return NULL;
}

static void locate(struct topo *t, struct topo_family_devices *f, const struct slots *s,
                   const char *root)
{
    struct buf text = BUF_INIT(FILE_MAX);
    for (size_t i = 0; i < f->n; i++) {
        const struct slot *slot = slot_of(s, f->devices[i].label);
        if (!slot ||
            !sysfs_read(&text, root, "/sys/bus/pci/devices/%s/numa_node", slot->bus))
            continue;
        long node = strtol(buf_cstr(&text), NULL, 10);
        if (node >= 0)
            f->devices[i].domain = topo_domain_of_node(t, (uint32_t)node);
    }
    buf_release(&text);
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
    if (n)
        log_info("Detected %zu GPUs from procfs", n);
    return 0;
}

static int find_family(struct topo *t, enum topo_family family, const char *root)
{
    struct topo_family_devices *f = &t->families[family];
    const char *value = getenv(families[family].variable);
    struct slots s = {NULL, 0};
    int rc = 0;
    if (value && *value)
        rc = read_variable(f, families[family].variable, value);
    if (rc == 0)
        rc = family == FAMILY_NVIDIA ? find_nvidia(&s, root) : find_amd(&s, root);
    /* Set but empty means no GPU. */
    bool none = value && !*value;
    if (rc == 0 && family == FAMILY_NVIDIA && f->n == 0 && !none)
        rc = count_devices(f, s.n);
    if (rc == 0)
        locate(t, f, &s, root);
    free(s.slots);
    return rc;
}

int gpus_find(struct topo *t, const struct topo_source *source, struct error *err)
{
    for (enum topo_family family = 0; family < FAMILY_COUNT; family++)
        if ((source->detect & families[family].detect) &&
            find_family(t, family, source->root) < 0)
            return error_nomem(err);
    return 0;
}
