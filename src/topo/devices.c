/*
 * GPUs and network cards of this machine as Linux shows them. The drivers of the GPUs
 * know best which there are, and a control group hides from us what we may not use; the
 * library may tell where a card lies that /sys has no NUMA node for.
 */
#include "topo/discover.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define DEVICES_MAX 4096
#define FILE_MAX ((size_t)1 << 20)
#define NVIDIA_DIR "/proc/driver/nvidia/gpus"
#define AMD_DIR "/sys/class/kfd/kfd/topology/nodes"
#define NETWORK_DIR "/sys/class/net"
#define FABRIC_DIR "/sys/class/infiniband"

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

static unsigned read_number(const char *text, const char *key)
{
    char word[32];
    read_word(text, key, word, sizeof word);
    return (unsigned)strtoul(word, NULL, 10);
}

/* The NUMA node in a file "numa_node", which holds -1 when nobody knows. */
static uint32_t read_node(const struct buf *text)
{
    char *end;
    long node = strtol(buf_cstr(text), &end, 10);
    return end == buf_cstr(text) || node < 0 || node >= (long)NODES_MAX
               ? DOMAIN_NONE
               : (uint32_t)node;
}

static uint32_t node_of_bus(const struct finding *f, const char *root, const char *bus)
{
    struct buf text = BUF_INIT(FILE_MAX);
    uint32_t node = DOMAIN_NONE;
    if (sysfs_read(&text, root, "/sys/bus/pci/devices/%s/numa_node", bus))
        node = read_node(&text);
    buf_release(&text);
    for (size_t i = 0; i < f->n_ios && node == DOMAIN_NONE; i++)
        if (strcmp(f->ios[i].bus, bus) == 0)
            node = f->ios[i].node;
    return node;
}

static int add_gpu(struct finding *to, const struct finding *f, const char *root,
                   enum topo_io_kind kind, const char *bus, const char *uuid)
{
    struct topo_io io = {.kind = kind};
    (void)snprintf(io.bus, sizeof io.bus, "%s", bus);
    (void)snprintf(io.uuid, sizeof io.uuid, "%s", uuid);
    for (char *p = io.bus; *p; p++)
        if (*p >= 'A' && *p <= 'F')
            *p = (char)(*p - 'A' + 'a');
    io.node = node_of_bus(f, root, io.bus);
    return finding_add_io(to, &io);
}

static DIR *open_dir(const char *root, const char *name)
{
    struct buf path = BUF_INIT(8192);
    buf_printf(&path, "%s%s", root ? root : "", name);
    DIR *dir = path.failed ? NULL : opendir(buf_cstr(&path));
    buf_release(&path);
    return dir;
}

/* The next entry that does not begin with a dot; closes the directory at its end. */
static const char *next_name(DIR **dir)
{
    for (struct dirent *e; *dir && (e = readdir(*dir));)
        if (e->d_name[0] != '.')
            return e->d_name;
    if (*dir)
        closedir(*dir);
    *dir = NULL;
    return NULL;
}

static int find_nvidia(struct finding *to, const struct finding *f, const char *root)
{
    struct buf text = BUF_INIT(FILE_MAX);
    DIR *dir = open_dir(root, NVIDIA_DIR);
    int rc = 0;
    for (const char *name;
         rc == 0 && to->n_ios < DEVICES_MAX && (name = next_name(&dir));) {
        char uuid[48] = "";
        if (sysfs_read(&text, root, "%s/%s/information", NVIDIA_DIR, name))
            read_word(buf_cstr(&text), "GPU UUID", uuid, sizeof uuid);
        rc = add_gpu(to, f, root, IO_NVIDIA, name, uuid);
    }
    if (dir)
        closedir(dir);
    buf_release(&text);
    return rc;
}

/* GPUs among the nodes of the driver; those we may not use cannot be read. */
static int find_amd(struct finding *to, const struct finding *f, const char *root)
{
    struct buf text = BUF_INIT(FILE_MAX);
    DIR *dir = open_dir(root, AMD_DIR);
    int rc = 0;
    for (const char *name;
         rc == 0 && to->n_ios < DEVICES_MAX && (name = next_name(&dir));) {
        char bus[16];
        if (!sysfs_read(&text, root, "%s/%s/properties", AMD_DIR, name) ||
            read_number(buf_cstr(&text), "simd_count ") == 0)
            continue;
        unsigned location = read_number(buf_cstr(&text), "location_id ");
        unsigned domain = read_number(buf_cstr(&text), "\ndomain ");
        (void)snprintf(bus, sizeof bus, "%04x:%02x:%02x.%x", domain & 0xffff,
                       location >> 8 & 0xff, location >> 3 & 0x1f, location & 7);
        rc = add_gpu(to, f, root, IO_AMD, bus, "");
    }
    if (dir)
        closedir(dir);
    buf_release(&text);
    return rc;
}

/* Cards with hardware behind them, which have a device with a NUMA node. */
static int find_cards(struct finding *to, const char *root, const char *where,
                      enum topo_io_kind kind)
{
    struct buf text = BUF_INIT(FILE_MAX);
    DIR *dir = open_dir(root, where);
    int rc = 0;
    for (const char *name;
         rc == 0 && to->n_ios < DEVICES_MAX && (name = next_name(&dir));) {
        struct topo_io io = {.kind = kind};
        if (!sysfs_read(&text, root, "%s/%s/device/numa_node", where, name))
            continue;
        io.node = read_node(&text);
        (void)snprintf(io.name, sizeof io.name, "%.*s", (int)sizeof io.name - 1, name);
        rc = finding_add_io(to, &io);
    }
    if (dir)
        closedir(dir);
    buf_release(&text);
    return rc;
}

int devices_find(struct finding *f, const struct topo_source *source, struct error *err)
{
    struct finding found = {0};
    bool by_library = f->by_library;
    int rc = find_nvidia(&found, f, source->root);
    if (rc == 0)
        rc = find_amd(&found, f, source->root);
    for (size_t i = 0; i < f->n_ios && rc == 0; i++)
        if (f->ios[i].kind == IO_NETWORK || f->ios[i].kind == IO_FABRIC)
            rc = finding_add_io(&found, &f->ios[i]);
    if (rc == 0 && !by_library)
        rc = find_cards(&found, source->root, NETWORK_DIR, IO_NETWORK);
    if (rc == 0 && !by_library)
        rc = find_cards(&found, source->root, FABRIC_DIR, IO_FABRIC);
    if (rc == 0) {
        free(f->ios);
        f->ios = found.ios;
        f->n_ios = found.n_ios;
        found.ios = NULL;
    }
    finding_release(&found);
    return rc < 0 ? error_nomem(err) : 0;
}
