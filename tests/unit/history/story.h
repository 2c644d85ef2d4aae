/* Encoded events, written one by one, and the lines that they become. */
#ifndef HQ_TEST_STORY_H
#define HQ_TEST_STORY_H

#include <stdlib.h>
#include "history/event_json.h"
#include "history/track.h"
#include "test_main.h"

#define STORY_US 1770000000000000u /* 2026-02-02T02:40:00Z */
#define STORY_AT "\"time\":\"2026-02-02T02:40:00Z\"}\n"

struct story {
    struct track *track;
    struct event_json json;
    struct buf lines;
    struct error err;
    int rc; /* of the last event */
};

static inline int story_take(void *arg, const struct told *t)
{
    struct story *s = arg;
    event_json_print(&s->json, t);
    return 0;
}

static inline void story_begin(struct story *s)
{
    memset(s, 0, sizeof *s);
    buf_init(&s->lines, BUF_MAX_DEFAULT);
    event_json_init(&s->json, &s->lines, -1);
    s->track = track_create(story_take, s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s->track);
}

static inline void story_end(struct story *s)
{
    track_destroy(s->track);
    buf_release(&s->lines);
}

/* Takes the event, and its memory. */
static inline void story_event(struct story *s, struct buf *b)
{
    s->rc = track_event(s->track, (struct span){b->data, b->len}, &s->err);
    buf_release(b);
}

/* The lines since the last call are these. */
static inline void story_expect(struct story *s, const char *want)
{
    CU_ASSERT_STRING_EQUAL(buf_cstr(&s->lines), want);
    if (strcmp(buf_cstr(&s->lines), want) != 0)
        (void)fprintf(stderr, "---- got\n%s---- not\n%s", buf_cstr(&s->lines), want);
    buf_clear(&s->lines);
}

/* The types of the lines since the last call, each with a blank behind. */
static inline void story_expect_types(struct story *s, const char *want)
{
    struct buf types = BUF_INIT(BUF_MAX_DEFAULT);
    const char *p = buf_cstr(&s->lines);
    while ((p = strstr(p, "\"type\":\"")) != NULL) {
        p += 8;
        buf_append(&types, p, strcspn(p, "\""));
        buf_putc(&types, ' ');
    }
    CU_ASSERT_STRING_EQUAL(buf_cstr(&types), want);
    if (strcmp(buf_cstr(&types), want) != 0)
        (void)fprintf(stderr, "---- got %s\n---- not %s\n", buf_cstr(&types), want);
    buf_release(&types);
    buf_clear(&s->lines);
}

static inline struct buf story_head(enum event_type type)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&b, type, STORY_US);
    return b;
}

/* Tasks first_id, first_id + 1, … of the program; the job is new or open. */
static inline void story_submit(struct story *s, uint32_t job, const char *name,
                                uint32_t first_id, uint32_t count)
{
    static const char *const words[] = {"/bin/prog", "arg"};
    struct submit sub;
    struct task_body body;
    struct buf b = story_head(EVENT_JOB_SUBMITTED);
    submit_init(&sub);
    sub.name = name ? strdup(name) : NULL;
    sub.max_fails = -1;
    sub.submit_dir = strdup("/d");
    task_body_init(&body);
    CU_ASSERT_EQUAL(request_default(&body.request), 0);
    struct task_group g = {.first_id = first_id,
                           .count = count,
                           .body = submit_add_body(&sub, &body),
                           .argv = submit_add_argv(&sub, words, 2)};
    CU_ASSERT_NOT_EQUAL(submit_add_group(&sub, &g), UINT32_MAX);
    buf_u32(&b, job);
    submit_encode(&sub, &b);
    submit_release(&sub);
    story_event(s, &b);
    CU_ASSERT_EQUAL(s->rc, 0);
}

static inline void story_ends(struct story *s, uint32_t worker,
                              const struct task_end *ends, const uint32_t *counts,
                              size_t n)
{
    struct buf b = story_head(EVENT_TASKS_ENDED);
    struct task_end_writer w;
    buf_u32(&b, worker);
    task_end_writer_init(&w, &b);
    for (size_t i = 0; i < n; i++)
        task_end_write_run(&w, &ends[i], counts ? counts[i] : 1);
    task_end_writer_finish(&w);
    story_event(s, &b);
    CU_ASSERT_EQUAL(s->rc, 0);
}

static inline void story_start(struct story *s, uint32_t worker,
                               const struct task_start *start)
{
    struct buf b = story_head(EVENT_TASKS_STARTED);
    buf_u32(&b, worker);
    task_start_encode(start, &b);
    story_event(s, &b);
    CU_ASSERT_EQUAL(s->rc, 0);
}

/* An event that is a job's number alone. */
static inline void story_job(struct story *s, enum event_type type, uint32_t job)
{
    struct buf b = story_head(type);
    buf_u32(&b, job);
    story_event(s, &b);
    CU_ASSERT_EQUAL(s->rc, 0);
}

static inline void story_open(struct story *s, uint32_t job, const char *name)
{
    struct buf b = story_head(EVENT_JOB_OPENED);
    buf_u32(&b, job);
    buf_str(&b, name);
    buf_zigzag(&b, 3);
    buf_str(&b, "/d");
    story_event(s, &b);
    CU_ASSERT_EQUAL(s->rc, 0);
}

static inline struct task_end story_finished(uint32_t job, uint32_t slot)
{
    return (struct task_end){.job = job,
                             .slot = slot,
                             .state = TASK_FINISHED,
                             .started = true,
                             .start_us = STORY_US,
                             .end_us = STORY_US};
}

#endif
