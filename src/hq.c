/* hq: server, worker and client in one program. */
#include "cli/cmds.h"
#include "cli/main.h"

int main(int argc, char **argv)
{
    struct run run;
    struct error err = ERROR_INIT;
    cli_begin(&run, &cmd_root, argc, argv);
    int rc = args_cmd(run.args)->run(&run, &err);
    return cli_end(&run, rc, &err);
}
