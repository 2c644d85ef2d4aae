#include "base/syntax.h"

#include <stdio.h>
#include <string.h>

/* Of a long input only the surroundings of the error are shown. */
#define INPUT_SHOWN_MAX 512
#define EXCERPT_BEFORE 60
#define EXCERPT_AFTER 60
#define WORD_SHOWN_MAX 255

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static size_t count_characters(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += !is_continuation(s[i]);
    return count;
}

static int draw(struct error *err, const char *input, size_t at, bool at_end,
                const char *label, const char *expected, const char *reason)
{
    const char *what = at_end ? "end of input" : "token";
    const char *parsing = label ? " while attempting to parse " : "";
    expected = expected ? expected : "something else";
    label = label ? label : "";
    size_t len = strlen(input);
    if (len == 0)
        return error_set(err, ERR_PARSE,
                         "Unexpected %s found%s%s, expected %s:\n(the input was empty)",
                         what, parsing, label, expected);
    size_t from = 0, to = len;
    if (len > INPUT_SHOWN_MAX) {
        from = at > EXCERPT_BEFORE ? at - EXCERPT_BEFORE : 0;
        to = len - at > EXCERPT_AFTER ? at + EXCERPT_AFTER : len;
        while (from > 0 && is_continuation(input[from]))
            from--;
        while (to < len && is_continuation(input[to]))
            to++;
    }
    const char *before = from > 0 ? "..." : "";
    const char *after = to < len ? "..." : "";
    int column = 2 + (int)(strlen(before) + count_characters(input + from, at - from));
    return error_set(
        err, ERR_PARSE,
        "Unexpected %s found%s%s, expected %s:\n  %s%.*s%s\n%*s|\n%*s--- %s\n", what,
        parsing, label, expected, before, (int)(to - from), input + from, after, column,
        "", column, "", reason);
}

int syntax_unexpected_word(struct error *err, const char *input, size_t at, size_t len,
                           const char *label, const char *expected)
{
    char reason[WORD_SHOWN_MAX + 32] = "Unexpected end of input";
    if (input[at])
        (void)snprintf(reason, sizeof reason, "Unexpected token `%.*s`",
                       (int)MIN(len, WORD_SHOWN_MAX), input + at);
    return draw(err, input, at, !input[at], label, expected, reason);
}

int syntax_unexpected(struct error *err, const char *input, size_t at,
                      const char *label, const char *expected)
{
    size_t bytes = 1;
    while (input[at] && is_continuation(input[at + bytes]) && bytes < 4)
        bytes++;
    return syntax_unexpected_word(err, input, at, bytes, label, expected);
}

int syntax_refused(struct error *err, const char *input, size_t at, const char *label,
                   const char *reason)
{
    return draw(err, input, at, true, label, NULL, reason);
}
