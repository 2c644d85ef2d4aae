#include "args/completion.h"

#include <string.h>
#include "args/walk.h"

/*
 * All scripts work alike: walk over the words typed so far to find the command ("hq job
 * list"), leaving out the values of options; then offer what may stand there. Each
 * shell gets three tables: subcommands that lead on, options that take a value in the
 * next word, and the candidates of each command.
 */

static bool takes_value(const struct opt *opt)
{
    return !(opt->flags & OPT_SWITCH);
}

/* `text` between quotes of the given kind, with every quote inside written as `as`. */
static void print_quoted(struct buf *out, const char *text, char quote, const char *as)
{
    buf_putc(out, quote);
    for (const char *p = text; *p; p++) {
        if (*p == quote)
            buf_puts(out, as);
        else
            buf_putc(out, *p);
    }
    buf_putc(out, quote);
}

static void print_names(const struct opt *opt, const char *path, const char *separator,
                        struct buf *out)
{
    if (!(opt->flags & OPT_LETTER_ONLY))
        buf_printf(out, "'%s --%s'", path, opt->name);
    if (opt->letter)
        buf_printf(out, "%s'%s -%c'", opt->flags & OPT_LETTER_ONLY ? "" : separator,
                   path, opt->letter);
}

/* Patterns of the options whose value stands in the next word, `path --name`. */
static void print_value_options(struct walk *w, const struct cmd *cmd, const char *path)
{
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));) {
        if (!takes_value(opt))
            continue;
        buf_puts(w->out, "        ");
        print_names(opt, path, "|", w->out);
        buf_puts(w->out, ") i=$((i + 1)) ;;\n");
    }
}

static void print_subcommands(struct walk *w, const struct cmd *cmd, const char *path)
{
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            buf_printf(w->out, "        '%s %s') at='%s %s' ;;\n", path, (*sub)->name,
                       path, (*sub)->name);
}

static void visit_steps(struct walk *w, const struct cmd *cmd, const char *path)
{
    print_value_options(w, cmd, path);
    print_subcommands(w, cmd, path);
}

static void print_words(const char *const *words, const char *before, struct buf *out)
{
    for (; words && *words; words++)
        buf_printf(out, "%s%s", before, *words);
}

/* --- bash --------------------------------------------------------------- */

static void visit_bash_values(struct walk *w, const struct cmd *cmd, const char *path)
{
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));) {
        if (!takes_value(opt))
            continue;
        buf_puts(w->out, "    ");
        print_names(opt, path, "|", w->out);
        buf_puts(w->out, ") ");
        if (opt->choices) {
            buf_puts(w->out, "words=\"");
            print_words(opt->choices, " ", w->out);
            buf_puts(w->out, "\" ;;\n");
        } else if (opt->flags & OPT_DIR) {
            buf_puts(w->out, "_hq_files -d; return ;;\n");
        } else if (opt->flags & OPT_FILE) {
            buf_puts(w->out, "_hq_files -f; return ;;\n");
        } else {
            buf_puts(w->out, "return ;;\n");
        }
    }
}

static void visit_bash_words(struct walk *w, const struct cmd *cmd, const char *path)
{
    buf_printf(w->out, "    '%s') words=\"--help", path);
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));)
        buf_printf(w->out, opt->flags & OPT_LETTER_ONLY ? " -%.1s" : " --%s",
                   opt->flags & OPT_LETTER_ONLY ? &opt->letter : opt->name);
    buf_puts(w->out, "\"");
    bool files = false;
    buf_puts(w->out, "; plain=\"");
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            buf_printf(w->out, " %s", (*sub)->name);
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++) {
        print_words(pos->choices, " ", w->out);
        files = files || (pos->flags & (POS_FILE | POS_TRAILING));
    }
    /* Subcommands come behind the positionals of the command above them. */
    buf_printf(w->out, "\"%s ;;\n",
               !files      ? ""
               : cmd->subs ? "; [[ -n $given ]] || { plain=; files=1; }"
                           : "; files=1");
}

