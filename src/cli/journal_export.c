/* hq journal export */
#include "cli/cmds.h"

#include <unistd.h>
#include "args/args.h"
#include "base/log.h"
#include "cli/journal_file.h"
#include "history/event_json.h"

struct export
{
    struct output *out;
    struct event_json json;
};

static int print_event(void *arg, const struct told *t)
{
    struct export *x = arg;
    event_json_print(&x->json, t);
    output_puts(x->out, ""); /* written out when it has become large */
    return x->json.failed || x->out->sys ? ERR_SYSTEM : 0;
}

int journal_export_run(struct run *r, struct error *err)
{
    struct export x = {.out = r->out};
    event_json_init(&x.json, &r->out->text, STDOUT_FILENO);
    output_no_value(r->out);
    int rc = journal_file_tell(args_str(r->args, "JOURNAL"), print_event, &x, err);
    if (x.json.failed && !r->out->sys)
        r->out->sys = x.json.sys;
    output_flush(r->out);
    if (r->out->sys)
        return error_errno(err, r->out->sys, "cannot write to standard output");
    if (rc == 0)
        log_info("Outputted %llu event%s", (unsigned long long)x.json.lines,
                 x.json.lines == 1 ? "" : "s");
    return rc;
}
