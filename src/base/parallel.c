#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>

struct call {
    void (*fn)(void *element);
    void *element;
    pthread_t thread;
    bool started;
};

static void *run(void *arg)
{
    struct call *c = arg;
    c->fn(c->element);
    return NULL;
}

void parallel_run(void (*fn)(void *element), void *array, size_t stride, size_t n)
{
    struct call calls[PARALLEL_MAX];
    HQ_ASSERT(n <= PARALLEL_MAX);
    for (size_t i = 0; i < n; i++) {
        calls[i] = (struct call){.fn = fn, .element = (char *)array + i * stride};
        calls[i].started =
            i > 0 && pthread_create(&calls[i].thread, NULL, run, &calls[i]) == 0;
    }
    for (size_t i = 0; i < n; i++)
        if (!calls[i].started)
            run(&calls[i]);
    for (size_t i = 0; i < n; i++)
        if (calls[i].started)
            (void)pthread_join(calls[i].thread, NULL);
}

uint32_t parallel_width(void)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    /* Fails where there are more CPUs than the set has room for: enough of them. */
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return PARALLEL_MAX;
    return MIN((uint32_t)MAX(CPU_COUNT(&cpus), 1), PARALLEL_MAX);
}
