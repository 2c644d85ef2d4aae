/* hq submit */
#include "cli/cmds.h"

#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "cli/submit_send.h"

static int read_input(struct run *r, struct buf *input, struct error *err)
{
    if (r->out->mode == OUTPUT_CLI) {
        output_puts(r->out,
                    "Reading data from stdin. In the interactive mode press Ctrl-D "
                    "to submit.\n");
        output_flush(r->out);
    }
    int rc = buf_read_fd(input, STDIN_FILENO);
    if (rc == ERR_SYSTEM)
        return error_sys(err, "cannot read standard input");
    return rc ? error_set(err, rc, "standard input is larger than %zu MiB",
                          TASK_INPUT_MAX >> 20)
              : 0;
}

static int submit_command(struct run *r, struct client *c, struct error *err)
{
    struct notices notices;
    struct buf input = BUF_INIT(TASK_INPUT_MAX);
    struct directives d = {0};
    bool has_input = args_flag(r->args, "stdin"), has_directives = false;
    struct submit s;
    submit_init(&s);
    notices_init(&notices, r->out);
    int rc = has_input ? read_input(r, &input, err) : 0;
    if (rc == 0)
        rc = submit_read_directives(r->args, has_input ? &input : NULL, &d,
                                    &has_directives, err);
    if (rc == 0) {
        const struct submit_input in = {.line = r->args,
                                        .directives = has_directives ? &d : NULL,
                                        .input = has_input ? &input : NULL};
        rc = submit_build(&in, &notices, &s, err);
    }
    if (rc == 0)
        rc = submit_send(r, c, &s, &notices, err);
    if (rc)
        notices_log(&notices);
    notices_release(&notices);
    if (has_directives && d.args)
        directives_release(&d);
    submit_release(&s);
    buf_release(&input);
    return rc;
}

int submit_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    if (args_given(r->args, "file"))
        return submit_workflow(r, err);
    int rc = session_open(r, &c, err);
    if (rc == 0)
        rc = submit_command(r, c, err);
    client_close(c);
    return rc;
}
