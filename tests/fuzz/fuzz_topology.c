/*
 * Topologies of other machines: any file is either a machine with CPUs, for which pools
 * and a drawing can be made, or refused with a reason.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "base/path.h"
#include "topo/topo.h"

/* hwloc keeps some of what it allocated for a file that it refuses. */
#if defined(__SANITIZE_ADDRESS__)
#define IGNORES_LEAKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IGNORES_LEAKS 1
#endif
#endif
#ifdef IGNORES_LEAKS
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable()
#define __lsan_enable()
#endif

#define INPUT_MAX (64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct topo *t = NULL;
    struct pool_set set = POOL_SET_INIT;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    int fd = size > INPUT_MAX ? -1 : memfd_create("topology", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    log_set_level(LOG_ERROR);
    (void)setenv("HWLOC_HIDE_ERRORS", "2", 1);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    HQ_ASSERT(write_all(fd, data, size) == 0);
    struct topo_source source = {.xml = path, .detect = DETECT_ALL};
    __lsan_disable();
    int rc = topo_discover(&t, &source, &err);
    __lsan_enable();
    if (rc == 0) {
        HQ_ASSERT(t->n_pus > 0 && t->n_domains > 0);
        if (topo_resources(t, DETECT_ALL, size % 2 == 0, &set, &err) == 0 &&
            pool_set_finish(&set, &err) == 0)
            HQ_ASSERT(topo_locate(t, &set, &err) == 0);
        topo_draw(t, &out);
        HQ_ASSERT(!out.failed && out.len > 0);
    } else {
        HQ_ASSERT(err.text[0] && !t);
    }
    pool_set_release(&set);
    topo_destroy(t);
    buf_release(&out);
    (void)close(fd);
    return 0;
}
