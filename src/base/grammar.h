/*
 * Hand-written parsers for the small grammars of the command line (amounts, resource
 * definitions), and their messages. A parser walks over `text` with `pos`; wherever it
 * could have gone on with something else it notes what (grammar_expect). Only the notes
 * at the furthest place are kept, so that alternatives may be tried one after the other
 * and the message names all that would have been right there.
 *
 * The layout of the message is that of base/syntax.h.
 */
#ifndef HQ_BASE_GRAMMAR_H
#define HQ_BASE_GRAMMAR_H

#include "base/error.h"
#include "base/util.h"

#define GRAMMAR_EXPECTED_MAX 8
#define GRAMMAR_WORD_MAX 16

struct grammar {
    const char *text; /* borrowed */
    size_t pos;
    const char *context; /* label of what is being read now, or NULL */

    /* The furthest note. */
    bool noted;
    size_t at;        /* where parsing stopped */
    size_t mark, len; /* what the message points at */
    const char *label, *outer_label;
    char expected[GRAMMAR_EXPECTED_MAX][GRAMMAR_WORD_MAX];
    size_t n_expected;
};

void grammar_init(struct grammar *g, const char *text);
static inline char grammar_peek(const struct grammar *g)
{
    return g->text[g->pos];
}
void grammar_skip_blanks(struct grammar *g);
/* `what` (NULL: nothing known) would have been right at pos; label may be NULL. */
void grammar_expect(struct grammar *g, const char *what, const char *label);
/* Takes the character c or notes that it was expected. */
bool grammar_char(struct grammar *g, char c);
/* Takes the text literally or notes the first character that differs. */
bool grammar_literal(struct grammar *g, const char *word);
/* Takes a whole word [A-Za-z_][A-Za-z0-9_]* that equals `word` or notes it. */
bool grammar_word(struct grammar *g, const char *word);
/* A digit, then digits and '_'. */
bool grammar_digits(struct grammar *g, size_t *start, size_t *len);
/* Digits as u32. Notes, or fails with the reason that fits: a negative code. */
int grammar_u32(struct grammar *g, const char *label, uint32_t *out, bool *found,
                struct error *err) MUST_CHECK;
/* The end of the text, else notes it. */
bool grammar_end(struct grammar *g);
/* The message of the furthest note; ERR_PARSE. */
int grammar_fail(const struct grammar *g, struct error *err);
/* A message with a reason of its own, pointing at offset `at`; ERR_PARSE. */
int grammar_reason(const struct grammar *g, size_t at, const char *label,
                   const char *reason, struct error *err);

#endif