static void print_bash(const struct cmd *root, struct buf *out)
{
    struct walk w = {.out = out};
    buf_puts(
        out,
        "# bash completion of hq\n"
        "_hq_files() {\n"
        "    compopt -o filenames 2>/dev/null\n"
        "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
        "}\n\n"
        "_hq() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    local at=hq i words= plain= files= given=\n"
        "    COMPREPLY=()\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case \"$at ${COMP_WORDS[i]}\" in\n");
    w.visit = visit_steps;
    walk_tree(&w, root);
    buf_puts(out, "        *' '-*) ;;\n"
                  "        *) given=1 ;;\n"
                  "        esac\n"
                  "    done\n"
                  "    if [[ $cur == = ]]; then\n"
                  "        cur=\n"
                  "    elif [[ $prev == = ]]; then\n"
                  "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
                  "    fi\n"
                  "    case \"$at $prev\" in\n");
    w.visit = visit_bash_values;
    walk_tree(&w, root);
    buf_puts(out,
             "    esac\n"
             "    if [[ -n $words ]]; then\n"
             "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
             "        return\n"
             "    fi\n"
             "    case $at in\n");
    w.visit = visit_bash_words;
    walk_tree(&w, root);
    buf_puts(out, "    esac\n"
                  "    [[ $cur == -* ]] || words=$plain\n"
                  "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                  "    [[ -n $files && $cur != -* ]] && _hq_files -f\n"
                  "    return 0\n"
                  "}\n\n"
                  "complete -F _hq hq\n");
}

/* --- zsh ---------------------------------------------------------------- */

/* 'name:text' for _describe. */
static void print_described(const char *before, const char *name, const char *text,
                            struct buf *out)
{
    struct buf item = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&item, before);
    for (const char *p = name; *p; p++)
        buf_printf(&item, *p == ':' ? "\\%c" : "%c", *p);
    buf_printf(&item, ":%s", text);
    buf_putc(out, ' ');
    print_quoted(out, buf_cstr(&item), '\'', "'\\''");
    buf_release(&item);
}

static void visit_zsh_values(struct walk *w, const struct cmd *cmd, const char *path)
{
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));) {
        if (!takes_value(opt))
            continue;
        buf_puts(w->out, "    ");
        print_names(opt, path, "|", w->out);
        if (opt->choices) {
            buf_puts(w->out, ") compadd --");
            print_words(opt->choices, " ", w->out);
        } else {
            buf_puts(w->out, opt->flags & OPT_DIR ? ") _files -/" : ") _files");
        }
        buf_puts(w->out, "; return ;;\n");
    }
}

static void visit_zsh_words(struct walk *w, const struct cmd *cmd, const char *path)
{
    buf_printf(w->out, "    '%s')\n        options=('--help:Print help'", path);
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));) {
        char letter[2] = {opt->letter, 0};
        bool alone = opt->flags & OPT_LETTER_ONLY;
        print_described(alone ? "-" : "--", alone ? letter : opt->name, opt->help,
                        w->out);
    }
    buf_puts(w->out, ")\n        plain=(");
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            print_described("", (*sub)->name, (*sub)->summary, w->out);
    bool files = false;
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++) {
        for (const char *const *c = pos->choices; c && *c; c++)
            print_described("", *c, pos->help, w->out);
        files = files || (pos->flags & (POS_FILE | POS_TRAILING));
    }
    buf_printf(w->out, ")\n%s        ;;\n", files ? "        files=1\n" : "");
}

