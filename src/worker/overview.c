/* Reports of the node's load, every --overview-interval or as the server wants them. */
#include "worker/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/xmem.h"

#define FILE_BYTES_MAX ((size_t)4 << 20)
/* The first report waits that long for the load of GPUs: a driver that nothing keeps
 * loaded takes seconds for its first answer. Later ones tell the last answer. */
#define FIRST_WAIT_MS 2000

/* Ticks of one CPU since boot. */
struct cpu_ticks {
    uint64_t busy, all;
};

struct overview {
    struct cpu_ticks *last; /* by number of the CPU */
    size_t n_last;
    struct io_timer *timer;
    uint64_t period_ms;
    bool due; /* a report waits for the load of GPUs, until the next is due at most */
    bool reported;
    uint64_t waited_ms; /* of the first one, when others were due */
};

static bool read_file(const char *path, struct buf *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && buf_read_fd(text, fd) == 0;
    if (fd >= 0)
        close(fd);
    return done;
}

/* The part of the time since the last report that the CPU was busy. */
static uint32_t load_of(struct overview *o, size_t cpu, const struct cpu_ticks *now)
{
    if (cpu >= o->n_last) {
        o->last = xrealloc(o->last, (cpu + 1) * sizeof *o->last);
        memset(o->last + o->n_last, 0, (cpu + 1 - o->n_last) * sizeof *o->last);
        o->n_last = cpu + 1;
    }
    const struct cpu_ticks before = o->last[cpu];
    o->last[cpu] = *now;
    if (now->all <= before.all || now->busy < before.busy)
        return 0;
    return (uint32_t)((now->busy - before.busy) * 10000 / (now->all - before.all));
}

/* "cpu3 user nice system idle iowait irq softirq steal …" */
static void add_cpu(struct overview *o, struct hw_state *s, const char *line)
{
    char *p;
    unsigned long cpu = strtoul(line + 3, &p, 10);
    struct cpu_ticks now = {0, 0};
    for (int field = 0; field < 8 && *p == ' '; field++) {
        uint64_t ticks = strtoull(p, &p, 10);
        now.all += ticks;
        now.busy += field == 3 || field == 4 ? 0 : ticks;
    }
    if (cpu >= HW_STATE_CPUS_MAX)
        return;
    s->cpu_load = xrealloc(s->cpu_load, (s->n_cpus + 1) * sizeof *s->cpu_load);
    s->cpu_load[s->n_cpus++] = load_of(o, cpu, &now);
}

static void look_at_cpus(struct overview *o, struct hw_state *s)
{
    struct buf text = BUF_INIT(FILE_BYTES_MAX);
    if (read_file("/proc/stat", &text))
        for (const char *p = buf_cstr(&text); p; p = strchr(p, '\n')) {
            p += *p == '\n';
            if (strncmp(p, "cpu", 3) == 0 && p[3] >= '0' && p[3] <= '9')
                add_cpu(o, s, p);
        }
    buf_release(&text);
}

static uint64_t memory_field(const char *text, const char *name)
{
    const char *p = strstr(text, name);
    return p ? strtoull(p + strlen(name), NULL, 10) * 1024 : 0;
}

static void look_at_memory(struct hw_state *s)
{
    struct buf text = BUF_INIT(FILE_BYTES_MAX);
    if (read_file("/proc/meminfo", &text)) {
        s->memory_total = memory_field(buf_cstr(&text), "MemTotal:");
        s->memory_free = memory_field(buf_cstr(&text), "MemAvailable:");
    }
    buf_release(&text);
}

/* "eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs …"
 */
static void add_interface(struct hw_state *s, const char *line, const char *colon)
{
    unsigned long long n[11];
    while (*line == ' ')
        line++;
    if (colon - line == 2 && memcmp(line, "lo", 2) == 0)
        return;
    char *p = (char *)colon + 1;
    for (size_t i = 0; i < ARRAY_SIZE(n); i++)
        n[i] = strtoull(p, &p, 10);
    s->received.bytes += n[0];
    s->received.packets += n[1];
    s->received.errors += n[2];
    s->sent.bytes += n[8];
    s->sent.packets += n[9];
    s->sent.errors += n[10];
}

static void look_at_network(struct hw_state *s)
{
    struct buf text = BUF_INIT(FILE_BYTES_MAX);
    if (read_file("/proc/net/dev", &text))
        for (const char *p = buf_cstr(&text); p; p = strchr(p, '\n')) {
            p += *p == '\n';
            const char *colon = memchr(p, ':', strcspn(p, "\n"));
            if (colon)
                add_interface(s, p, colon);
        }
    buf_release(&text);
}

static void report(struct worker *w)
{
    struct hw_state s = {.time_us = worker_now_us()};
    look_at_cpus(w->overview, &s);
    look_at_memory(&s);
    look_at_network(&s);
    gpu_watch_fill(w, &s);
    if (w->registered) {
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        hw_state_encode(&s, &b);
        struct msg_WORKER_OVERVIEW m = {.overview = span_buf(&b)};
        msg_put_WORKER_OVERVIEW(io_conn_batch(w->conn), &m);
        buf_release(&b);
        w->overview->reported = true;
    }
    hw_state_release(&s);
    w->overview->due = false;
}

static bool wait_for_gpus(struct worker *w)
{
    struct overview *o = w->overview;
    if (o->reported || !gpu_watch_busy(w))
        return false;
    o->waited_ms += o->period_ms;
    return o->waited_ms < FIRST_WAIT_MS;
}

static void on_time(void *arg)
{
    struct worker *w = arg;
    if (w->overview->due && !wait_for_gpus(w))
        report(w);
    w->overview->due = true;
    if (w->registered)
        gpu_watch_ask(w);
    overview_gpus_told(w);
}

void overview_gpus_told(struct worker *w)
{
    if (w->overview->due && !gpu_watch_busy(w))
        report(w);
}

void overview_stop(struct worker *w)
{
    if (!w->overview)
        return;
    gpu_watch_stop(w);
    io_timer_destroy(w->overview->timer);
    free(w->overview->last);
    free(w->overview);
    w->overview = NULL;
}

void overview_set(struct worker *w, uint64_t period_ns)
{
    if (!period_ns)
        period_ns = w->setup->config.overview_interval_ns;
    uint64_t period_ms = MAX(period_ns / 1000000, 1u);
    if (w->overview && period_ns && w->overview->period_ms == period_ms)
        return;
    if (w->overview || period_ns)
        log_debug("Load is reported every %llu ms (0: never)",
                  period_ns ? (unsigned long long)period_ms : 0);
    overview_stop(w);
    if (!period_ns)
        return;
    struct hw_state s = {0};
    w->overview = xcalloc(1, sizeof *w->overview);
    look_at_cpus(w->overview, &s); /* what the first report counts from */
    hw_state_release(&s);
    gpu_watch_start(w);
    w->overview->period_ms = period_ms;
    w->overview->timer = io_timer_create(w->loop, on_time, w);
    io_timer_start(w->overview->timer, period_ms, period_ms);
}
