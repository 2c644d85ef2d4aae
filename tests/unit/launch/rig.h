/*
 * A launcher with a scratch directory, and blocking waits for its events. All events
 * are kept; a wait that lasts a minute fails the test program.
 */
#ifndef HQ_TEST_LAUNCH_RIG_H
#define HQ_TEST_LAUNCH_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/path.h"
#include "base/xmem.h"
#include "launch/launch.h"
#include "test_main.h"

extern char **environ;

#define RIG_WAIT_US 60000000ULL
#define WORDS(...) ((const char *const[]){__VA_ARGS__})
#define COUNT(...) (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define ARGV(...) .argv = WORDS(__VA_ARGS__), .n_argv = COUNT(__VA_ARGS__)
#define ENV(...) .env = WORDS(__VA_ARGS__), .n_env = COUNT(__VA_ARGS__)
#define UNSET(...) .unset = WORDS(__VA_ARGS__), .n_unset = COUNT(__VA_ARGS__)

struct rig {
    struct launcher *l;
    char dir[64];
    struct launch_event *events;
    size_t n, cap;
};

static inline void rig_keep(void *arg, const struct launch_event *event)
{
    struct rig *r = arg;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->events = xrealloc(r->events, r->cap * sizeof *r->events);
    }
    r->events[r->n++] = *event;
}

static inline void rig_check(int rc, const struct error *err)
{
    if (rc) {
        (void)fprintf(stderr, "unexpected: %s\n", err->text);
        abort();
    }
}

static inline void rig_open_with(struct rig *r, const struct launcher_config *config)
{
    struct error err = ERROR_INIT;
    *r = (struct rig){.dir = "/tmp/hq-launch-XXXXXX"};
    HQ_ASSERT(mkdtemp(r->dir));
    rig_check(launcher_start(config, &r->l, &err), &err);
}

static inline void rig_open(struct rig *r)
{
    struct launcher_config config = {.env = environ};
    rig_open_with(r, &config);
}

static inline void rig_close(struct rig *r)
{
    struct error err = ERROR_INIT;
    launcher_destroy(r->l);
    free(r->events);
    rig_check(path_remove_tree(r->dir, &err), &err);
}

/* One round: sends, waits for events up to ms, takes them. ERR_CLOSED is returned. */
static inline int rig_round(struct rig *r, int ms)
{
    struct error err = ERROR_INIT;
    struct pollfd ready = {.fd = launcher_fd(r->l), .events = POLLIN};
    int rc = launcher_flush(r->l, &err);
    if (rc == 0) {
        (void)poll(&ready, 1, ms);
        rc = launcher_poll(r->l, rig_keep, r, &err);
    }
    return rc;
}

/* The first event of that kind for the handle, or NULL. */
static inline struct launch_event *rig_find(struct rig *r, uint64_t handle,
                                            enum launch_event_kind kind)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->events[i].handle == handle && r->events[i].kind == kind)
            return &r->events[i];
    return NULL;
}

static inline struct launch_event *rig_final(struct rig *r, uint64_t handle)
{
    struct launch_event *e = rig_find(r, handle, LAUNCH_ENDED);
    e = e ? e : rig_find(r, handle, LAUNCH_FAILED);
    return e ? e : rig_find(r, handle, LAUNCH_RETURNED);
}

#define RIG_AWAIT(r, condition)                            \
    do {                                                   \
        uint64_t until_us = clock_mono_us() + RIG_WAIT_US; \
        while (!(condition)) {                             \
            HQ_ASSERT(rig_round(r, 100) == 0);             \
            HQ_ASSERT(clock_mono_us() < until_us);         \
        }                                                  \
    } while (0)

static inline struct launch_event rig_await(struct rig *r, uint64_t handle,
                                            enum launch_event_kind kind)
{
    RIG_AWAIT(r, rig_find(r, handle, kind));
    return *rig_find(r, handle, kind);
}

static inline struct launch_event rig_await_final(struct rig *r, uint64_t handle)
{
    RIG_AWAIT(r, rig_final(r, handle));
    return *rig_final(r, handle);
}

static inline size_t rig_count(const struct rig *r, enum launch_event_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        n += r->events[i].kind == kind;
    return n;
}

static inline uint32_t rig_template(struct rig *r, const struct launch_spec *spec)
{
    struct error err = ERROR_INIT;
    uint32_t id;
    rig_check(launcher_template(r->l, spec, &id, &err), &err);
    return id;
}

static inline void rig_put(struct rig *r, const struct launch_task *task)
{
    struct error err = ERROR_INIT;
    rig_check(launcher_task(r->l, task, &err), &err);
}

/* Runs one task to its end under a handle of its own. */
static inline struct launch_event rig_run(struct rig *r, const struct launch_spec *spec)
{
    static uint64_t next = 1000000;
    const struct launch_spec nothing = {0};
    uint32_t id = rig_template(r, &nothing);
    rig_put(r, &(struct launch_task){.handle = ++next, .template = id, .own = *spec});
    launcher_template_drop(r->l, id);
    return rig_await_final(r, next);
}

static inline struct launch_event rig_sh(struct rig *r, const char *script)
{
    return rig_run(r,
                   &(struct launch_spec){ARGV("/bin/sh", "-c", script), .cwd = r->dir});
}

/* A path below the scratch directory, in one of a few static buffers. */
static inline const char *rig_path(const struct rig *r, const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", r->dir, name);
    return path;
}

/* The file's text, in a static buffer; "(none)" when it cannot be read. */
static inline const char *rig_read(const char *path)
{
    static struct buf text = BUF_INIT(1 << 20);
    buf_clear(&text);
    if (path_read_file(path, &text, NULL))
        return "(none)";
    return buf_cstr(&text);
}

/* Waits until the file has text in it. */
static inline void rig_await_file(const char *path)
{
    uint64_t until_us = clock_mono_us() + RIG_WAIT_US;
    struct stat st;
    while (stat(path, &st) != 0 || st.st_size == 0) {
        HQ_ASSERT(clock_mono_us() < until_us);
        (void)usleep(1000);
    }
}

/* Whether the process is there and no zombie. */
static inline bool rig_alive(pid_t pid)
{
    char path[64], state = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    int n = fscanf(file, "%*d (%*[^)]) %c", &state);
    (void)fclose(file);
    return n == 1 && state != 'Z' && state != 'X';
}

static inline void rig_await_gone(pid_t pid)
{
    uint64_t until_us = clock_mono_us() + RIG_WAIT_US;
    while (rig_alive(pid)) {
        HQ_ASSERT(clock_mono_us() < until_us);
        (void)usleep(1000);
    }
}

#endif
