/* Keys about resources: amounts, single requests, variants, and what overrides what. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "submit/task_keys.h"

#define AMOUNT_TEXT_MAX 128
#define MIB_SHIFT 20
#define AMOUNT_MAX (AMOUNT_UNITS_MAX * AMOUNT_ONE)

/* --- amounts ------------------------------------------------------------ */

/* "1 GiB compact": a size in MiB, the unit of `mem`, rounded up. */
static bool read_size(const char *text, enum request_policy *policy, uint64_t *amount)
{
    static const struct {
        const char *word;
        enum request_policy policy;
    } policies[] = {{"compact", POLICY_COMPACT},
                    {"compact!", POLICY_FORCE_COMPACT},
                    {"tight", POLICY_TIGHT},
                    {"tight!", POLICY_FORCE_TIGHT},
                    {"scatter", POLICY_SCATTER}};
    char size[AMOUNT_TEXT_MAX];
    uint64_t bytes;
    size_t n = strlen(text);
    if (n >= sizeof size)
        return false;
    memcpy(size, text, n + 1);
    *policy = POLICY_COMPACT;
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        size_t len = strlen(policies[i].word);
        if (n <= len || strcmp(size + n - len, policies[i].word) ||
            size[n - len - 1] != ' ')
            continue;
        *policy = policies[i].policy;
        n -= len;
        break;
    }
    while (n && size[n - 1] == ' ')
        n--;
    size[n] = 0;
    bool has_unit = n && (size[n - 1] < '0' || size[n - 1] > '9');
    if (!has_unit || text_parse_size(size, &bytes, NULL))
        return false;
    uint64_t mask = ((uint64_t)1 << MIB_SHIFT) - 1;
    if (bytes == 0 || bytes >> MIB_SHIFT >= AMOUNT_UNITS_MAX)
        return false;
    *amount = (bytes >> MIB_SHIFT) * AMOUNT_ONE +
              (((bytes & mask) * AMOUNT_ONE + mask) >> MIB_SHIFT);
    return true;
}

static int decode_text_amount(const struct conf_doc *doc, const struct conf_node *value,
                              enum request_policy *policy, uint64_t *amount,
                              struct error *err)
{
    struct error cause = ERROR_INIT;
    char reason[AMOUNT_TEXT_MAX], shown[AMOUNT_TEXT_MAX];
    if (request_value_parse(value->text, policy, amount, &cause) == 0)
        return 0;
    if (conf_format(doc) != CONF_TOML && read_size(value->text, policy, amount))
        return 0;
    if (!*picture_reason(cause.text, reason, sizeof reason))
        return conf_expected(doc, value, err,
                             "an amount such as 2, 0.5, '4 compact!' or all");
    return conf_fail(doc, value, err,
                     "%s is not an amount such as 2, 0.5, '4 compact!' or all: %s",
                     conf_describe(value, shown, sizeof shown), reason);
}

/* A number of a job file; the fifth digit rounds up. */
static int decode_number_amount(const struct conf_doc *doc,
                                const struct conf_node *value, uint64_t *amount,
                                struct error *err)
{
    double number;
    if (!conf_float(value, &number) || isnan(number))
        return conf_expected(doc, value, err, "a number");
    if (number <= 0)
        return conf_fail(doc, value, err, "Zero resources cannot be requested");
    double scaled = number * (double)AMOUNT_ONE - 1e-7;
    if (!(scaled <= (double)AMOUNT_MAX))
        return conf_fail(doc, value, err, "this amount is too large");
    *amount = (uint64_t)MAX(scaled, 0.0);
    *amount += (double)*amount < scaled;
    *amount = MAX(*amount, 1);
    return 0;
}

int request_amount_decode(const struct conf_doc *doc, const struct conf_node *value,
                          enum request_policy *policy, uint64_t *amount,
                          struct error *err)
{
    bool number = value->kind == CONF_INT || value->kind == CONF_FLOAT;
    *policy = POLICY_COMPACT;
    if (conf_format(doc) == CONF_TOML && number)
        return decode_number_amount(doc, value, amount, err);
    if (!(number || value->kind == CONF_STRING) || strlen(value->text) != value->n)
        return conf_expected(doc, value, err,
                             "an amount such as 2, 0.5, '4 compact!' or all");
    return decode_text_amount(doc, value, policy, amount, err);
}

