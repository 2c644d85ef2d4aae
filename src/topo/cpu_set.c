#include "topo/cpu_set.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/path.h"

void cpu_set_copy(struct cpu_set *to, const struct cpu_set *from)
{
    to->n_words = from->n_words;
    memcpy(to->words, from->words, from->n_words * sizeof from->words[0]);
}

static void widen(struct cpu_set *s, uint32_t n_words)
{
    while (s->n_words < n_words)
        s->words[s->n_words++] = 0;
}

void cpu_set_add(struct cpu_set *s, uint32_t id)
{
    if (id >= CPU_SET_MAX)
        return;
    widen(s, id / CPU_SET_WORD_BITS + 1);
    s->words[id / CPU_SET_WORD_BITS] |= 1ul << id % CPU_SET_WORD_BITS;
}

void cpu_set_remove(struct cpu_set *s, uint32_t id)
{
    if (id / CPU_SET_WORD_BITS < s->n_words)
        s->words[id / CPU_SET_WORD_BITS] &= ~(1ul << id % CPU_SET_WORD_BITS);
}

void cpu_set_unite(struct cpu_set *s, const struct cpu_set *with)
{
    widen(s, with->n_words);
    for (uint32_t i = 0; i < with->n_words; i++)
        s->words[i] |= with->words[i];
}

void cpu_set_intersect(struct cpu_set *s, const struct cpu_set *with)
{
    s->n_words = MIN(s->n_words, with->n_words);
    for (uint32_t i = 0; i < s->n_words; i++)
        s->words[i] &= with->words[i];
}

static unsigned long word_at(const struct cpu_set *s, uint32_t i)
{
    return i < s->n_words ? s->words[i] : 0;
}

bool cpu_set_equal(const struct cpu_set *a, const struct cpu_set *b)
{
    for (uint32_t i = 0; i < MAX(a->n_words, b->n_words); i++)
        if (word_at(a, i) != word_at(b, i))
            return false;
    return true;
}

uint32_t cpu_set_count(const struct cpu_set *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_words; i++)
        n += (uint32_t)__builtin_popcountl(s->words[i]);
    return n;
}

uint32_t cpu_set_next(const struct cpu_set *s, uint32_t from)
{
    for (uint32_t i = from / CPU_SET_WORD_BITS; i < s->n_words; i++) {
        unsigned long word = s->words[i];
        if (i == from / CPU_SET_WORD_BITS)
            word &= ~0ul << from % CPU_SET_WORD_BITS;
        if (word)
            return i * CPU_SET_WORD_BITS + (uint32_t)__builtin_ctzl(word);
    }
    return CPU_SET_MAX;
}

static const char *parse_id(const char *p, uint32_t *id)
{
    char *end;
    if (*p < '0' || *p > '9')
        return NULL;
    errno = 0;
    unsigned long value = strtoul(p, &end, 10);
    if (errno || value >= CPU_SET_MAX)
        return NULL;
    *id = (uint32_t)value;
    return end;
}

bool cpu_set_parse(struct cpu_set *s, const char *text)
{
    struct cpu_set made;
    cpu_set_clear(&made);
    const char *p = text;
    while (*p && *p != '\n') {
        uint32_t first, last;
        p = parse_id(p, &first);
        if (!p)
            return false;
        last = first;
        if (*p == '-')
            p = parse_id(p + 1, &last);
        if (!p || last < first)
            return false;
        for (uint32_t id = first; id <= last; id++)
            cpu_set_add(&made, id);
        if (*p == ',')
            p++;
        else if (*p && *p != '\n')
            return false;
    }
    cpu_set_copy(s, &made);
    return true;
}

void cpu_set_print(const struct cpu_set *s, struct buf *out)
{
    const char *comma = "";
    for (uint32_t id = cpu_set_next(s, 0), last; id < CPU_SET_MAX;
         id = cpu_set_next(s, last + 1)) {
        for (last = id; cpu_set_has(s, last + 1);)
            last++;
        buf_printf(out, last > id ? "%s%u-%u" : "%s%u", comma, id, last);
        comma = ",";
    }
}

int cpu_set_of_self(struct cpu_set *s, struct error *err)
{
    struct cpu_set made;
    memset(&made, 0, sizeof made);
    if (sched_getaffinity(0, sizeof made.words, (cpu_set_t *)(void *)made.words) < 0)
        return error_sys(err, "cannot read the CPU affinity");
    made.n_words = ARRAY_SIZE(made.words);
    while (made.n_words && !made.words[made.n_words - 1])
        made.n_words--;
    cpu_set_copy(s, &made);
    return 0;
}

int cpu_set_of_pid(struct cpu_set *s, pid_t pid, struct error *err)
{
    static const char key[] = "\nCpus_allowed_list:";
    struct buf text = BUF_INIT(1 << 20);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    int rc = path_read_file(path, &text, err);
    if (rc == 0) {
        const char *line = strstr(buf_cstr(&text), key);
        line = line ? line + sizeof key - 1 : "x";
        line += strspn(line, " \t");
        if (!cpu_set_parse(s, line))
            rc = error_set(err, ERR_UNSUPPORTED, "no CPU list in '%s'", path);
    }
    buf_release(&text);
    return rc;
}

int cpu_set_apply(const struct cpu_set *s, pid_t tid)
{
    return sched_setaffinity(tid, s->n_words * sizeof s->words[0],
                             (const cpu_set_t *)(const void *)s->words);
}
