/*
 * Events of a journal as lines. The input is events, each behind its length; whatever
 * they are, lines come out whole, as many as were told.
 */
#include "history/event_json.h"
#include "history/track.h"

#define INPUT_MAX 65536
#define LINES_MAX 100000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct listener {
    struct event_json json;
    struct buf lines;
    size_t seen;
};

static int take(void *arg, const struct told *t)
{
    struct listener *l = arg;
    uint64_t tasks = 0;
    for (size_t i = 0; i < t->n_runs; i++) {
        HQ_ASSERT(t->runs[i].count > 0);
        tasks += t->runs[i].count;
    }
    l->seen += tasks;
    if (l->seen++ > LINES_MAX) /* one entry may stand for billions of tasks */
        return ERR_TOO_BIG;
    event_json_print(&l->json, t);
    if (t->type == TOLD_PLACEMENT) {
        HQ_ASSERT(l->lines.len == 0);
        return 0;
    }
    HQ_ASSERT(l->lines.len > 1 && l->lines.data[0] == '{' &&
              l->lines.data[l->lines.len - 1] == '\n' &&
              memchr(l->lines.data, '\n', l->lines.len) ==
                  l->lines.data + l->lines.len - 1);
    buf_clear(&l->lines);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct listener l = {.lines = BUF_INIT(BUF_MAX_DEFAULT)};
    struct cursor c = cursor_make(data, size);
    if (size < 1 || size > INPUT_MAX)
        return 0;
    event_json_init(&l.json, &l.lines, -1);
    struct track *t = track_create(take, &l);
    HQ_ASSERT(t);
    if (cursor_u8(&c) & 1)
        track_from_memory(t);
    int rc = 0;
    while (rc != ERR_TOO_BIG && cursor_left(&c) && !c.failed) {
        err.text[0] = '\0';
        rc = track_event(t, cursor_bytes(&c), &err);
        HQ_ASSERT(rc == 0 || rc == ERR_TOO_BIG || err.text[0]);
    }
    rc = track_live(t, &err);
    HQ_ASSERT(rc == 0 || rc == ERR_TOO_BIG);
    track_destroy(t);
    buf_release(&l.lines);
    return 0;
}