static void print_zsh(const struct cmd *root, struct buf *out)
{
    struct walk w = {.out = out};
    buf_puts(out, "#compdef hq\n\n"
                  "_hq() {\n"
                  "    local at=hq files= i\n"
                  "    local -a options plain\n"
                  "    for ((i = 2; i < CURRENT; i++)); do\n"
                  "        case \"$at ${words[i]}\" in\n");
    w.visit = visit_steps;
    walk_tree(&w, root);
    buf_puts(out, "        esac\n"
                  "    done\n"
                  "    local prev=${words[CURRENT-1]}\n"
                  "    if [[ ${words[CURRENT]} == --*=* ]]; then\n"
                  "        prev=${words[CURRENT]%%=*}\n"
                  "        compset -P '*='\n"
                  "    fi\n"
                  "    case \"$at $prev\" in\n");
    w.visit = visit_zsh_values;
    walk_tree(&w, root);
    buf_puts(out, "    esac\n"
                  "    case $at in\n");
    w.visit = visit_zsh_words;
    walk_tree(&w, root);
    buf_puts(out, "    esac\n"
                  "    if [[ ${words[CURRENT]} == -* ]]; then\n"
                  "        _describe -o option options\n"
                  "    else\n"
                  "        (( $#plain )) && _describe command plain\n"
                  "        [[ -n $files ]] && _files\n"
                  "    fi\n"
                  "}\n\n"
                  "if [[ $funcstack[1] == _hq ]]; then\n"
                  "    _hq \"$@\"\n"
                  "else\n"
                  "    compdef _hq hq\n"
                  "fi\n");
}

/* --- fish --------------------------------------------------------------- */

static void visit_fish_steps(struct walk *w, const struct cmd *cmd, const char *path)
{
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));) {
        if (!takes_value(opt))
            continue;
        buf_puts(w->out, "            case ");
        print_names(opt, path, " ", w->out);
        buf_puts(w->out, "\n                set skip 1\n");
    }
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            buf_printf(w->out,
                       "            case '%s %s'\n                set at '%s %s'\n",
                       path, (*sub)->name, path, (*sub)->name);
}

static void print_fish_rule(const char *path, struct buf *out)
{
    buf_printf(out, "complete -c hq -n '__hq_at \"%s\"'", path);
}

static void print_fish_text(const char *text, struct buf *out)
{
    buf_puts(out, " -d ");
    print_quoted(out, text, '\'', "\\'");
    buf_putc(out, '\n');
}

static void visit_fish(struct walk *w, const struct cmd *cmd, const char *path)
{
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));) {
        print_fish_rule(path, w->out);
        if (!(opt->flags & OPT_LETTER_ONLY))
            buf_printf(w->out, " -l %s", opt->name);
        if (opt->letter)
            buf_printf(w->out, " -s %c", opt->letter);
        if (opt->choices) {
            buf_puts(w->out, " -x -a '");
            print_words(opt->choices, " ", w->out);
            buf_putc(w->out, '\'');
        } else if (takes_value(opt)) {
            buf_puts(w->out, opt->flags & (OPT_FILE | OPT_DIR) ? " -r -F" : " -x");
        }
        print_fish_text(opt->help, w->out);
    }
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++) {
        if ((*sub)->flags & CMD_HIDDEN)
            continue;
        print_fish_rule(path, w->out);
        buf_printf(w->out, " -a %s", (*sub)->name);
        print_fish_text((*sub)->summary, w->out);
    }
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++) {
        if (!pos->choices && !(pos->flags & (POS_FILE | POS_TRAILING)))
            continue;
        print_fish_rule(path, w->out);
        if (pos->choices) {
            buf_puts(w->out, " -a '");
            print_words(pos->choices, " ", w->out);
            buf_putc(w->out, '\'');
        } else {
            buf_puts(w->out, " -F");
        }
        print_fish_text(pos->help, w->out);
    }
}

static void print_fish(const struct cmd *root, struct buf *out)
{
    struct walk w = {.out = out, .visit = visit_fish_steps};
    buf_puts(out, "# fish completion of hq\n"
                  "function __hq_at\n"
                  "    set -l at hq\n"
                  "    set -l skip 0\n"
                  "    for word in (commandline -opc)[2..-1]\n"
                  "        if test $skip = 1\n"
                  "            set skip 0\n"
                  "            continue\n"
                  "        end\n"
                  "        switch \"$at $word\"\n");
    walk_tree(&w, root);
    buf_puts(out, "        end\n"
                  "    end\n"
                  "    test \"$at\" = \"$argv[1]\"\n"
                  "end\n\n"
                  "complete -c hq -f\n"
                  "complete -c hq -s h -l help -d 'Print help'\n");
    w.visit = visit_fish;
    walk_tree(&w, root);
}

