#include "base/table.h"

#include <errno.h>
#include <stdint.h>
#include "base/cursor.h"
#include "base/path.h"
#include "base/text.h"

#define WRITE_AT 65536
#define STYLE_BOLD 15
#define STYLE_BITS 4
#define RESET "\x1b[0m"

static const char *style_code(uint8_t style)
{
    static const char *const codes[] = {
        [TABLE_RED] = "\x1b[31m",       [TABLE_GREEN] = "\x1b[32m",
        [TABLE_YELLOW] = "\x1b[33m",    [TABLE_BLUE] = "\x1b[34m",
        [TABLE_MAGENTA] = "\x1b[35m",   [TABLE_CYAN] = "\x1b[36m",
        [TABLE_BRIGHT_RED] = "\x1b[91m"};
    return style == STYLE_BOLD ? "\x1b[1m" : codes[style];
}

void table_init(struct table *t, enum table_layout layout, size_t n_columns,
                bool colours)
{
    HQ_ASSERT(n_columns > 0 && n_columns <= TABLE_COLUMNS_MAX);
    memset(t, 0, sizeof *t);
    t->layout = layout;
    t->n_columns = n_columns;
    t->colours = colours;
    t->fd = -1;
    /* Rows stay in this process; the ceiling is its memory. */
    buf_init(&t->heads, BUF_MAX_DEFAULT);
    buf_init(&t->kept, SIZE_MAX / 2);
    buf_init(&t->row, BUF_MAX_DEFAULT);
    buf_init(&t->out, SIZE_MAX / 2);
}

void table_release(struct table *t)
{
    buf_release(&t->heads);
    buf_release(&t->kept);
    buf_release(&t->row);
    buf_release(&t->out);
}

void table_right(struct table *t, size_t column)
{
    HQ_ASSERT(column < t->n_columns);
    t->right[column] = true;
}

void table_at_least(struct table *t, size_t column, size_t width)
{
    HQ_ASSERT(column < t->n_columns);
    t->width[column] = MAX(t->width[column], width);
}

/* Length of the line at s[0..n) without its newline. */
static size_t line_length(const char *s, size_t n)
{
    const char *nl = n ? memchr(s, '\n', n) : NULL;
    return nl ? (size_t)(nl - s) : n;
}

static void widen(struct table *t, size_t column, const char *s, size_t n)
{
    while (n > 0) {
        size_t line = line_length(s, n);
        table_at_least(t, column, text_width(s, line));
        size_t step = MIN(line + 1, n);
        s += step;
        n -= step;
    }
}

static void pack_cell(struct buf *to, const char *s, size_t n, uint8_t style)
{
    buf_varint(to, (uint64_t)n << STYLE_BITS | style);
    buf_append(to, s, n);
}

static void repeat(struct buf *out, char c, size_t n)
{
    char *p = buf_extend(out, n);
    if (p)
        memset(p, c, n);
}

static void draw_rule(struct table *t)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        buf_putc(&t->out, '+');
        repeat(&t->out, '-', t->width[i] + 2);
    }
    buf_puts(&t->out, "+\n");
}

static void draw_line(struct table *t, size_t column, const char *s, size_t n,
                      uint8_t style)
{
    size_t width = text_width(s, n);
    size_t pad = t->width[column] > width ? t->width[column] - width : 0;
    const char *code = t->colours && n ? style_code(style) : NULL;
    buf_puts(&t->out, "| ");
    if (t->right[column])
        repeat(&t->out, ' ', pad);
    if (code)
        buf_puts(&t->out, code);
    buf_append(&t->out, s, n);
    if (code)
        buf_puts(&t->out, RESET);
    if (!t->right[column])
        repeat(&t->out, ' ', pad);
    buf_putc(&t->out, ' ');
}

static void write_out(struct table *t)
{
    if (t->fd < 0 || t->out.failed)
        return;
    if (!t->sys && write_all(t->fd, t->out.data, t->out.len) != 0)
        t->sys = errno;
    buf_clear(&t->out);
}

/* Draws a row of n_columns cells whose text begins at `text`. */
static void draw_row(struct table *t, const char *text)
{
    bool more = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < t->n_columns; i++) {
            struct table_cell *c = &t->cell[i];
            size_t left = c->len - c->done;
            const char *s = text + c->at + c->done;
            size_t line = line_length(s, left);
            draw_line(t, i, s, line, c->style);
            c->done += MIN(line + 1, left);
            more |= c->done < c->len;
        }
        buf_puts(&t->out, "|\n");
    }
    if (t->out.len >= WRITE_AT)
        write_out(t);
}

/* Takes a packed row apart and draws it. */
static void draw_packed(struct table *t, struct cursor *c)
{
    const uint8_t *base = c->p;
    for (size_t i = 0; i < t->n_columns; i++) {
        uint64_t head = cursor_varint(c);
        struct span s = cursor_take(c, (size_t)(head >> STYLE_BITS));
        t->cell[i] = (struct table_cell){
            .at = (size_t)(s.p - base),
            .len = s.n,
            .style = (uint8_t)(head & ((1U << STYLE_BITS) - 1)),
        };
    }
    draw_row(t, (const char *)base);
}

