/* How much memory the machine has and how much of it this process may use. */
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

/* The smallest limit from the group up to the root of its hierarchy. */
static uint64_t limit_along(const char *root, const char *mount, char *group,
                            const char *file)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        uint64_t here = read_limit(root, mount, group, file);
        least = MIN(least, here);
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

static bool lists_memory(const char *controllers)
{
    size_t n = strlen("memory");
    for (const char *p = controllers; *p; p += strcspn(p, ",")) {
        p += *p == ',';
        if (strncmp(p, "memory", n) == 0 && (p[n] == ',' || p[n] == 0))
            return true;
    }
    return false;
}

/* "<number>:<controllers>:<group>" of /proc/self/cgroup; no controllers is version 2.
 */
static uint64_t limit_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return UINT64_MAX;
    *controllers++ = 0;
    *group++ = 0;
    if (*controllers == 0) {
        char *copy = strdup(group);
        uint64_t mixed = UINT64_MAX;
        if (copy)
            mixed = limit_along(root, "/sys/fs/cgroup/unified", copy, "memory.max");
        free(copy);
        uint64_t plain = limit_along(root, "/sys/fs/cgroup", group, "memory.max");
        return MIN(mixed, plain);
    }
    if (lists_memory(controllers))
        return limit_along(root, "/sys/fs/cgroup/memory", group,
                           "memory.limit_in_bytes");
    return UINT64_MAX;
}

uint64_t memory_limit(const char *root)
{
    struct buf text = BUF_INIT(FILE_MAX);
    uint64_t least = UINT64_MAX;
    if (sysfs_read(&text, root, "/proc/self/cgroup")) {
        char *copy = strdup(buf_cstr(&text)), *rest = copy;
        for (char *line; copy && (line = strsep(&rest, "\n"));) {
            uint64_t limit = limit_of_line(root, line);
            least = MIN(least, limit);
        }
        free(copy);
    }
    buf_release(&text);
    return least;
}
