#include "tui/terminal.h"

#include "tui/view.h"

#ifdef HQ_TUI

/* Only functions are called; macros that reach for variables of the library are off. */
#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <term.h>
#include <dlfcn.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "base/xmem.h"

#define LIBRARY "libncursesw.so.6"
#define ESCAPE_MS 25

struct curses_calls {
    int (*setupterm)(const char *, int, int *);
    char *(*tigetstr)(const char *);
    TERMINAL *(*set_curterm)(TERMINAL *);
    int (*del_curterm)(TERMINAL *);
    SCREEN *(*newterm)(const char *, FILE *, FILE *);
    int (*endwin)(void);
    void (*delscreen)(SCREEN *);
    int (*cbreak)(void);
    int (*noecho)(void);
    int (*nonl)(void);
    int (*keypad)(WINDOW *, bool);
    int (*nodelay)(WINDOW *, bool);
    int (*leaveok)(WINDOW *, bool);
    int (*curs_set)(int);
    int (*set_escdelay)(int);
    bool (*has_colors)(void);
    int (*start_color)(void);
    int (*use_default_colors)(void);
    int (*init_pair)(short, short, short);
    int (*wgetch)(WINDOW *);
    int (*wmove)(WINDOW *, int, int);
    int (*wattrset)(WINDOW *, int);
    int (*waddnstr)(WINDOW *, const char *, int);
    int (*wrefresh)(WINDOW *);
    int (*getmaxx)(const WINDOW *);
    int (*getmaxy)(const WINDOW *);
    WINDOW **stdscr;
};

struct terminal {
    struct curses_calls c;
    SCREEN *screen;
    WINDOW *window;
    bool utf8, colour;
    sigset_t outside; /* mask of signals before */
    char *line;       /* scratch */
    size_t cap_line;
};

static volatile sig_atomic_t ending; /* the signal that asks to end */

/* What the handlers of a crash need. */
static struct termios old_state;
static char old_screen[256]; /* what brings the other screen and the cursor back */
static size_t n_old_screen;

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int crash_signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static void on_end(int signo)
{
    ending = signo;
}

static void on_crash(int signo)
{
    ssize_t n = write(STDOUT_FILENO, old_screen, n_old_screen);
    (void)n;
    (void)tcsetattr(STDOUT_FILENO, TCSANOW, &old_state);
    (void)raise(signo); /* with its default action, as the handler is gone by now */
}

static void set_handlers(bool ours)
{
    struct sigaction end = {.sa_handler = ours ? on_end : SIG_DFL};
    struct sigaction crash = {.sa_handler = ours ? on_crash : SIG_DFL,
                              .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&end.sa_mask);
    (void)sigemptyset(&crash.sa_mask);
    for (size_t i = 0; i < ARRAY_SIZE(end_signals); i++)
        (void)sigaction(end_signals[i], &end, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(crash_signals); i++)
        (void)sigaction(crash_signals[i], &crash, NULL);
}

/* Signals are let in while waiting only: one that comes in between is not missed. */
static void hold_signals(sigset_t *before)
{
    sigset_t held;
    (void)sigemptyset(&held);
    (void)sigaddset(&held, SIGWINCH);
    for (size_t i = 0; i < ARRAY_SIZE(end_signals); i++)
        (void)sigaddset(&held, end_signals[i]);
    (void)sigprocmask(SIG_BLOCK, &held, before);
}

/* ---- the library ----------------------------------------------------------------- */

static int open_library(struct terminal *t, struct error *err)
{
    const struct {
        void *slot;
        const char *name;
    } symbols[] = {{&t->c.setupterm, "setupterm"},
                   {&t->c.tigetstr, "tigetstr"},
                   {&t->c.set_curterm, "set_curterm"},
                   {&t->c.del_curterm, "del_curterm"},
                   {&t->c.newterm, "newterm"},
                   {&t->c.endwin, "endwin"},
                   {&t->c.delscreen, "delscreen"},
                   {&t->c.cbreak, "cbreak"},
                   {&t->c.noecho, "noecho"},
                   {&t->c.nonl, "nonl"},
                   {&t->c.keypad, "keypad"},
                   {&t->c.nodelay, "nodelay"},
                   {&t->c.leaveok, "leaveok"},
                   {&t->c.curs_set, "curs_set"},
                   {&t->c.set_escdelay, "set_escdelay"},
                   {&t->c.has_colors, "has_colors"},
                   {&t->c.start_color, "start_color"},
                   {&t->c.use_default_colors, "use_default_colors"},
                   {&t->c.init_pair, "init_pair"},
                   {&t->c.wgetch, "wgetch"},
                   {&t->c.wmove, "wmove"},
                   {&t->c.wattrset, "wattrset"},
                   {&t->c.waddnstr, "waddnstr"},
                   {&t->c.wrefresh, "wrefresh"},
                   {&t->c.getmaxx, "getmaxx"},
                   {&t->c.getmaxy, "getmaxy"},
                   {&t->c.stdscr, "stdscr"}};
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return error_set(err, ERR_UNSUPPORTED,
                         "the dashboard needs the ncursesw library, which cannot be "
                         "loaded: %s",
                         dlerror());
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (!symbol)
            return error_set(err, ERR_UNSUPPORTED, "%s lacks the function %s", LIBRARY,
                             symbols[i].name);
        memcpy(symbols[i].slot, &symbol, sizeof symbol);
    }
    return 0;
}

