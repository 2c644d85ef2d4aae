/* Resources of a worker: grammar with the recorded messages, listings, bytes. */
#include <stdlib.h>
#include "model/resource.h"
#include "test_main.h"

#define TOKEN "Unexpected token found"
#define END "Unexpected end of input found"
#define WHILE " while attempting to parse "
#define ELSE ", expected something else:\n"

struct parse_case {
    const char *text;
    const char *full; /* NULL: refused */
    const char *summary_or_message;
};

static void check_parse(const struct parse_case *t,
                        int (*parse)(const char *, struct pool *, struct error *))
{
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    struct pool p = POOL_INIT;
    int rc = parse(t->text, &p, &err);
    if (t->full) {
        struct pool_set set = {&p, 1, NULL, 0};
        CU_ASSERT_EQUAL(rc, 0);
        if (rc == 0) {
            pool_print_full(&p, &out);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&out), t->full);
            buf_clear(&out);
            pool_print_summary(&set, 0, &out);
            CU_ASSERT_STRING_EQUAL(buf_cstr(&out), t->summary_or_message);
        }
    } else {
        CU_ASSERT_EQUAL(rc, ERR_PARSE);
        CU_ASSERT_STRING_EQUAL(err.text, t->summary_or_message);
        CU_ASSERT_PTR_NULL(p.name);
    }
    if (t->full ? rc != 0 : strcmp(err.text, t->summary_or_message) != 0)
        printf("\n'%s': %s\n", t->text, err.text);
    pool_release(&p);
    buf_release(&out);
}