/* --- one variant -------------------------------------------------------- */

static int add_amount(const struct conf_doc *doc, struct request_variant *v,
                      const char *name, const struct conf_node *value,
                      struct error *err)
{
    enum request_policy policy;
    uint64_t amount;
    int rc = request_amount_decode(doc, value, &policy, &amount, err);
    if (rc)
        return rc;
    rc = request_variant_add(v, name, policy, amount, err);
    return rc ? conf_locate(doc, value, err) : 0;
}

static int check_name(const struct conf_doc *doc, const struct conf_node *key,
                      struct error *err)
{
    if (strlen(key->text) == key->n && resource_name_valid(key->text))
        return 0;
    return conf_fail(
        doc, key, err,
        "'%s' cannot be the name of a resource: letters, digits and '/' are "
        "possible, the first is a letter",
        key->text);
}

/* Adds what the map asks for, except what `hidden` (may be NULL) asks for as well. */
static int add_resources(const struct conf_doc *doc, struct request_variant *v,
                         const struct conf_node *map, const struct conf_node *hidden,
                         bool cpus, struct error *err)
{
    if (!map)
        return 0;
    if (map->kind != CONF_MAP)
        return conf_expected(doc, map, err, "a map of resources to amounts");
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < map->n; i++) {
        const struct conf_pair *p = &map->pairs[i];
        rc = check_name(doc, p->key, err);
        if (rc == 0 && (strcmp(p->key->text, "cpus") != 0 || cpus) &&
            !(hidden && conf_get(hidden, p->key->text)))
            rc = add_amount(doc, v, p->key->text, p->value, err);
    }
    return rc;
}

static const struct conf_node *cpus_of(const struct request_keys *k)
{
    if (k->cpus)
        return k->cpus;
    return k->resources ? conf_get(k->resources, "cpus") : NULL;
}

static int check_single(const struct conf_doc *doc, const struct request_keys *k,
                        struct error *err)
{
    if (k->cpus && k->resources && conf_get(k->resources, "cpus"))
        return conf_fail(doc, k->cpus, err,
                         "'cpus' is given twice, here and under 'resources'");
    if (k->cpus && k->nodes != NODES_NOT_GIVEN && k->nodes)
        return conf_fail(doc, k->nodes_at, err, "'nodes' cannot be used with 'cpus'");
    return 0;
}

/* --- variants ----------------------------------------------------------- */

static int make_variant(const struct conf_doc *doc, const struct request_keys *k,
                        struct request_variant *v, struct error *err)
{
    int rc = check_single(doc, k, err);
    if (rc)
        return rc;
    v->n_nodes = k->nodes == NODES_NOT_GIVEN ? 0 : k->nodes;
    v->weight = k->weight == WEIGHT_NOT_GIVEN ? AMOUNT_ONE : k->weight;
    v->min_time_ns = k->min_time_ns == TIME_NOT_GIVEN ? 0 : k->min_time_ns;
    if (k->cpus)
        rc = add_amount(doc, v, "cpus", k->cpus, err);
    return rc ? rc : add_resources(doc, v, k->resources, NULL, true, err);
}

static int add_variant(struct conf_doc *doc, const struct conf_node *map,
                       const struct conf_schema *schema, struct request *out,
                       struct error *err)
{
    struct request_keys k = REQUEST_KEYS_INIT;
    struct request_variant v = REQUEST_VARIANT_INIT;
    int rc = conf_decode(doc, map, schema, &k, NULL, NULL, err);
    if (rc == 0)
        rc = make_variant(doc, &k, &v, err);
    if (rc == 0 && (rc = request_add(out, &v, err)) != 0)
        rc = conf_locate(doc, map, err);
    request_variant_release(&v);
    return rc;
}

int request_decode_variants(struct conf_doc *doc, const struct conf_node *list,
                            const struct conf_schema *schema, struct request *out,
                            struct error *err)
{
    if (list->kind == CONF_MAP && conf_format(doc) != CONF_TOML)
        return add_variant(doc, list, schema, out, err);
    if (list->kind != CONF_SEQ)
        return conf_expected(doc, list, err, "a list of requests");
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < list->n; i++)
        rc = add_variant(doc, list->items[i], schema, out, err);
    if (rc == 0 && list->n == 0)
        return conf_fail(doc, list, err, "this list of requests is empty");
    if (rc == 0 && (rc = request_check(out, err)) != 0)
        rc = conf_locate(doc, list, err);
    return rc;
}