/* Before the library is asked for more, which may end the program. */
static int check_type(const struct terminal *t, struct error *err)
{
    const char *name = getenv("TERM");
    int found = 0;
    if (!name || !*name)
        return error_set(err, ERR_UNSUPPORTED,
                         "the variable TERM does not say what terminal this is");
    if (t->c.setupterm(name, STDOUT_FILENO, &found) != OK)
        return error_set(err, ERR_UNSUPPORTED,
                         "the terminal '%s' (TERM) is not known on this machine", name);
    const char *cup = t->c.tigetstr("cup");
    bool able = cup && cup != (const char *)-1;
    (void)t->c.del_curterm(t->c.set_curterm(NULL));
    if (!able)
        return error_set(err, ERR_UNSUPPORTED,
                         "the terminal '%s' (TERM) cannot show full-screen programs",
                         name);
    return 0;
}

/* The library stays where it is: it keeps some memory for as long as it is loaded. */
static void library_close(struct terminal *t)
{
    free(t->line);
    free(t);
}

static int library_open(struct terminal **out, struct error *err)
{
    struct terminal *t = xcalloc(1, sizeof *t);
    int rc = open_library(t, err);
    if (rc == 0)
        rc = check_type(t, err);
    if (rc == 0)
        *out = t;
    else
        library_close(t);
    return rc;
}

int terminal_check(struct error *err)
{
    struct terminal *t;
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        return error_set(err, ERR_UNSUPPORTED,
                         "the dashboard needs a terminal, and standard %s is none",
                         isatty(STDIN_FILENO) ? "output" : "input");
    int rc = library_open(&t, err);
    if (rc == 0)
        library_close(t);
    return rc;
}

/* ---- entering and leaving -------------------------------------------------------- */

/* A locale that is named but not installed would make UTF-8 terminals show '?'. */
static bool use_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    if (!setlocale(LC_CTYPE, "")) {
        const char *name = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(names) && !(name && *name); i++)
            name = getenv(names[i]);
        if (name && (strcasestr(name, "utf-8") || strcasestr(name, "utf8")))
            (void)setlocale(LC_CTYPE, "C.UTF-8");
    }
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void add_capability(const struct terminal *t, const char *name)
{
    const char *text = t->c.tigetstr(name);
    size_t n = text && text != (const char *)-1 ? strlen(text) : 0;
    if (n > sizeof old_screen - n_old_screen)
        return;
    memcpy(old_screen + n_old_screen, text ? text : "", n);
    n_old_screen += n;
}

static void start_colours(struct terminal *t)
{
    static const short colours[GRID_COLOURS] = {
        [GRID_RED] = COLOR_RED,         [GRID_GREEN] = COLOR_GREEN,
        [GRID_YELLOW] = COLOR_YELLOW,   [GRID_BLUE] = COLOR_BLUE,
        [GRID_MAGENTA] = COLOR_MAGENTA, [GRID_CYAN] = COLOR_CYAN};
    t->colour = t->c.has_colors() && t->c.start_color() == OK;
    if (!t->colour)
        return;
    short ground = t->c.use_default_colors() == OK ? -1 : COLOR_BLACK;
    for (short i = 1; i < GRID_COLOURS; i++)
        (void)t->c.init_pair(i, colours[i], ground);
}

int terminal_open(struct terminal **out, struct error *err)
{
    struct terminal *t = NULL;
    int rc = library_open(&t, err);
    if (rc != 0)
        return rc;
    (void)tcgetattr(STDOUT_FILENO, &old_state);
    t->utf8 = use_locale();
    ending = 0;
    n_old_screen = 0;
    hold_signals(&t->outside);
    set_handlers(true); /* the library leaves them alone then */
    t->screen = t->c.newterm(NULL, stdout, stdin);
    if (!t->screen) {
        set_handlers(false);
        (void)sigprocmask(SIG_SETMASK, &t->outside, NULL);
        library_close(t);
        return error_set(err, ERR_UNSUPPORTED, "cannot use the terminal");
    }
    add_capability(t, "sgr0");
    add_capability(t, "rmcup");
    add_capability(t, "rmkx");
    add_capability(t, "cnorm");
    t->window = *t->c.stdscr;
    (void)t->c.set_escdelay(ESCAPE_MS);
    (void)t->c.cbreak();
    (void)t->c.noecho();
    (void)t->c.nonl();
    (void)t->c.keypad(t->window, true);
    (void)t->c.nodelay(t->window, true);
    (void)t->c.leaveok(t->window, true);
    (void)t->c.curs_set(0);
    start_colours(t);
    *out = t;
    return 0;
}