static void test_kinds(void)
{
    static const struct parse_case cases[] = {
        {"4", "range(0-3)", "4"},
        {"1", "[0]", "1"},
        {"2x4", "[[0,1,2,3],[4,5,6,7]]", "2x4"},
        {"1x4", "range(0-3)", "4"},
        {"[4,5]", "[4,5]", "2"},
        {"[[4,5]]", "[4,5]", "2"},
        {"[[2, 3, 4], [10, 14]]", "[[2,3,4],[10,14]]", "1x2 1x3"},
        {"range(8-11)", "range(8-11)", "4"},
        {"range( 5 - 5 )", "[5]", "1"},
        {" [ 1 , 2 ] ", "[1,2]", "2"},
        {"[[1],[2,3],[4],[5,6,7]]", "[[1],[2,3],[4],[5,6,7]]", "2x1 1x2 1x3"},
        {"[\"a,b\", \"c d\", e-f]", "[a,b,c d,e-f]", "3"},
        {"0", "sum(0)", "0"},
        {"sum(1_000)", "sum(1000)", "1000"},
        {"sum ( 0.5 ) ", "sum(0.5)", "0.5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_parse(&cases[i], pool_parse_cpus);
}

static void test_named_kinds(void)
{
    static const struct parse_case cases[] = {
        {"mem=sum(1_000)", "sum(1000)", "0.98 GiB"},
        {"mem=sum(511.99)", "sum(511.99)", "511.99 MiB"},
        {"mem=sum(512)", "sum(512)", "0.50 GiB"},
        {"mem=sum(0.0001)", "sum(0.0001)", "0.00 MiB"},
        {"mem=sum(4294967295)", "sum(4294967295)", "4194304.00 GiB"},
        {"mem=[a,b]", "[a,b]", "2"},
        {"memory=sum(2048)", "sum(2048)", "2048"},
        {" a = range(1-3) ", "range(1-3)", "3"},
        {"gpus/nvidia=[GPU-aa,GPU-bb]", "[GPU-aa,GPU-bb]", "2"},
        {"x=3x2", "[[0,1],[2,3],[4,5]]", "3x2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_parse(&cases[i], pool_parse);
}

static void test_cpus_refused(void)
{
    static const struct parse_case cases[] = {
        {"", NULL,
         END WHILE "number, expected [ or range or sum:\n(the input was empty)"},
        {"x", NULL,
         TOKEN WHILE
         "resource kind, expected range or sum:\n  x\n  |\n  --- Unexpected "
         "token `x`\n"},
        {"4x", NULL,
         END WHILE "number" ELSE "  4x\n    |\n    --- Unexpected end of input\n"},
        {"2x4x1", NULL,
         TOKEN WHILE "number, expected <end of input> or _:\n  2x4x1\n     |\n     --- "
                     "Unexpected token `x`\n"},
        {"1_0", NULL,
         END WHILE
         "number, expected _ or x:\n  1_0\n     |\n     --- Unexpected end of input\n"},
        {"-1", NULL,
         TOKEN WHILE "number, expected [ or range or sum:\n  -1\n  |\n  --- Unexpected "
                     "token `-`\n"},
        {"4.5", NULL,
         TOKEN WHILE
         "number, expected _ or x:\n  4.5\n   |\n   --- Unexpected token `.`\n"},
        {"[]", NULL,
         END WHILE "resource kind" ELSE
                   "  []\n  |\n  --- List has to contain at least a single element\n"},
        {"[[]]", NULL,
         END WHILE "resource kind" ELSE
                   "  [[]]\n   |\n   --- Each group has to contain at "
                   "least a single element\n"},
        {"[1,]", NULL,
         TOKEN WHILE "resource kind, expected \":\n  [1,]\n     |\n     --- Unexpected "
                     "token `]`\n"},
        {"[1,1]", NULL,
         END WHILE "resource kind" ELSE
                   "  [1,1]\n  |\n  --- List items have to be unique\n"},
        {"[[1],[]]", NULL,
         END WHILE "resource kind" ELSE
                   "  [[1],[]]\n       |\n       --- Each group has "
                   "to contain at least a single element\n"},
        {"[[1,1]]", NULL,
         END WHILE "resource kind" ELSE
                   "  [[1,1]]\n  |\n  --- Group items have to be unique\n"},
        {"[1", NULL,
         END WHILE
         "resource kind, expected , or ]:\n  [1\n    |\n    --- Unexpected end "
         "of input\n"},
        {"[\"a]", NULL,
         END WHILE
         "resource kind, expected \":\n  [\"a]\n      |\n      --- Unexpected end "
         "of input\n"},
        {"range(3-1)", NULL,
         END WHILE "resource kind" ELSE
                   "  range(3-1)\n  |\n  --- Start must be greater or equal to end\n"},
        {"range(1)", NULL,
         TOKEN WHILE "number, expected - or _:\n  range(1)\n         |\n         --- "
                     "Unexpected token `)`\n"},
        {"range(1-2", NULL,
         END WHILE
         "number, expected ) or _:\n  range(1-2\n           |\n           --- "
         "Unexpected end of input\n"},
        {"range(0-2)x", NULL,
         TOKEN
         ", expected <end of input>:\n  range(0-2)x\n            |\n            --- "
         "Unexpected token `x`\n"},
        {"sum(x)", NULL,
         TOKEN WHILE "number" ELSE
                     "  sum(x)\n      |\n      --- Unexpected token `x`\n"},
        {"sum", NULL,
         END WHILE
         "resource kind, expected ( or range:\n  sum\n     |\n     --- Unexpected "
         "end of input\n"},
        {"4294967296", NULL,
         END WHILE
         "resource kind" ELSE
         "  4294967296\n  |\n  --- Cannot parse as 4-byte unsigned integer\n"},
        {"2 x 4", NULL,
         TOKEN WHILE
         "number, expected _ or x:\n  2 x 4\n   |\n   --- Unexpected token ` `\n"},
        {"2x0", NULL,
         END WHILE
         "resource kind" ELSE
         "  2x0\n  |\n  --- Each group has to contain at least a single element\n"},
        {"0x2", NULL,
         END WHILE "resource kind" ELSE
                   "  0x2\n  |\n  --- There has to be at least a single group\n"},
        {"2x4000000000", NULL,
         END WHILE "resource kind" ELSE
                   "  2x4000000000\n  |\n  --- There are too many indices\n"},
        {"257x1", NULL,
         END WHILE "resource kind" ELSE
                   "  257x1\n  |\n  --- There are too many groups\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_parse(&cases[i], pool_parse_cpus);
}

static void test_named_refused(void)
{
    static const struct parse_case cases[] = {
        {"", NULL,
         END WHILE "resource name, expected identifier:\n(the input was empty)"},
        {"foo", NULL,
         END WHILE "resource name, expected =:\n  foo\n     |\n     --- Unexpected end "
                   "of input\n"},
        {"foo=", NULL,
         END WHILE "number, expected [ or range or sum:\n  foo=\n      |\n      --- "
                   "Unexpected end of input\n"},
        {"foo=5", NULL,
         END WHILE
         "number, expected _ or x:\n  foo=5\n       |\n       --- Unexpected end "
         "of input\n"},
        {"=sum(1)", NULL,
         TOKEN WHILE
         "resource name, expected identifier:\n  =sum(1)\n  |\n  --- Unexpected "
         "token `=`\n"},
        {"1a=sum(1)", NULL,
         TOKEN WHILE "resource name, expected identifier:\n  1a=sum(1)\n  |\n  --- "
                     "Unexpected token `1`\n"},
        {"a-b=sum(1)", NULL,
         TOKEN WHILE "resource name, expected =:\n  a-b=sum(1)\n   |\n   --- "
                     "Unexpected token `-`\n"},
        {"a=sum(0.00001)", NULL,
         END WHILE
         "sum" ELSE
         "  a=sum(0.00001)\n        |\n        --- Resource precision exceeded\n"},
        {"a=sum(1.)", NULL,
         TOKEN WHILE "number" ELSE
                     "  a=sum(1.)\n          |\n          --- Unexpected token `)`\n"},
        {"a=sum(.5)", NULL,
         TOKEN WHILE "number" ELSE
                     "  a=sum(.5)\n        |\n        --- Unexpected token `.`\n"},
        {"a=sum(1e3)", NULL,
         TOKEN WHILE
         "number, expected ) or . or _:\n  a=sum(1e3)\n         |\n         --- "
         "Unexpected token `e`\n"},
        {"a=sum(4294967296)", NULL,
         END WHILE "sum" ELSE
                   "  a=sum(4294967296)\n        |\n        --- Cannot parse as "
                   "4-byte unsigned integer\n"},
        {"a=sum(_1)", NULL,
         TOKEN WHILE "number" ELSE
                     "  a=sum(_1)\n        |\n        --- Unexpected token `_`\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_parse(&cases[i], pool_parse);
}

static int set_make(struct pool_set *s, const char *const *texts, size_t n,
                    struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct pool p = POOL_INIT;
        CU_ASSERT_EQUAL_FATAL(pool_parse(texts[i], &p, err), 0);
        int rc = pool_set_add(s, &p, err);
        if (rc < 0) {
            pool_release(&p);
            return rc;
        }
    }
    return pool_set_finish(s, err);
}

static void test_set_checks(void)
{
    static const struct {
        const char *texts[2];
        const char *message;
    } cases[] = {
        {{"a=sum(1)", "a=sum(2)"}, "Resource a defined twice"},
        {{"cpus=sum(1)", "b=sum(1)"},
         "Resource kind `sum` cannot be used with CPUs. CPUs must have identity"},
        {{"a/b=sum(0)", "c=sum(1)"}, "Resource a/b is empty"},
        {{"cpus=[[1],[1]]", "b=sum(1)"},
         "Invalid resource definition for cpus: GenericError(\"Non unique indices\")"},
        {{"cpus=range(0-4294967295)", "b=sum(1)"},
         "resource 'cpus' is too large: at most 1048576 indices in 256 groups are "
         "possible"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pool_set s = POOL_SET_INIT;
        struct error err = ERROR_INIT;
        CU_ASSERT(set_make(&s, cases[i].texts, 2, &err) < 0);
        CU_ASSERT_STRING_EQUAL(err.text, cases[i].message);
        pool_set_release(&s);
    }
}

static const char *const worker[] = {"mem=sum(5)", "cpus=2x4", "gpus=[[a],[b]]",
                                     "one=[x,y]"};

static void test_coupling(void)
{
    struct pool_set s = POOL_SET_INIT;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    static const struct {
        const char *text, *message;
    } refused[] = {
        {"", "Missing ':'"},
        {"cpus", "Missing ':'"},
        {"cpus[0]", "Missing ':'"},
        {"cpus[0]:gpus", "Missing ']'"},
        {"cpus[0:gpus[0]", "Missing ']'"},
        {"cpus]:gpus[0]", "Missing '['"},
        {"cpus[x]:gpus[0]", "Invalid group index: x"},
        {"cpus[256]:gpus[0]", "Invalid group index: 256"},
        {"cpus[2]:gpus[0]", "Invalid group id 2 for resource 'cpus'"},
        {"cpus[0]:tpus[0]", "Resource not found: tpus"},
        {"cpus[0]:one[0]", "Resource 'one' has only a single group"},
        {"cpus[0]:mem[0]", "Resource 'mem' has only a single group"},
        {"cpus[0]:gpus[0]=x", "Invalid weight: x"},
        {"cpus[0]:gpus[0]=65536", "Invalid weight: 65536"},
        {"cpus[0]:gpus[0],gpus[0]:cpus[0]=3", "Repeated coupling definition"},
        {"cpus[0]:gpus[0],", "Missing ':'"},
    };
    CU_ASSERT_EQUAL_FATAL(set_make(&s, worker, 4, &err), 0);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CU_ASSERT(coupling_parse(refused[i].text, &s, &err) < 0);
        CU_ASSERT_STRING_EQUAL(err.text, refused[i].message);
        CU_ASSERT_EQUAL(s.n_couplings, 0);
    }
    CU_ASSERT_EQUAL(coupling_parse("cpus[0]:cpus[1],cpus[1]:cpus[0]", &s, &err), 0);
    CU_ASSERT_EQUAL(s.n_couplings, 2);
    CU_ASSERT_EQUAL_FATAL(
        coupling_parse("cpus[1] : gpus[1] = 512, gpus[0]:cpus[0]", &s, &err), 0);
    CU_ASSERT_EQUAL_FATAL(s.n_couplings, 2);
    struct coupling first = {0, 0, 1, 0, 256}, second = {0, 1, 1, 1, 512};
    CU_ASSERT_EQUAL(memcmp(&s.couplings[0], &first, sizeof first), 0);
    CU_ASSERT_EQUAL(memcmp(&s.couplings[1], &second, sizeof second), 0);
    for (size_t i = 0; i < s.n_pools; i++) {
        buf_printf(&out, "%s%s ", i ? "; " : "", s.pools[i].name);
        pool_print_summary(&s, i, &out);
    }
    CU_ASSERT_STRING_EQUAL(
        buf_cstr(&out), "cpus 2x4 [coupled]; gpus 2x1 [coupled]; mem 5.00 MiB; one 2");
    buf_release(&out);
    pool_set_release(&s);
}

static void test_bytes(void)
{
    static const char *const more[] = {"z=range(3-9)", "mem=sum(5.5)", "cpus=2x4",
                                       "gpus=[[a],[b]]"};
    struct pool_set s = POOL_SET_INIT, back = POOL_SET_INIT, copy = POOL_SET_INIT;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT), again = BUF_INIT(BUF_MAX_DEFAULT);
    CU_ASSERT_EQUAL_FATAL(set_make(&s, more, 4, &err), 0);
    CU_ASSERT_EQUAL_FATAL(coupling_parse("cpus[0]:gpus[0],cpus[1]:gpus[1]=9", &s, &err),
                          0);
    CU_ASSERT_EQUAL(pool_size(pool_set_find(&s, "mem")), 55000);
    CU_ASSERT_EQUAL(pool_size(pool_set_find(&s, "z")), 70000);
    CU_ASSERT_EQUAL(pool_size(pool_set_find(&s, "cpus")), 80000);
    CU_ASSERT_PTR_NULL(pool_set_find(&s, "cpu"));
    uint16_t *nodes = malloc(2 * sizeof *nodes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(nodes);
    nodes[0] = 1023;
    nodes[1] = NODE_NONE;
    s.pools[1].nodes = nodes; /* gpus */
    pool_set_encode(&s, &out);
    struct cursor c = cursor_make(out.data, out.len);
    CU_ASSERT_EQUAL_FATAL(pool_set_decode(&back, &c), 0);
    CU_ASSERT_EQUAL(cursor_left(&c), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(back.pools[1].nodes);
    CU_ASSERT(back.pools[1].nodes[0] == 1023 && back.pools[1].nodes[1] == NODE_NONE);
    CU_ASSERT(!back.pools[0].nodes && !back.pools[2].nodes && !back.pools[3].nodes);
    CU_ASSERT_EQUAL_FATAL(pool_set_copy(&copy, &back), 0);
    pool_set_encode(&copy, &again);
    CU_ASSERT(out.len == again.len && memcmp(out.data, again.data, out.len) == 0);
    pool_set_release(&back);
    for (size_t n = 0; n < out.len; n++) {
        c = cursor_make(out.data, n);
        CU_ASSERT_NOT_EQUAL(pool_set_decode(&back, &c), 0);
    }
    for (size_t i = 0; i < out.len; i++) {
        for (unsigned v = 0; v < 256; v++) {
            uint8_t old = out.data[i];
            out.data[i] = (uint8_t)v;
            c = cursor_make(out.data, out.len);
            if (pool_set_decode(&back, &c) == 0)
                pool_set_release(&back);
            out.data[i] = old;
        }
    }
    buf_release(&out);
    buf_release(&again);
    pool_set_release(&s);
    pool_set_release(&copy);
}

/* A request for "gpus" is served by the largest pool of GPUs where none is called so.
 */
static void test_serving(void)
{
    static const struct {
        const char *pools[4], *name, *serving;
    } cases[] = {
        {{"gpus/nvidia=[0]"}, "gpus", "gpus/nvidia"},
        {{"gpus/amd=[0]", "gpus/nvidia=[0,1]"}, "gpus", "gpus/nvidia"},
        {{"gpus/amd=[0,1]", "gpus/nvidia=[0,1]"}, "gpus", "gpus/amd"},
        {{"gpus=[0]", "gpus/nvidia=[0,1]"}, "gpus", "gpus"},
        {{"gpusnv=[0]"}, "gpus", NULL},
        {{"gpus/nvidia=[0]"}, "gpus/amd", NULL},
        {{"mem/x=[0]"}, "mem", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct pool_set s = POOL_SET_INIT;
        for (size_t k = 0; k < 4 && cases[i].pools[k]; k++) {
            struct pool p = POOL_INIT;
            CU_ASSERT_EQUAL_FATAL(pool_parse(cases[i].pools[k], &p, NULL), 0);
            CU_ASSERT_EQUAL_FATAL(pool_set_add(&s, &p, NULL), 0);
        }
        CU_ASSERT_EQUAL_FATAL(pool_set_finish(&s, NULL), 0);
        const struct pool *p = pool_set_serving(&s, cases[i].name);
        CU_ASSERT_EQUAL_FATAL(p == NULL, cases[i].serving == NULL);
        if (p)
            CU_ASSERT_STRING_EQUAL(p->name, cases[i].serving);
        pool_set_release(&s);
    }
}

TEST_MAIN("pool", TEST(test_serving), TEST(test_kinds), TEST(test_named_kinds),
          TEST(test_cpus_refused), TEST(test_named_refused), TEST(test_set_checks),
          TEST(test_coupling), TEST(test_bytes))
