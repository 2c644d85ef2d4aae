/* Requests: grammar with the recorded messages, printing, bytes. */
#include <stdlib.h>
#include "model/resource.h"
#include "test_main.h"

struct value_case {
    const char *text;
    const char *shown; /* NULL: refused */
    const char *message;
};

static void check_value(const struct value_case *t)
{
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    enum request_policy policy = POLICY_SCATTER;
    uint64_t amount = 77;
    int rc = request_value_parse(t->text, &policy, &amount, &err);
    if (t->shown) {
        CU_ASSERT_EQUAL(rc, 0);
        request_value_print(policy, amount, &out);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&out), t->shown);
    } else {
        CU_ASSERT_EQUAL(rc, ERR_PARSE);
        CU_ASSERT_STRING_EQUAL(err.text, t->message);
        CU_ASSERT(policy == POLICY_SCATTER && amount == 77);
    }
    if (t->shown ? rc != 0 : strcmp(err.text, t->message) != 0)
        printf("\n'%s': %s\n", t->text, err.text);
    buf_release(&out);
}

static void test_value_accepted(void)
{
    static const struct value_case cases[] = {
        {"1", "1 compact", NULL},
        {" 2 ", "2 compact", NULL},
        {"8compact!", "8 compact!", NULL},
        {"3  tight", "3 tight", NULL},
        {"3tight!", "3 tight!", NULL},
        {"1_000", "1000 compact", NULL},
        {"0.0001", "0.0001 compact", NULL},
        {"0.5", "0.5 compact", NULL},
        {"2.50", "2.5 compact", NULL},
        {"1.1_1", "1.11 compact", NULL},
        {"1__0", "10 compact", NULL},
        {"1.0000", "1 compact", NULL},
        {"2.0305", "2.0305 compact", NULL},
        {"all", "all", NULL},
        {"4294967295", "4294967295 compact", NULL},
        {"4294967295.9999", "4294967295.9999 compact", NULL},
        {"2 scatter", "2 scatter", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_value(&cases[i]);
}

#define TOKEN "Unexpected token found"
#define END "Unexpected end of input found"
#define NUM " while attempting to parse number"

static void test_value_refused(void)
{
    static const struct value_case cases[] = {
        {"", NULL, END NUM ", expected all:\n(the input was empty)"},
        {"0", NULL,
         END ", expected something else:\n  0\n  |\n  --- Zero resources cannot be "
             "requested\n"},
        {"0.0", NULL,
         END ", expected something else:\n  0.0\n  |\n  --- Zero resources cannot be "
             "requested\n"},
        {"-1", NULL,
         TOKEN NUM ", expected all:\n  -1\n  |\n  --- Unexpected token `-`\n"},
        {"x", NULL, TOKEN ", expected all:\n  x\n  |\n  --- Unexpected token `x`\n"},
        {"1.00001", NULL,
         END ", expected something else:\n  1.00001\n  |\n  --- Resource precision "
             "exceeded\n"},
        {"_1", NULL, TOKEN ", expected all:\n  _1\n  |\n  --- Unexpected token `_1`\n"},
        {".5", NULL,
         TOKEN NUM ", expected all:\n  .5\n  |\n  --- Unexpected token `.`\n"},
        {"5.", NULL,
         END NUM ", expected something else:\n  5.\n    |\n    --- Unexpected end of "
                 "input\n"},
        {"1e3", NULL,
         TOKEN NUM
         ", expected . or <end of input> or _ or c or s or t:\n  1e3\n   |\n   "
         "--- Unexpected token `e`\n"},
        {"2 force", NULL,
         TOKEN ", expected <end of input> or c or s or t:\n  2 force\n    |\n    --- "
               "Unexpected token `f`\n"},
        {"2 Compact", NULL,
         TOKEN ", expected <end of input> or c or s or t:\n  2 Compact\n    |\n    --- "
               "Unexpected token `C`\n"},
        {"2 compact ", NULL,
         TOKEN ", expected <end of input>:\n  2 compact \n           |\n           --- "
               "Unexpected token ` `\n"},
        {"all ", NULL,
         TOKEN
         ", expected <end of input>:\n  all \n     |\n     --- Unexpected token ` `\n"},
        {" all", NULL,
         TOKEN NUM
         ", expected something else:\n   all\n   |\n   --- Unexpected token `a`\n"},
        {"2 scatter!", NULL,
         TOKEN ", expected <end of input>:\n  2 scatter!\n           |\n           --- "
               "Unexpected token `!`\n"},
        {"compact", NULL,
         TOKEN ", expected all:\n  compact\n  |\n  --- Unexpected token `compact`\n"},
        {"2 tight extra", NULL,
         TOKEN ", expected <end of input>:\n  2 tight extra\n         |\n         --- "
               "Unexpected token ` `\n"},
        {"4294967296", NULL,
         END
         ", expected something else:\n  4294967296\n  |\n  --- Cannot parse as 4-byte "
         "unsigned integer\n"},
        {"1,5", NULL,
         TOKEN NUM
         ", expected . or <end of input> or _ or c or s or t:\n  1,5\n   |\n   "
         "--- Unexpected token `,`\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_value(&cases[i]);
}

static void test_entry(void)
{
    static const struct {
        const char *text, *name, *message;
        uint64_t amount;
    } cases[] = {
        {"mem=100", "mem", NULL, 1000000},
        {"gpus/nvidia = 0.5 tight", "gpus/nvidia", NULL, 5000},
        {"a= all", "a", NULL, 1},
        {"foo", NULL,
         END ", expected =:\n  foo\n     |\n     --- Unexpected end of input\n", 0},
        {"foo=", NULL,
         END NUM
         ", expected all:\n  foo=\n      |\n      --- Unexpected end of input\n",
         0},
        {"foo=0", NULL,
         END ", expected something else:\n  foo=0\n      |\n      --- Zero resources "
             "cannot "
             "be requested\n",
         0},
        {"1x=1", NULL,
         TOKEN ", expected something else:\n  1x=1\n  |\n  --- Unexpected token `1`\n",
         0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = ERROR_INIT;
        char *name = NULL;
        enum request_policy policy;
        uint64_t amount;
        int rc = request_entry_parse(cases[i].text, &name, &policy, &amount, &err);
        CU_ASSERT_EQUAL(rc, cases[i].name ? 0 : ERR_PARSE);
        if (rc == 0) {
            CU_ASSERT_STRING_EQUAL(name, cases[i].name);
            CU_ASSERT_EQUAL(amount, cases[i].amount);
        } else {
            CU_ASSERT_PTR_NULL(name);
            CU_ASSERT_STRING_EQUAL(err.text, cases[i].message);
        }
        free(name);
    }
}

static void test_amount(void)
{
    uint64_t amount = 0;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT(64);
    CU_ASSERT_EQUAL(amount_parse("1_0.25", &amount, &err), 0);
    CU_ASSERT_EQUAL(amount, 102500);
    CU_ASSERT_EQUAL(amount_parse("0", &amount, &err), 0);
    CU_ASSERT_EQUAL(amount, 0);
    CU_ASSERT_EQUAL(amount_parse("1 ", &amount, &err), ERR_PARSE);
    CU_ASSERT_EQUAL(amount_parse("", &amount, &err), ERR_PARSE);
    amount_print(10203040, &out);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "1020.304");
    buf_release(&out);
    CU_ASSERT_STRING_EQUAL(request_policy_json(POLICY_FORCE_TIGHT), "ForceTight");
    CU_ASSERT_STRING_EQUAL(request_policy_json(POLICY_ALL), "All");
    CU_ASSERT(resource_name_valid("gpus/nvidia") && !resource_name_valid("1x") &&
              !resource_name_valid("a-b") && !resource_name_valid(""));
}

static void make_request(struct request *r)
{
    struct error err = ERROR_INIT;
    struct request_variant v = REQUEST_VARIANT_INIT;
    CU_ASSERT_EQUAL_FATAL(request_default(r), 0);
    CU_ASSERT_EQUAL(request_variant_add(&v, "gpus", POLICY_ALL, 50000, &err), 0);
    CU_ASSERT_EQUAL(request_variant_add(&v, "mem", POLICY_SCATTER, 12345, &err), 0);
    v.min_time_ns = 90000000000;
    v.weight = 25000;
    CU_ASSERT_EQUAL(request_variant_add(&v, "mem", POLICY_TIGHT, 1, &err), ERR_EXISTS);
    CU_ASSERT_STRING_EQUAL(err.text, "Resource 'mem' defined more than once");
    CU_ASSERT_EQUAL(request_add(r, &v, &err), 0);
}

static void test_bytes(void)
{
    struct request r = REQUEST_INIT, copy = REQUEST_INIT, back = REQUEST_INIT;
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    make_request(&r);
    CU_ASSERT_EQUAL(r.variants[1].entries[0].amount, 1);
    CU_ASSERT_EQUAL(request_copy(&copy, &r), 0);
    CU_ASSERT_TRUE(request_equal(&copy, &r));
    request_encode(&r, &out);
    struct cursor c = cursor_make(out.data, out.len);
    CU_ASSERT_EQUAL(request_decode(&back, &c), 0);
    CU_ASSERT_TRUE(request_equal(&back, &r) && cursor_left(&c) == 0);
    back.variants[1].weight++;
    CU_ASSERT_FALSE(request_equal(&back, &r));
    request_release(&back);

    /* Any cut and any changed byte is refused or gives a sound request. */
    for (size_t n = 0; n < out.len; n++) {
        c = cursor_make(out.data, n);
        CU_ASSERT_NOT_EQUAL(request_decode(&back, &c), 0);
    }
    for (size_t i = 0; i < out.len; i++) {
        for (unsigned v = 0; v < 256; v++) {
            uint8_t old = out.data[i];
            out.data[i] = (uint8_t)v;
            c = cursor_make(out.data, out.len);
            if (request_decode(&back, &c) == 0)
                request_release(&back);
            out.data[i] = old;
        }
    }
    CU_ASSERT_PTR_NULL(back.variants);
    buf_release(&out);
    request_release(&r);
    request_release(&copy);
}

static void test_check(void)
{
    struct request r = REQUEST_INIT;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(request_check(&r, &err), ERR_INVALID);
    make_request(&r);
    CU_ASSERT_EQUAL(request_check(&r, &err), 0);
    r.variants[0].n_nodes = 2;
    CU_ASSERT_EQUAL(request_check(&r, &err), ERR_INVALID);
    request_release(&r);
}

TEST_MAIN("request", TEST(test_value_accepted), TEST(test_value_refused),
          TEST(test_entry), TEST(test_amount), TEST(test_bytes), TEST(test_check))