void terminal_close(struct terminal *t)
{
    if (!t)
        return;
    (void)t->c.curs_set(1);
    (void)t->c.endwin();
    t->c.delscreen(t->screen);
    set_handlers(false);
    (void)sigprocmask(SIG_SETMASK, &t->outside, NULL);
    library_close(t);
}

int terminal_signal(const struct terminal *t UNUSED)
{
    return ending;
}

/* ---- output ---------------------------------------------------------------------- */

void terminal_fit(struct terminal *t, struct grid *g, bool colour)
{
    g->utf8 = t->utf8;
    g->colour = t->colour && colour;
    grid_resize(g, t->c.getmaxx(t->window), t->c.getmaxy(t->window));
}

static int attributes(const struct terminal *t, const struct grid *g,
                      struct grid_style style)
{
    attr_t a = 0;
    if (style.flags & GRID_BOLD)
        a |= A_BOLD;
    if (style.flags & GRID_DIM)
        a |= A_DIM;
    if (style.flags & GRID_REVERSE)
        a |= A_REVERSE;
    if (t->colour && g->colour)
        a |= (attr_t)NCURSES_BITS(style.colour, 0);
    return (int)a;
}

static void show_line(struct terminal *t, const struct grid *g, int y)
{
    const struct grid_cell *line = &g->cells[(size_t)y * (size_t)g->w];
    (void)t->c.wmove(t->window, y, 0);
    for (int x = 0; x < g->w;) {
        struct grid_style style = line[x].style;
        size_t n = 0;
        for (; x < g->w && line[x].style.colour == style.colour &&
               line[x].style.flags == style.flags;
             x++)
            if (line[x].ch)
                n += grid_encode(line[x].ch, t->line + n);
        (void)t->c.wattrset(t->window, attributes(t, g, style));
        (void)t->c.waddnstr(t->window, t->line, (int)n);
    }
}

/* The library compares with what is there and sends what differs. */
void terminal_show(struct terminal *t, const struct grid *g)
{
    size_t need = (size_t)g->w * 4 + 4;
    if (need > t->cap_line) {
        t->line = xrealloc(t->line, need);
        t->cap_line = need;
    }
    for (int y = 0; y < g->h; y++)
        show_line(t, g, y);
    (void)t->c.wrefresh(t->window);
}

/* ---- input ----------------------------------------------------------------------- */

uint32_t terminal_key(struct terminal *t)
{
    static const struct {
        int code;
        uint32_t key;
    } named[] = {{KEY_UP, KEY_GO_UP},          {KEY_DOWN, KEY_GO_DOWN},
                 {KEY_PPAGE, KEY_GO_PAGE_UP},  {KEY_NPAGE, KEY_GO_PAGE_DOWN},
                 {KEY_HOME, KEY_GO_FIRST},     {KEY_END, KEY_GO_LAST},
                 {KEY_BACKSPACE, KEY_GO_BACK}, {0x7f, KEY_GO_BACK},
                 {'\b', KEY_GO_BACK},          {'\r', KEY_RETURN},
                 {KEY_ENTER, KEY_RETURN},      {KEY_RESIZE, TERMINAL_RESIZED}};
    for (;;) {
        int code = t->c.wgetch(t->window);
        if (code == ERR || code == 0)
            return 0;
        for (size_t i = 0; i < ARRAY_SIZE(named); i++)
            if (named[i].code == code)
                return named[i].key;
        if (code < 0x80)
            return (uint32_t)code;
    }
}

void terminal_wait(struct terminal *t, int fd, int timeout_ms, bool *readable)
{
    struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.fd = fd, .events = POLLIN}};
    struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    int n = ppoll(p, 2, timeout_ms < 0 ? NULL : &limit, &t->outside);
    *readable = n > 0 && p[1].revents;
    if (n > 0 && (p[0].revents & (POLLHUP | POLLERR | POLLNVAL)))
        ending = SIGHUP;
}

#else

int terminal_check(struct error *err)
{
    return error_set(err, ERR_UNSUPPORTED,
                     "this hq was built without the dashboard, since ncursesw was "
                     "missing; install libncurses-dev (ncurses-devel) and build again");
}

int terminal_open(struct terminal **out UNUSED, struct error *err)
{
    return terminal_check(err);
}

void terminal_close(struct terminal *t UNUSED)
{
}

void terminal_fit(struct terminal *t UNUSED, struct grid *g UNUSED, bool colour UNUSED)
{
}

void terminal_show(struct terminal *t UNUSED, const struct grid *g UNUSED)
{
}

uint32_t terminal_key(struct terminal *t UNUSED)
{
    return 0;
}

void terminal_wait(struct terminal *t UNUSED, int fd UNUSED, int timeout_ms UNUSED,
                   bool *readable)
{
    *readable = false;
}

int terminal_signal(const struct terminal *t UNUSED)
{
    return 0;
}

#endif
