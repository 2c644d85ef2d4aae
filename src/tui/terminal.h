/*
 * struct terminal: the full-screen mode, through ncursesw. The library is opened with
 * dlopen when the mode is entered, so that `hq` neither loads it nor needs it for
 * anything else.
 *
 * Whatever ends the program, the terminal gets its old state back: terminal_close does
 * it, and for a crash handlers of the fatal signals do. Signals that ask the program to
 * end are let in during terminal_wait alone.
 */
#ifndef HQ_TUI_TERMINAL_H
#define HQ_TUI_TERMINAL_H

#include "base/error.h"
#include "tui/grid.h"

struct terminal;

/* 0 when standard input and output are a terminal on which a cursor can be moved; else
 * ERR_UNSUPPORTED and why. Also so when this build has no ncursesw. */
int terminal_check(struct error *err) MUST_CHECK;
/* Enters the full-screen mode. One at a time. */
int terminal_open(struct terminal **out, struct error *err) MUST_CHECK;
void terminal_close(struct terminal *t); /* NULL is fine */

/* Makes the grid as large as the screen is now, and tells it what the terminal can
 * show. `colour` false: none is wanted. */
void terminal_fit(struct terminal *t, struct grid *g, bool colour);
void terminal_show(struct terminal *t, const struct grid *g);
/* The next key that was pressed, as view.h names them; 0: none waits. A change of size
 * is TERMINAL_RESIZED. */
uint32_t terminal_key(struct terminal *t);
#define TERMINAL_RESIZED 0x10ffff /* no character */
/* Waits until a key was pressed or `fd` (-1: none) can be read, at most timeout_ms (-1:
 * no limit). *readable: it can. */
void terminal_wait(struct terminal *t, int fd, int timeout_ms, bool *readable);
/* The signal that asked the program to end, or SIGHUP when the terminal is gone; 0:
 * none. */
int terminal_signal(const struct terminal *t);

#endif
