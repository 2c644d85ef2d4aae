/*
 * ASCII tables of the command line. Horizontal: head row, rule, rows, bottom rule
 * (which is missing without rows). Vertical: rows of a label and its value, no head.
 *     struct table t;
 *     table_init(&t, TABLE_HORIZONTAL, 2, colours);
 *     table_right(&t, 0);
 *     table_head(&t, "ID"); table_head(&t, "Name");
 *     table_cellf(&t, "%u", id); table_cell(&t, name);      row by row
 *     rc = table_finish(&t, STDOUT_FILENO);
 *     table_release(&t);
 * A cell may hold several lines, which make its row higher, and colour sequences, which
 * take no width. Columns are as wide as their widest cell. A text without UTF-8 sense
 * is printed as it is.
 *
 * Rows are kept (about their text plus two bytes a cell) until table_finish. For many
 * rows in little memory give all rows twice: table_measure, rows, table_begin_print,
 * rows, table_finish; or tell the widths with table_at_least and skip the first turn.
 */
#ifndef HQ_BASE_TABLE_H
#define HQ_BASE_TABLE_H

#include "base/buf.h"
#include "base/error.h"

#define TABLE_COLUMNS_MAX 32

enum table_layout { TABLE_HORIZONTAL, TABLE_VERTICAL };
enum table_colour {
    TABLE_PLAIN,
    TABLE_RED,
    TABLE_GREEN,
    TABLE_YELLOW,
    TABLE_BLUE,
    TABLE_MAGENTA,
    TABLE_CYAN,
    TABLE_BRIGHT_RED
};
enum table_mode { TABLE_COLLECT, TABLE_MEASURE, TABLE_PRINT };

struct table_cell {
    size_t at, len; /* in row */
    size_t done;    /* bytes of the lines already drawn */
    uint8_t style;  /* enum table_colour, or bold */
};

struct table {
    enum table_layout layout;
    enum table_mode mode;
    bool colours;
    size_t n_columns;
    size_t n_rows; /* of this turn */
    size_t width[TABLE_COLUMNS_MAX];
    bool right[TABLE_COLUMNS_MAX];
    struct buf heads; /* the head row, packed as in `kept` */
    struct buf kept;  /* TABLE_COLLECT: every row, packed */
    struct buf row;   /* text of the row being filled */
    struct table_cell cell[TABLE_COLUMNS_MAX];
    size_t n_cells;
    size_t n_heads;
    struct buf out;
    int fd;  /* -1: the text stays in out */
    int sys; /* errno of a failed write, else 0 */
};

void table_init(struct table *t, enum table_layout layout, size_t n_columns,
                bool colours);
void table_release(struct table *t);
/* The column is right-justified. */
void table_right(struct table *t, size_t column);
/* Heads of a horizontal table, column by column, before the first row. */
void table_head(struct table *t, const char *text);
void table_at_least(struct table *t, size_t column, size_t width);

/* Cells go into rows from left to right. NULL is an empty cell. */
void table_cell(struct table *t, const char *text);
void table_celln(struct table *t, const char *text, size_t n, enum table_colour colour);
void table_cell_coloured(struct table *t, enum table_colour colour, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) PRINTF(2, 3);
/* A row of a vertical table. */
void table_pair(struct table *t, const char *label, const char *value);
void table_pairf(struct table *t, const char *label, const char *fmt, ...) PRINTF(3, 4);

/* First of two turns: rows widen the columns only. */
void table_measure(struct table *t);
/* Rows are written to fd from now on, in pieces of 64 KiB. */
void table_begin_print(struct table *t, int fd);
/* Prints what was kept, and the end. 0, ERR_NOMEM or ERR_SYSTEM (errno in t->sys). */
int table_finish(struct table *t, int fd) MUST_CHECK;
/* As table_finish, but appends the text to `to`. 0 or ERR_NOMEM. */
int table_render(struct table *t, struct buf *to) MUST_CHECK;

#endif