static void draw_top(struct table *t)
{
    draw_rule(t);
    if (t->layout == TABLE_HORIZONTAL) {
        HQ_ASSERT(t->n_heads == t->n_columns);
        struct cursor c = cursor_make(t->heads.data, t->heads.len);
        if (!t->heads.failed)
            draw_packed(t, &c);
        draw_rule(t);
    }
}

void table_head(struct table *t, const char *text)
{
    HQ_ASSERT(t->layout == TABLE_HORIZONTAL && t->n_heads < t->n_columns);
    size_t n = strlen(text);
    widen(t, t->n_heads++, text, n);
    pack_cell(&t->heads, text, n, STYLE_BOLD);
}

static void end_row(struct table *t)
{
    const char *text = buf_cstr(&t->row);
    t->n_rows++;
    switch (t->mode) {
    case TABLE_COLLECT:
        for (size_t i = 0; i < t->n_columns && !t->row.failed; i++)
            pack_cell(&t->kept, text + t->cell[i].at, t->cell[i].len, t->cell[i].style);
        break;
    case TABLE_MEASURE:
        break;
    case TABLE_PRINT:
        if (!t->row.failed)
            draw_row(t, text);
        break;
    }
    t->n_cells = 0;
    if (!t->row.failed)
        buf_clear(&t->row);
}

/* The text of the cell is in row already, from `at` on. */
static void end_cell(struct table *t, size_t at, uint8_t style)
{
    size_t column = t->n_cells++;
    size_t len = t->row.len - at;
    const char *text = buf_cstr(&t->row) + at;
    if (len && text[len - 1] == '\n')
        len--; /* a line break at the end opens no line */
    if (t->layout == TABLE_VERTICAL && column == 0)
        style = STYLE_BOLD;
    t->cell[column] = (struct table_cell){.at = at, .len = len, .style = style};
    if (t->mode != TABLE_PRINT)
        widen(t, column, text, len);
    if (t->n_cells == t->n_columns)
        end_row(t);
}

void table_celln(struct table *t, const char *text, size_t n, enum table_colour colour)
{
    size_t at = t->row.len;
    buf_append(&t->row, text, n);
    end_cell(t, at, (uint8_t)colour);
}

void table_cell_coloured(struct table *t, enum table_colour colour, const char *text)
{
    table_celln(t, text, text ? strlen(text) : 0, colour);
}

void table_cell(struct table *t, const char *text)
{
    table_cell_coloured(t, TABLE_PLAIN, text);
}

static void cell_vprintf(struct table *t, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));
static void cell_vprintf(struct table *t, const char *fmt, va_list args)
{
    size_t at = t->row.len;
    buf_vprintf(&t->row, fmt, args);
    end_cell(t, at, TABLE_PLAIN);
}

void table_cellf(struct table *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    cell_vprintf(t, fmt, args);
    va_end(args);
}

void table_pair(struct table *t, const char *label, const char *value)
{
    HQ_ASSERT(t->n_columns == 2);
    table_cell(t, label);
    table_cell(t, value);
}

void table_pairf(struct table *t, const char *label, const char *fmt, ...)
{
    va_list args;
    HQ_ASSERT(t->n_columns == 2);
    table_cell(t, label);
    va_start(args, fmt);
    cell_vprintf(t, fmt, args);
    va_end(args);
}

void table_measure(struct table *t)
{
    HQ_ASSERT(t->n_rows == 0 && t->n_cells == 0);
    t->mode = TABLE_MEASURE;
}

void table_begin_print(struct table *t, int fd)
{
    HQ_ASSERT(t->mode != TABLE_COLLECT || t->n_rows == 0);
    t->mode = TABLE_PRINT;
    t->n_rows = 0;
    t->fd = fd;
    draw_top(t);
}

/* Draws everything that is not written yet. */
static int draw_rest(struct table *t)
{
    HQ_ASSERT(t->n_cells == 0);
    if (t->mode == TABLE_COLLECT) {
        struct cursor c = cursor_make(t->kept.data, t->kept.len);
        draw_top(t);
        for (size_t i = 0; i < t->n_rows && !t->kept.failed; i++)
            draw_packed(t, &c);
    }
    HQ_ASSERT(t->mode != TABLE_MEASURE);
    if (t->n_rows || t->layout == TABLE_VERTICAL)
        draw_rule(t);
    return t->row.failed || t->kept.failed || t->heads.failed || t->out.failed
               ? ERR_NOMEM
               : 0;
}

int table_finish(struct table *t, int fd)
{
    t->fd = fd;
    int rc = draw_rest(t);
    write_out(t);
    return t->sys ? ERR_SYSTEM : rc;
}

int table_render(struct table *t, struct buf *to)
{
    t->fd = -1;
    int rc = draw_rest(t);
    if (rc)
        return rc;
    buf_append(to, t->out.data, t->out.len);
    buf_clear(&t->out);
    return to->failed ? ERR_NOMEM : 0;
}
