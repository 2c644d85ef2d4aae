/* Pieces that requests and resources of workers share; for `model`. */
#ifndef HQ_MODEL_RESOURCE_GRAMMAR_H
#define HQ_MODEL_RESOURCE_GRAMMAR_H

#include "base/cursor.h"
#include "base/grammar.h"

/* Takes [A-Za-z][A-Za-z0-9/]* and returns its length; 0 when there is none. */
size_t grammar_resource_name(struct grammar *g);
/* AMOUNT := digits ["." digits]; *found false: noted what was expected. */
int grammar_amount(struct grammar *g, const char *label, uint64_t *amount, bool *found,
                   struct error *err) MUST_CHECK;
/* A valid name as buf_str wrote it; malloc'ed. ERR_CORRUPT or ERR_NOMEM. */
int resource_name_decode(char **name, struct cursor *c) MUST_CHECK;

#endif