/* --- keys of a task over those of the defaults -------------------------- */

static bool gives_single(const struct request_keys *k)
{
    return k->cpus || k->resources || k->nodes != NODES_NOT_GIVEN ||
           k->weight != WEIGHT_NOT_GIVEN || k->min_time_ns != TIME_NOT_GIVEN;
}

/* The defaults' part that counts. */
static struct request_keys base_of(const struct task_keys *k)
{
    struct request_keys base = k->request_base;
    if (k->request.variants || (gives_single(&k->request) && base.variants))
        base = (struct request_keys)REQUEST_KEYS_INIT;
    return base;
}

/* The number of nodes that the task takes as wholes. */
static uint32_t nodes_of(const struct task_keys *k, const struct request_keys *base)
{
    const struct request_keys *own = &k->request;
    if (own->nodes != NODES_NOT_GIVEN)
        return own->nodes;
    if (base->nodes == NODES_NOT_GIVEN || cpus_of(own) || k->pin_at)
        return 0;
    return base->nodes;
}

bool request_is_gang(const struct task_keys *k)
{
    struct request_keys base = base_of(k);
    return !k->request.variants && nodes_of(k, &base) > 0;
}

static int check_own(const struct conf_doc *doc, const struct task_keys *k,
                     struct error *err)
{
    const struct request_keys *own = &k->request;
    if (own->variants && gives_single(own))
        return conf_fail(doc, own->variants, err,
                         "'request' cannot be used with 'cpus', 'resources', 'nodes', "
                         "'weight' or 'time-request'");
    if (k->pin_at && k->pin != PIN_NONE && k->pin != PIN_OFF &&
        own->nodes != NODES_NOT_GIVEN && own->nodes)
        return conf_fail(doc, k->pin_at, err, "'pin' cannot be used with 'nodes'");
    return check_single(doc, own, err);
}

static int merge_single(const struct conf_doc *doc, const struct task_keys *k,
                        const struct request_keys *base, struct request_variant *v,
                        struct error *err)
{
    const struct request_keys *own = &k->request;
    v->n_nodes = nodes_of(k, base);
    v->weight = own->weight != WEIGHT_NOT_GIVEN    ? own->weight
                : base->weight != WEIGHT_NOT_GIVEN ? base->weight
                                                   : AMOUNT_ONE;
    v->min_time_ns = own->min_time_ns != TIME_NOT_GIVEN    ? own->min_time_ns
                     : base->min_time_ns != TIME_NOT_GIVEN ? base->min_time_ns
                                                           : 0;
    bool gang = own->nodes != NODES_NOT_GIVEN && own->nodes > 0;
    const struct conf_node *cpus = cpus_of(own);
    if (!cpus && !gang)
        cpus = cpus_of(base);
    int rc = cpus ? add_amount(doc, v, "cpus", cpus, err)
                  : request_variant_add(v, "cpus", POLICY_COMPACT, AMOUNT_ONE, err);
    if (rc == 0)
        rc = add_resources(doc, v, base->resources, own->resources, false, err);
    return rc ? rc : add_resources(doc, v, own->resources, NULL, false, err);
}

int request_merge(struct conf_doc *doc, const struct task_keys *k,
                  const struct conf_schema *schema, struct request *out,
                  struct error *err)
{
    struct request_keys base = base_of(k);
    struct request_variant v = REQUEST_VARIANT_INIT;
    int rc = check_own(doc, k, err);
    const struct conf_node *variants =
        k->request.variants ? k->request.variants : base.variants;
    bool empty = variants && variants->kind == CONF_SEQ && variants->n == 0;
    if (rc == 0 && variants && !(empty && conf_format(doc) == CONF_TOML))
        return request_decode_variants(doc, variants, schema, out, err);
    if (rc == 0)
        rc = merge_single(doc, k, &base, &v, err);
    if (rc == 0)
        rc = request_add(out, &v, err);
    request_variant_release(&v);
    return rc;
}
