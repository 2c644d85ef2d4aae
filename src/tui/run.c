#include "tui/tui.h"

#include <signal.h>
#include "base/clock.h"
#include "tui/view.h"

#define FRAME_US 100000u /* at most ten pictures a second */
#define SECOND_US 1000000u
/* Drawing may take so much of the time, when there is very much to draw. */
#define DRAW_SHARE 10u

struct run_state {
    const struct tui_config *config;
    struct terminal *terminal;
    struct view view;
    struct grid grid, shown;
    bool dirty;       /* something changed since the last picture */
    uint64_t next_us; /* no picture before, on the monotonic clock */
    uint64_t shown_s; /* second of the clock that a live picture shows */
};

static void draw(struct run_state *r)
{
    uint64_t began = clock_mono_us();
    uint64_t now = clock_real_us();
    view_draw(&r->view, &r->grid, now);
    if (!grid_equal(&r->grid, &r->shown)) {
        struct grid last = r->shown;
        terminal_show(r->terminal, &r->grid);
        r->shown = r->grid;
        r->grid = last;
        if (r->grid.w != r->shown.w || r->grid.h != r->shown.h)
            terminal_fit(r->terminal, &r->grid, r->config->colour);
    }
    uint64_t took = clock_mono_us() - began;
    r->next_us = began + MAX(FRAME_US, took * DRAW_SHARE);
    r->shown_s = now / SECOND_US;
    r->dirty = false;
}

/* false: the user leaves. */
static bool take_keys(struct run_state *r)
{
    uint32_t key;
    while ((key = terminal_key(r->terminal)) != 0) {
        if (key == TERMINAL_RESIZED) {
            terminal_fit(r->terminal, &r->grid, r->config->colour);
            r->dirty = true;
            continue;
        }
        switch (view_key(&r->view, key, clock_real_us())) {
        case VIEW_QUIT:
            return false;
        case VIEW_CHANGED:
            r->dirty = true;
            break;
        case VIEW_SAME:
            break;
        }
    }
    return true;
}

/* Until the next picture is due. */
static int timeout_ms(const struct run_state *r)
{
    uint64_t now = clock_mono_us();
    if (r->dirty)
        return r->next_us > now ? (int)((r->next_us - now + 999) / 1000) : 0;
    if (r->view.window.live)
        return (int)((SECOND_US - clock_real_us() % SECOND_US + 999) / 1000);
    return -1;
}

static int loop(struct run_state *r, struct error *err)
{
    const struct tui_feed *feed = r->config->feed;
    bool readable = false, more = false;
    while (take_keys(r) && !terminal_signal(r->terminal)) {
        if (readable || more) {
            int rc = feed->take(feed->arg, err);
            if (rc < 0)
                return rc;
            more = rc > 0;
            r->dirty = true;
        }
        if (r->view.window.live && clock_real_us() / SECOND_US != r->shown_s)
            r->dirty = true;
        if (r->dirty && clock_mono_us() >= r->next_us)
            draw(r);
        terminal_wait(r->terminal, feed ? feed->fd : -1, more ? 0 : timeout_ms(r),
                      &readable);
    }
    return 0;
}

int tui_run(const struct tui_config *config, bool *ended, struct error *err)
{
    struct run_state r = {.config = config, .dirty = true};
    int rc = terminal_open(&r.terminal, err);
    *ended = false;
    if (rc != 0)
        return rc;
    view_init(&r.view, config->dash, config->feed != NULL, config->reconstructed);
    terminal_fit(r.terminal, &r.grid, config->colour);
    rc = loop(&r, err);
    int signo = terminal_signal(r.terminal);
    terminal_close(r.terminal);
    view_release(&r.view);
    grid_release(&r.grid);
    grid_release(&r.shown);
    if (rc == ERR_CLOSED) {
        *ended = true;
        rc = 0;
    }
    if (signo)
        (void)raise(signo);
    return rc;
}
