/* What the tests of the scheduler share: short ways to describe workers and requests,
 * and the decisions of a step as text. */
#ifndef HQ_TEST_SCHED_FIXTURE_H
#define HQ_TEST_SCHED_FIXTURE_H

#include <stdlib.h>
#include "sched/sched.h"
#include "test_main.h"

static struct sched *sched;
static uint64_t now_us;
static struct sched_out out;
static char text[4096];

static inline void begin(void)
{
    sched = sched_create();
    now_us = 1000;
}

static inline void end(void)
{
    sched_sanity_check(sched);
    sched_destroy(sched);
    sched = NULL;
}

/* Resources as "cpus=range(0-3) gpus=range(0-1)"; cpus is short for four of them. */
static inline void worker_in(uint32_t id, const char *resources, const char *group,
                             uint64_t life_us, double min_utilization)
{
    struct pool_set set = POOL_SET_INIT;
    struct error err;
    char copy[256], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", resources);
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        struct pool p = POOL_INIT;
        CU_ASSERT_FATAL(!pool_parse(word, &p, &err) && !pool_set_add(&set, &p, &err));
    }
    CU_ASSERT_FATAL(!pool_set_finish(&set, &err));
    sched_worker_add(sched,
                     &(struct sched_worker){id, &set, group,
                                            life_us ? now_us + life_us : 0,
                                            min_utilization},
                     now_us);
    pool_set_release(&set);
}

static inline void worker(uint32_t id, const char *resources)
{
    worker_in(id, resources, "default", 0, 0);
}

/* Variants divided by '|', each "cpus=2 gpus=1 nodes=2 min=1000000 weight=3"; min, and
 * limit of the whole class, in microseconds. */
static inline uint32_t class_of(const char *request_text)
{
    struct request r = REQUEST_INIT;
    struct error err;
    uint64_t limit_us = 0;
    char copy[256], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", request_text);
    for (char *part; (part = strtok_r(rest, "|", &rest));) {
        struct request_variant v = REQUEST_VARIANT_INIT;
        for (char *word; (word = strtok_r(part, " ", &part));) {
            char *value = strchr(word, '=');
            CU_ASSERT_FATAL(value != NULL);
            *value++ = '\0';
            uint64_t n = strtoull(value, NULL, 10);
            if (!strcmp(word, "nodes"))
                v.n_nodes = (uint32_t)n;
            else if (!strcmp(word, "min"))
                v.min_time_ns = n * 1000;
            else if (!strcmp(word, "limit"))
                limit_us = n;
            else if (!strcmp(word, "weight"))
                v.weight = n * AMOUNT_ONE;
            else
                CU_ASSERT_FATAL(!request_variant_add(
                    &v, word, strcmp(value, "all") ? POLICY_COMPACT : POLICY_ALL,
                    strcmp(value, "all") ? n * AMOUNT_ONE : 1, &err));
        }
        CU_ASSERT_FATAL(!request_add(&r, &v, &err));
    }
    uint32_t id = sched_class(sched, &r, limit_us);
    request_release(&r);
    CU_ASSERT_FATAL(id != SCHED_NO_CLASS);
    return id;
}

/* "w1 c0.0 +2 1:0-3 | retract w1 c0.0 4 | gang 1:0 w1,2", runs as job:first-last. */
static inline const char *step(void)
{
    size_t at = 0;
#define SAY(...) at += (size_t)snprintf(text + at, sizeof text - at, __VA_ARGS__)
    text[0] = '\0';
    sched_step(sched, now_us, &out);
    sched_sanity_check(sched);
    for (size_t i = 0; i < out.n_assigns; i++) {
        const struct sched_assign *a = &out.assigns[i];
        SAY("%sw%u c%u.%u +%u", at ? " | " : "", a->worker, a->class_id, a->variant,
            a->grants);
        for (size_t k = 0; k < a->n_runs; k++)
            SAY(" %u:%u-%u", a->runs[k].job, a->runs[k].slot,
                a->runs[k].slot + a->runs[k].count - 1);
    }
    for (size_t i = 0; i < out.n_retracts; i++)
        SAY("%sretract w%u c%u.%u %u", at ? " | " : "", out.retracts[i].worker,
            out.retracts[i].class_id, out.retracts[i].variant,
            out.retracts[i].max_count);
    for (size_t i = 0; i < out.n_gangs; i++) {
        SAY("%sgang %u:%u w", at ? " | " : "", out.gangs[i].job, out.gangs[i].slot);
        for (size_t k = 0; k < out.gangs[i].n_workers; k++)
            SAY("%s%u", k ? "," : "", out.gangs[i].workers[k]);
    }
#undef SAY
    return text;
}

#define CHECK_STEP(expected) CHECK_TEXT(step(), expected)
#define CHECK_TEXT(is, expected)                                                    \
    do {                                                                            \
        const char *is_ = (is);                                                     \
        CU_ASSERT_STRING_EQUAL(is_, expected);                                      \
        if (strcmp(is_, expected))                                                  \
            printf("\n  line %d\n  got  %s\n  want %s\n", __LINE__, is_, expected); \
    } while (0)

/* Reports of the tasks of a lane: all started; one ended. */
static inline void started(uint32_t w, uint32_t job, uint32_t slot, uint32_t count)
{
    sched_started(sched, w, job, slot, count);
}
static inline void done(uint32_t w, uint32_t job, uint32_t slot, uint32_t released,
                        uint64_t duration_us)
{
    now_us += 10;
    sched_done(sched, w, job, slot, 1, released, duration_us, now_us);
}

#endif