/* --- elvish and powershell ---------------------------------------------- */

static void visit_elvish(struct walk *w, const struct cmd *cmd, const char *path)
{
    buf_printf(w->out, "        &'%s'= [", path);
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));)
        if (!(opt->flags & OPT_LETTER_ONLY))
            buf_printf(w->out, " --%s", opt->name);
    buf_puts(w->out, " --help");
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            buf_printf(w->out, " %s", (*sub)->name);
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++)
        print_words(pos->choices, " ", w->out);
    buf_puts(w->out, "]\n");
}

static void print_elvish(const struct cmd *root, struct buf *out)
{
    struct walk w = {.out = out, .visit = visit_elvish};
    buf_puts(out, "# elvish completion of hq\n"
                  "set edit:completion:arg-completer[hq] = {|@words|\n"
                  "    var words-of = [\n");
    walk_tree(&w, root);
    buf_puts(out, "    ]\n"
                  "    var at = hq\n"
                  "    for word $words[1..-1] {\n"
                  "        if (has-key $words-of $at' '$word) {\n"
                  "            set at = $at' '$word\n"
                  "        }\n"
                  "    }\n"
                  "    all $words-of[$at]\n"
                  "}\n");
}

static void visit_powershell(struct walk *w, const struct cmd *cmd, const char *path)
{
    buf_printf(w->out, "        '%s' = @('--help'", path);
    struct seen_opts it = seen_opts_make(w->root, cmd);
    for (const struct opt *opt; (opt = seen_opts_next(&it));)
        if (!(opt->flags & OPT_LETTER_ONLY))
            buf_printf(w->out, ", '--%s'", opt->name);
    for (const struct cmd *const *sub = cmd->subs; sub && *sub; sub++)
        if (!((*sub)->flags & CMD_HIDDEN))
            buf_printf(w->out, ", '%s'", (*sub)->name);
    for (const struct pos *pos = cmd->positionals; pos && pos->name; pos++)
        for (const char *const *c = pos->choices; c && *c; c++)
            buf_printf(w->out, ", '%s'", *c);
    buf_puts(w->out, ")\n");
}

static void print_powershell(const struct cmd *root, struct buf *out)
{
    struct walk w = {.out = out, .visit = visit_powershell};
    buf_puts(out,
             "# PowerShell completion of hq\n"
             "Register-ArgumentCompleter -Native -CommandName 'hq' -ScriptBlock {\n"
             "    param($wordToComplete, $commandAst, $cursorPosition)\n"
             "    $wordsOf = @{\n");
    walk_tree(&w, root);
    buf_puts(out, "    }\n"
                  "    $at = 'hq'\n"
                  "    foreach ($element in $commandAst.CommandElements | "
                  "Select-Object -Skip 1) {\n"
                  "        $next = \"$at $($element.Extent.Text)\"\n"
                  "        if ($wordsOf.ContainsKey($next)) { $at = $next }\n"
                  "    }\n"
                  "    $wordsOf[$at] | Where-Object { $_ -like \"$wordToComplete*\" }\n"
                  "}\n");
}

int completion_print(const struct cmd *root, const char *shell, struct buf *out,
                     struct error *err)
{
    static const struct {
        const char *shell;
        void (*print)(const struct cmd *root, struct buf *out);
    } shells[] = {{"bash", print_bash},
                  {"zsh", print_zsh},
                  {"fish", print_fish},
                  {"elvish", print_elvish},
                  {"powershell", print_powershell}};
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
        if (strcmp(shells[i].shell, shell) == 0) {
            shells[i].print(root, out);
            return 0;
        }
    }
    return error_set(err, ERR_INVALID, "no completion for shell '%s'", shell);
}
