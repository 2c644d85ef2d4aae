/*
 * The command table: one `static const struct cmd` per command. From it come the
 * parser (parse.h), the help texts (help.h), the manual pages and the command-line
 * reference (docgen.h) and the shell completion (completion.h); a test walks the tree
 * with cmd_check().
 *
 * Lists end with an entry whose name (pointer) is NULL. Names are long option names
 * without the dashes. Options cannot be abbreviated. An option marked global is taken
 * by its command and by everything below it.
 *
 * The word that stands for an option's value is the option's name in capitals with '_'
 * for '-': "--time-limit <TIME_LIMIT>".
 */
#ifndef HQ_ARGS_CMD_H
#define HQ_ARGS_CMD_H

#include "args/output.h"
#include "base/error.h"
#include "base/util.h"

#define CMD_DEPTH_MAX 4

enum opt_flag {
    OPT_SWITCH = 1 << 0,   /* takes no value */
    OPT_REPEAT = 1 << 1,   /* may be given several times */
    OPT_COMMA = 1 << 2,    /* each value is a comma list of values; may be repeated */
    OPT_REQUIRED = 1 << 3, /* has to be given */
    OPT_HIDDEN = 1 << 4,   /* in no help, manual or completion */
    OPT_NONEMPTY = 1 << 5, /* an empty value counts as a missing one */
    OPT_NEGATIVE = 1 << 6, /* a number with a minus sign may follow as its own word */
    OPT_OWN_TEXT = 1 << 7, /* the validator's text stands alone behind "error: " */
    OPT_NO_DIRECTIVE = 1 << 8, /* submit only: refused behind #HQ */
    OPT_GLOBAL = 1 << 9,       /* also taken by the commands below */
    OPT_FILE = 1 << 10,        /* the value is a path: completion offers files */
    OPT_DIR = 1 << 11,         /* the value is a directory */
    OPT_VERSION = 1 << 12,     /* prints the version and ends */
    OPT_LETTER_ONLY = 1 << 13  /* has no long form; the name is for args.h */
};

struct opt {
    const char *name;
    char letter;                /* one-letter form, or 0 */
    unsigned flags;             /* enum opt_flag */
    const char *alias;          /* further spelling that no help shows, or NULL */
    const char *env;            /* variable read when the option is not given */
    const char *value_default;  /* value when nothing is given, or NULL */
    const char *const *choices; /* the only values allowed, NULL-ended, or NULL */
    /* Validator: 0, or an error whose text says what is wrong with the value. With
     * choices it is asked about other values, where ERR_NOT_FOUND means "no choice". */
    int (*check)(const char *text, struct error *err);
    const char *const *conflicts; /* names of options and positionals, NULL-ended */
    const char *needs;            /* option that has to be given as well, or NULL */
    const char *help;             /* one sentence without a full stop */
    const char *more;             /* further paragraphs of --help, or NULL */
};

/* Options under one heading of the help text; NULL title: "Options". */
struct opt_group {
    const char *title;
    const struct opt *opts;
};

enum pos_flag {
    POS_OPTIONAL = 1 << 0,
    POS_TRAILING = 1 << 1, /* this word and all behind it, options included */
    POS_HYPHEN = 1 << 2,   /* with POS_TRAILING: an unknown option starts the words */
    POS_FILE = 1 << 3,     /* completion offers files */
    POS_SKIP =
        1 << 4 /* with POS_OPTIONAL: left out when the word fails its validator */
};

struct pos {
    const char *name; /* "SELECTOR" */
    unsigned flags;   /* enum pos_flag */
    const char *const *choices;
    int (*check)(const char *text, struct error *err);
    const char *unless; /* not required when this option is given */
    const char *help;
};

enum cmd_flag {
    CMD_HIDDEN = 1 << 0,
    CMD_SUB_OPTIONAL = 1 << 1, /* has subcommands, but runs without one as well */
    CMD_PROGRAM = 1 << 2       /* its own program runs it, not `run` */
};

struct args;

/* What a command gets. */
struct run {
    const struct args *args;
    struct output *out;
    int status; /* exit status after success; 0 unless the command sets it */
};

struct cmd {
    const char *name;
    const char *const *aliases; /* further names that no help shows, or NULL */
    unsigned flags;             /* enum cmd_flag */
    const char *summary;        /* one sentence without a full stop */
    const char *details;        /* paragraphs of --help and the manual, or NULL */
    const char *examples;       /* lines "command  # what it does", or NULL */
    const struct opt_group *const *groups; /* NULL-ended, or NULL */
    const struct pos *positionals;         /* or NULL */
    const struct cmd *const *subs;         /* NULL-ended, or NULL */
    /*
     * Carries the command out. 0, or a negative error code with the text in *err, which
     * the caller prints in the way of the output mode, with exit status 1.
     */
    int (*run)(struct run *r, struct error *err);
};

/* Ways through the table; the order is that of definition. */
struct opt_iter {
    const struct opt_group *const *group;
    const struct opt *opt;
};
struct opt_iter opt_iter_make(const struct cmd *cmd);
const struct opt *opt_next(struct opt_iter *it); /* NULL at the end */
/* The option with this long name or alias, in this command alone; or NULL. */
const struct opt *cmd_find_opt(const struct cmd *cmd, const char *name, size_t len);
const struct opt *cmd_find_letter(const struct cmd *cmd, char letter);
const struct cmd *cmd_find_sub(const struct cmd *cmd, const char *word);
size_t cmd_count_opts(const struct cmd *cmd);
size_t cmd_count_positionals(const struct cmd *cmd);

/* "--time-limit <TIME_LIMIT>", "--wait" for a switch, "-v" for a letter alone. */
void opt_print(const struct opt *opt, struct buf *out);
/* "TIME_LIMIT" */
void opt_print_value_name(const struct opt *opt, struct buf *out);
/* "<SELECTOR>", "[TOPIC]", "<COMMANDS>...". `brackets`: by whether it is required;
 * otherwise always "<…>". */
void pos_print(const struct pos *pos, bool brackets, struct buf *out);

/* "hq job list" of "hq job" and the command `list`; names fit by far. */
#define CMD_PATH_BYTES 256
void cmd_path(char path[CMD_PATH_BYTES], const char *parent, const struct cmd *cmd);

/*
 * Walks the tree and looks for what is wrong in it: doubled names and letters,
 * conflicts that name nothing, defaults that their own validator refuses, missing
 * texts, commands that neither run nor have subcommands. 0, or ERR_INVALID naming the
 * first finding.
 */
int cmd_check(const struct cmd *root, struct error *err) MUST_CHECK;

#endif
