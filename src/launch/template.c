#include "launch/template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/path.h"

#define DIR_MODE 0777
/* In front of the words: the shell for files that are no programs. */
#define WORDS_IN_FRONT 1

static const char *next_string(const char *s)
{
    return s + strlen(s) + 1;
}

/* A memory file that nobody can change, and the path by which a child opens it anew,
 * with an offset of its own. */
static int make_input(struct span data, char path[32])
{
    int fd = memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (write_all(fd, data.p, data.n) != 0) {
        int sys = errno;
        (void)close(fd);
        errno = sys;
        return -1;
    }
    (void)fcntl(fd, F_ADD_SEALS,
                F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    (void)snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

static bool is_unset(const struct spec_view *spec, const char *var)
{
    size_t len = env_name_len(var);
    const char *name = spec->unset;
    for (size_t i = 0; i < spec->n_unset; i++, name = next_string(name))
        if (strlen(name) == len && memcmp(name, var, len) == 0)
            return true;
    return false;
}

static bool build_env(struct template *t, char *const *base_env)
{
    size_t n_base = 0;
    while (base_env[n_base])
        n_base++;
    if (!envset_init(&t->env, n_base + t->spec.n_env))
        return false;
    for (size_t i = 0; i < n_base; i++)
        if (!is_unset(&t->spec, base_env[i]))
            envset_set(&t->env, base_env[i]);
    const char *var = t->spec.env;
    for (size_t i = 0; i < t->spec.n_env; i++, var = next_string(var))
        envset_set(&t->env, var);
    t->path_at = envset_find(&t->env, "PATH");
    return true;
}

static bool build_argv(struct template *t)
{
    t->argv = calloc(t->spec.n_argv + 1, sizeof *t->argv);
    if (!t->argv)
        return false;
    const char *word = t->spec.argv;
    for (size_t i = 0; i < t->spec.n_argv; i++, word = next_string(word))
        t->argv[i] = word;
    return true;
}

struct template *template_create(char *const *base_env, struct span body)
{
    struct template *t = calloc(1, sizeof *t + body.n);
    if (!t)
        return NULL;
    atomic_init(&t->refs, 1);
    t->input_fd = -1;
    memcpy(t->bytes, body.p, body.n);
    struct cursor c = cursor_make(t->bytes, body.n);
    spec_decode(&c, &t->spec);
    HQ_ASSERT(!c.failed);
    bool fine = build_env(t, base_env) && build_argv(t);
    if (fine && t->spec.has_input) {
        t->input_fd = make_input(t->spec.input, t->input_path);
        fine = t->input_fd >= 0;
    }
    if (fine)
        return t;
    template_drop(t);
    return NULL;
}

struct template *template_hold(struct template *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void template_drop(struct template *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (t->input_fd >= 0)
        (void)close(t->input_fd);
    envset_release(&t->env);
    free(t->argv);
    free(t);
}

void scratch_init(struct scratch *s)
{
    memset(s, 0, sizeof *s);
    s->input_fd = -1;
}

void scratch_release(struct scratch *s)
{
    scratch_reset(s);
    free(s->words);
    free(s->vars);
}

void scratch_reset(struct scratch *s)
{
    if (s->input_fd >= 0)
        (void)close(s->input_fd);
    s->input_fd = -1;
}

static bool grow(const char ***array, size_t *cap, size_t need)
{
    if (need <= *cap)
        return true;
    size_t size = MAX(need, *cap * 2);
    const char **larger = realloc(*array, size * sizeof *larger);
    if (!larger)
        return false;
    *array = larger;
    *cap = size;
    return true;
}

static const char **lay_words(const struct template *t, const struct spec_view *own,
                              struct scratch *s)
{
    size_t n = t->spec.n_argv;
    if (!grow(&s->words, &s->cap_words, WORDS_IN_FRONT + n + own->n_argv + 1))
        return NULL;
    const char **argv = s->words + WORDS_IN_FRONT;
    memcpy(argv, t->argv, n * sizeof *argv);
    const char *word = own->argv;
    for (size_t i = 0; i < own->n_argv; i++, word = next_string(word))
        argv[n++] = word;
    argv[n] = NULL;
    return argv;
}

/* Replaces a variable added since `from`, or appends. */
static size_t set_added(const char **vars, size_t from, size_t n, const char *var)
{
    size_t len = env_name_len(var);
    for (size_t i = from; i < n; i++)
        if (strncmp(vars[i], var, len) == 0 && env_name_len(vars[i]) == len) {
            vars[i] = var;
            return n;
        }
    vars[n] = var;
    return n + 1;
}

static void unset_own(const struct template *t, const struct spec_view *own,
                      const char **vars)
{
    const char *name = own->unset;
    for (size_t i = 0; i < own->n_unset; i++, name = next_string(name)) {
        size_t at = envset_find(&t->env, name);
        if (at < t->env.n)
            vars[at] = NULL;
    }
}

static const char *path_value(const char *var)
{
    return strncmp(var, "PATH=", 5) == 0 ? var + 5 : NULL;
}

/* *path: the value of PATH in the result. */
static const char **lay_env(const struct template *t, const struct spec_view *own,
                            struct scratch *s, const char **path)
{
    size_t base = t->env.n, n = base;
    if (!grow(&s->vars, &s->cap_vars, base + own->n_env + 1))
        return NULL;
    const char **vars = s->vars;
    memcpy(vars, t->env.vars, base * sizeof *vars);
    unset_own(t, own, vars);
    *path = t->path_at < base && vars[t->path_at] ? path_value(vars[t->path_at]) : NULL;
    const char *var = own->env;
    for (size_t i = 0; i < own->n_env; i++, var = next_string(var)) {
        size_t at = envset_find(&t->env, var);
        if (at < base)
            vars[at] = var;
        else
            n = set_added(vars, base, n, var);
        if (path_value(var))
            *path = path_value(var);
    }
    if (own->n_unset > 0) {
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (vars[i])
                vars[kept++] = vars[i];
        n = kept;
    }
    vars[n] = NULL;
    return vars;
}

static struct spawn_output choose_output(uint8_t own, const char *own_path,
                                         uint8_t shared, const char *shared_path)
{
    if (own != LAUNCH_OUTPUT_DEFAULT)
        return (struct spawn_output){own, own_path, -1};
    if (shared != LAUNCH_OUTPUT_DEFAULT)
        return (struct spawn_output){shared, shared_path, -1};
    return (struct spawn_output){LAUNCH_OUTPUT_NULL, NULL, -1};
}

enum launch_step order_build(const struct template *t, const struct spec_view *own,
                             struct scratch *s, struct spawn_order *order, int *sys)
{
    memset(order, 0, sizeof *order);
    *sys = 0;
    if (t->spec.n_argv + own->n_argv == 0)
        return LAUNCH_STEP_ARGV;
    order->argv = lay_words(t, own, s);
    order->envp = order->argv ? lay_env(t, own, s, &order->path) : NULL;
    if (!order->envp) {
        *sys = ENOMEM;
        return LAUNCH_STEP_MEMORY;
    }
    order->session = own->session || t->spec.session;
    order->cwd = own->cwd ? own->cwd : t->spec.cwd;
    order->out =
        choose_output(own->out_kind, own->out_path, t->spec.out_kind, t->spec.out_path);
    order->err =
        choose_output(own->err_kind, own->err_path, t->spec.err_kind, t->spec.err_path);
    order->err_is_out = order->out.path && order->err.path &&
                        strcmp(order->out.path, order->err.path) == 0;
    order->input = t->input_fd >= 0 ? t->input_path : NULL;
    order->input_fd = t->input_fd;
    if (own->has_input) {
        s->input_fd = make_input(own->input, s->input_path);
        if (s->input_fd < 0) {
            *sys = errno;
            return LAUNCH_STEP_STDIN;
        }
        order->input = s->input_path;
        order->input_fd = s->input_fd;
    }
    return LAUNCH_STEP_NONE;
}

enum launch_step order_make_dirs(const struct spawn_order *order, int *sys)
{
    struct error err = ERROR_INIT;
    enum launch_step step = LAUNCH_STEP_NONE;
    if (order->out.path && path_mkparents(order->out.path, DIR_MODE, &err))
        step = LAUNCH_STEP_STDOUT_DIR;
    else if (order->err.path && path_mkparents(order->err.path, DIR_MODE, &err))
        step = LAUNCH_STEP_STDERR_DIR;
    else if (order->cwd && path_mkdirs(order->cwd, DIR_MODE, &err))
        step = LAUNCH_STEP_CWD;
    *sys = err.sys ? err.sys : ENOMEM;
    return step;
}
