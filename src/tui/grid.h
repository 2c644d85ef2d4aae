/*
 * struct grid: a screen of character cells. Screens are drawn on it without a terminal;
 * what lies outside of it is left away, so that nobody has to care for small ones.
 *
 * Text that comes from users is put through grid_text, which lets no control character
 * through: a job cannot be named so that it takes the terminal over.
 */
#ifndef HQ_TUI_GRID_H
#define HQ_TUI_GRID_H

#include "base/buf.h"

enum grid_colour {
    GRID_PLAIN,
    GRID_RED,
    GRID_GREEN,
    GRID_YELLOW,
    GRID_BLUE,
    GRID_MAGENTA,
    GRID_CYAN,
    GRID_COLOURS
};
enum grid_flag { GRID_BOLD = 1, GRID_DIM = 2, GRID_REVERSE = 4 };

struct grid_style {
    uint8_t colour; /* enum grid_colour */
    uint8_t flags;  /* enum grid_flag */
};

struct grid_cell {
    uint32_t ch; /* Unicode; 0: the right half of the character before */
    struct grid_style style;
};

struct rect {
    int x, y, w, h;
};

struct grid {
    int w, h;
    bool utf8;   /* else plain ASCII */
    bool colour; /* else marks have to tell things apart */
    struct grid_cell *cells;
};

/* w and h may be 0 or less: nothing can be seen then. Clears all. */
void grid_resize(struct grid *g, int w, int h);
void grid_release(struct grid *g);
void grid_clear(struct grid *g);

void grid_char(struct grid *g, int x, int y, uint32_t ch, struct grid_style style);
/* At most `width` columns of the text; what is longer is cut with a mark. Returns the
 * columns it took. */
int grid_text(struct grid *g, int x, int y, int width, struct grid_style style,
              const char *text);
int grid_printf(struct grid *g, int x, int y, int width, struct grid_style style,
                const char *fmt, ...) PRINTF(6, 7);
void grid_fill(struct grid *g, struct rect r, struct grid_style style);
/* A frame; what is inside of it. */
struct rect grid_box(struct grid *g, struct rect r, const char *title, bool focused);
struct rect rect_inside(struct rect r);

/* Lines of text without styles, blanks at their ends left away. */
void grid_print(const struct grid *g, struct buf *out);
bool grid_equal(const struct grid *a, const struct grid *b);
/* UTF-8 of a character (at most 4 bytes); its length. */
size_t grid_encode(uint32_t ch, char out[4]);

static inline struct grid_style style_plain(void)
{
    return (struct grid_style){0, 0};
}
static inline struct grid_style style_of(enum grid_colour colour, unsigned flags)
{
    return (struct grid_style){(uint8_t)colour, (uint8_t)flags};
}

#endif
