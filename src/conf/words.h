/*
 * Private to conf: the wording of messages about keys and values. TOML files have the
 * wording that people know from other readers of the same files.
 */
#ifndef HQ_CONF_WORDS_H
#define HQ_CONF_WORDS_H

#include "conf/doc.h"

/* Each returns ERR_PARSE. */
int words_unknown_key(const struct conf_doc *doc, const struct conf_schema *schema,
                      const struct conf_node *key, struct error *err);
int words_missing_key(const struct conf_doc *doc, const struct conf_schema *schema,
                      const struct conf_node *map, const char *key, struct error *err);
int words_duplicate_key(const struct conf_doc *doc, const struct conf_node *key,
                        const char *same_as, struct error *err);
int words_wrong_type(const struct conf_doc *doc, const struct conf_node *node,
                     enum conf_type wanted, struct error *err);
/* A number outside of [min, max]. */
int words_out_of_range(const struct conf_doc *doc, const struct conf_node *node,
                       const struct conf_field *field, int64_t min, uint64_t max,
                       struct error *err);
int words_unknown_name(const struct conf_doc *doc, const struct conf_node *node,
                       const char *const *names, struct error *err);

#endif
