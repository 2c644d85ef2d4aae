/*
 * Command lines: words end at newlines. Whatever is accepted can be asked for; whatever
 * is refused ends in a text with a newline.
 */
#include <stdlib.h>
#include <string.h>
#include "args/parse.h"
#include "base/xmem.h"
#include "cli/cmds.h"

#define WORDS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct args *a)
{
    struct opt_iter it = opt_iter_make(args_cmd(a));
    for (const struct opt *opt; (opt = opt_next(&it));) {
        struct args_list list = args_list(a, opt->name);
        bool value = !(opt->flags & OPT_SWITCH);
        HQ_ASSERT(!value || (list.n > 0) == (args_str(a, opt->name) != NULL));
        HQ_ASSERT(value || args_flag(a, opt->name) == (list.n > 0));
        HQ_ASSERT(!args_given(a, opt->name) || list.n > 0);
        HQ_ASSERT(!(opt->flags & OPT_REQUIRED) || list.n > 0);
    }
    HQ_ASSERT(strncmp(args_path(a), "hq", 2) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *words[WORDS_MAX];
    const struct parse_mode mode = {.path = "hq"};
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct args *args = NULL;
    size_t n = 0;
    char *copy = xmalloc(size + 1);
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (char *rest = copy; rest && n < WORDS_MAX;)
        words[n++] = strsep(&rest, "\n");
    enum parse_result rc = parse_words(&cmd_root, &mode, n, words, &args, &text);
    if (rc == PARSE_OK) {
        ask(args);
        args_destroy(args);
    } else {
        HQ_ASSERT(text.len > 0 && text.data[text.len - 1] == '\n');
    }
    buf_release(&text);
    free(copy);
    return 0;
}
