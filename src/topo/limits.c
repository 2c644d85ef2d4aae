/* How much memory the machine has, and what control groups leave us of it and of the
 * CPUs' time. */
#include "topo/discover.h"

#include <errno.h>
#include <stdlib.h>

#define FILE_MAX ((size_t)1 << 20)

uint64_t memory_total(const char *root)
{
    static const char key[] = "MemTotal:";
    struct buf text = BUF_INIT(FILE_MAX);
    uint64_t bytes = 0;
    if (sysfs_read(&text, root, "/proc/meminfo")) {
        const char *line = strstr(buf_cstr(&text), key);
        if (line)
            bytes = strtoull(line + sizeof key - 1, NULL, 10) * 1024;
    }
    buf_release(&text);
    return bytes;
}

bool memory_nodes(const char *root, struct cpu_set *nodes)
{
    static const char key[] = "\nMems_allowed_list:";
    struct buf text = BUF_INIT(FILE_MAX);
    const char *line = NULL;
    if (sysfs_read(&text, root, "/proc/self/status"))
        line = strstr(buf_cstr(&text), key);
    if (line)
        line += sizeof key - 1;
    bool ok = line && cpu_set_parse(nodes, line + strspn(line, " \t"));
    buf_release(&text);
    return ok;
}

/* A number of bytes, or UINT64_MAX for "max" and what cannot be read. */
static uint64_t read_limit(const char *root, const char *mount, const char *group,
                           const char *file)
{
    struct buf text = BUF_INIT(FILE_MAX);
    uint64_t bytes = UINT64_MAX;
    if (sysfs_read(&text, root, "%s%s/%s", mount, group, file)) {
        const char *start = buf_cstr(&text);
        char *end;
        errno = 0;
        unsigned long long value = strtoull(start, &end, 10);
        if (end > start && *start != '-' && errno == 0)
            bytes = value;
    }
    buf_release(&text);
    return bytes;
}

/* Bytes of memory. */
static uint64_t read_memory(const char *root, const char *mount, const char *group,
                            bool version2)
{
    return read_limit(root, mount, group,
                      version2 ? "memory.max" : "memory.limit_in_bytes");
}

/* Thousandths of a CPU: "<time> <period>", or two files. */
static uint64_t read_time(const char *root, const char *mount, const char *group,
                          bool version2)
{
    struct buf text = BUF_INIT(FILE_MAX);
    uint64_t time = UINT64_MAX, period = 0;
    if (!version2) {
        time = read_limit(root, mount, group, "cpu.cfs_quota_us");
        period = read_limit(root, mount, group, "cpu.cfs_period_us");
    } else if (sysfs_read(&text, root, "%s%s/cpu.max", mount, group)) {
        char *end;
        const char *start = buf_cstr(&text);
        time = strtoull(start, &end, 10);
        if (end == start)
            time = UINT64_MAX;
        period = strtoull(end, NULL, 10);
    }
    buf_release(&text);
    bool limited = period > 0 && period < UINT32_MAX && time < UINT64_MAX / 1000;
    return limited ? time * 1000 / period : UINT64_MAX;
}

typedef uint64_t read_fn(const char *root, const char *mount, const char *group,
                         bool version2);

static const struct controller {
    const char *name, *mount;
    read_fn *read;
} memory_controller = {"memory", "/sys/fs/cgroup/memory", read_memory},
  time_controller = {"cpu", "/sys/fs/cgroup/cpu", read_time};

/* The smallest limit from the group up to the root of its hierarchy. */
static uint64_t limit_along(const char *root, const char *mount, const char *group,
                            const struct controller *c, bool version2)
{
    uint64_t least = UINT64_MAX;
    char *path = strdup(group);
    while (path) {
        uint64_t here = c->read(root, mount, path, version2);
        least = MIN(least, here);
        char *slash = strrchr(path, '/');
        if (!slash)
            break;
        *slash = 0;
    }
    free(path);
    return least;
}

static bool lists(const char *controllers, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = controllers; *p; p += strcspn(p, ",")) {
        p += *p == ',';
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == 0))
            return true;
    }
    return false;
}

/* "<number>:<controllers>:<group>" of /proc/self/cgroup; no controllers is version 2.
 */
static uint64_t limit_of_line(const char *root, char *line, const struct controller *c)
{
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return UINT64_MAX;
    *controllers++ = 0;
    *group++ = 0;
    if (*controllers == 0) {
        uint64_t mixed = limit_along(root, "/sys/fs/cgroup/unified", group, c, true);
        uint64_t plain = limit_along(root, "/sys/fs/cgroup", group, c, true);
        return MIN(mixed, plain);
    }
    return lists(controllers, c->name) ? limit_along(root, c->mount, group, c, false)
                                       : UINT64_MAX;
}

static uint64_t smallest_limit(const char *root, const struct controller *c)
{
    struct buf text = BUF_INIT(FILE_MAX);
    uint64_t least = UINT64_MAX;
    if (sysfs_read(&text, root, "/proc/self/cgroup")) {
        char *copy = strdup(buf_cstr(&text)), *rest = copy;
        for (char *line; copy && (line = strsep(&rest, "\n"));) {
            uint64_t limit = limit_of_line(root, line, c);
            least = MIN(least, limit);
        }
        free(copy);
    }
    buf_release(&text);
    return least;
}

uint64_t memory_limit(const char *root)
{
    return smallest_limit(root, &memory_controller);
}

uint64_t topo_memory(void)
{
    uint64_t total = memory_total(NULL), limit = memory_limit(NULL);
    return total ? MIN(total, limit) : limit;
}

uint64_t cpu_time_limit(const char *root)
{
    return smallest_limit(root, &time_controller);
}
