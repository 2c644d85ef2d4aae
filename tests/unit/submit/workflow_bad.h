/* Workflows that are refused, and the whole message that tells why. */
#ifndef HQ_TEST_WORKFLOW_BAD_H
#define HQ_TEST_WORKFLOW_BAD_H

struct bad_workflow {
    const char *text;
    const char *message;
};

/* Wrong keys and values: a schema sees them as well. */
static const struct bad_workflow bad_shapes[] = {
    {"tasks: {a: {rnu: x}}\n",
     "flow.yml:1:13: unknown key 'rnu' in a task, did you mean 'run'?\n"
     "tasks: {a: {rnu: x}}\n"
     "            ^"},
    {"",
     "flow.yml:1:1: expected a workflow: a map with the key 'tasks', found nothing\n"
     "\n"
     "^"},
    {"[1]",
     "flow.yml:1:1: expected a workflow: a map with the key 'tasks', found a list\n"
     "[1]\n"
     "^"},
    {"tasks: {}", "flow.yml:1:8: there are no tasks\n"
                  "tasks: {}\n"
                  "       ^"},
    {"tasks: []", "flow.yml:1:8: expected a map of names to tasks, found a list\n"
                  "tasks: []\n"
                  "       ^"},
    {"name: x", "flow.yml:1:1: a workflow needs the key 'tasks'\n"
                "name: x\n"
                "^"},
    {"tasks:\n"
     "  a: {}",
     "flow.yml:2:6: a task needs the key 'run'\n"
     "  a: {}\n"
     "     ^"},
    {"tasks:\n"
     "  a: make",
     "flow.yml:2:6: expected a map, found the text 'make'\n"
     "  a: make\n"
     "     ^"},
    {"tasks:\n"
     "  a: {run: [] }",
     "flow.yml:2:12: there is nothing to run\n"
     "  a: {run: [] }\n"
     "           ^"},
    {"tasks:\n"
     "  a: {run: '  '}",
     "flow.yml:2:12: there is nothing to run\n"
     "  a: {run: '  '}\n"
     "           ^"},
    {"tasks:\n"
     "  a: {run: {x: 1}}",
     "flow.yml:2:12: expected a text for the shell or a list of words, found a map\n"
     "  a: {run: {x: 1}}\n"
     "           ^"},
    {"tasks:\n"
     "  a: {comand: make}",
     "flow.yml:2:7: unknown key 'comand' in a task, did you mean 'command'?\n"
     "  a: {comand: make}\n"
     "      ^"},
    {"tasks:\n"
     "  a: {run: make, run: b}",
     "flow.yml:2:18: duplicate key 'run', first given in line 2\n"
     "  a: {run: make, run: b}\n"
     "                 ^"},
    {"tasks:\n"
     "  a: {run: make, command: b}",
     "flow.yml:2:18: key 'command' says 'run' a second time\n"
     "  a: {run: make, command: b}\n"
     "                 ^"},
    {"tasks:\n"
     "  a: {run: make, retries: 3}",
     "flow.yml:2:18: key 'retries' is reserved for a later version\n"
     "  a: {run: make, retries: 3}\n"
     "                 ^"},
    {"tasks:\n"
     "  a: {run: make, mpi: true}",
     "flow.yml:2:18: key 'mpi' is reserved for a later version\n"
     "  a: {run: make, mpi: true}\n"
     "                 ^"},
    {"mpi: 1\n"
     "tasks:\n"
     "  a: {run: make}",
     "flow.yml:1:1: key 'mpi' is reserved for a later version\n"
     "mpi: 1\n"
     "^"},
    {"tasks:\n"
     "  a: {run: x, needs: [[b]]}\n"
     "  b: {run: y}",
     "flow.yml:2:23: expected the name of a task, found a list\n"
     "  a: {run: x, needs: [[b]]}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, needs: {b: eech}}\n"
     "  b: {run: y}",
     "flow.yml:2:26: expected `all` or `each`, found the text 'eech', did you mean "
     "'each'?\n"
     "  a: {run: x, needs: {b: eech}}\n"
     "                         ^"},
    {"tasks:\n"
     "  a: {run: x, needs: {b: {when: any}}}\n"
     "  b: {run: y}",
     "flow.yml:2:27: key 'when' is reserved for a later version\n"
     "  a: {run: x, needs: {b: {when: any}}}\n"
     "                          ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {}}",
     "flow.yml:2:23: this matrix has no axes\n"
     "  a: {run: x, matrix: {}}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: []}}",
     "flow.yml:2:27: this list of values is empty\n"
     "  a: {run: x, matrix: {T: []}}\n"
     "                          ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: [1]}}}",
     "flow.yml:2:35: a range is [first, last] or [first, last, step]\n"
     "  a: {run: x, matrix: {T: {range: [1]}}}\n"
     "                                  ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: x-y}}}",
     "flow.yml:2:35: expected numbers such as 1-8, 0-100:5 or 1,4,7-9, found the text "
     "'x-y': Unexpected token `x`\n"
     "  a: {run: x, matrix: {T: {range: x-y}}}\n"
     "                                  ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: 1-8}}",
     "flow.yml:2:27: expected a list of values or a range as in {range: 1-8}, found "
     "the text '1-8'\n"
     "  a: {run: x, matrix: {T: 1-8}}\n"
     "                          ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {JOB_ID: [1]}}",
     "flow.yml:2:24: an axis cannot be named 'JOB_ID', as the placeholder %{JOB_ID} "
     "has a meaning of its own\n"
     "  a: {run: x, matrix: {JOB_ID: [1]}}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {a-b: [1]}}",
     "flow.yml:2:24: 'a-b' cannot be the name of an axis: letters, digits and '_' are "
     "possible, the first is not a digit\n"
     "  a: {run: x, matrix: {a-b: [1]}}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: [[1]]}}",
     "flow.yml:2:28: expected a text or number, found a list\n"
     "  a: {run: x, matrix: {T: [[1]]}}\n"
     "                           ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {rnge: 1}}}",
     "flow.yml:2:28: unknown key 'rnge' in an axis, did you mean 'range'?\n"
     "  a: {run: x, matrix: {T: {rnge: 1}}}\n"
     "                           ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: [a]}",
     "flow.yml:2:23: expected a map of axes to their values, found a list\n"
     "  a: {run: x, matrix: [a]}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, array: [1,2]}",
     "flow.yml:2:22: expected numbers such as 1-8, 0-100:5 or 1,4,7-9, found a list\n"
     "  a: {run: x, array: [1,2]}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, array: 1-3, matrix: {T: [1]}}",
     "flow.yml:2:22: 'array' cannot be used with 'matrix'\n"
     "  a: {run: x, array: 1-3, matrix: {T: [1]}}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, each-line: f, each-json: g}",
     "flow.yml:2:40: 'each-json' cannot be used with 'each-line'\n"
     "  a: {run: x, each-line: f, each-json: g}\n"
     "                                       ^"},
    {"tasks:\n"
     "  a: {run: x, cpus: 0}",
     "flow.yml:2:21: the number 0 is not an amount such as 2, 0.5, '4 compact!' or "
     "all: Zero resources cannot be requested\n"
     "  a: {run: x, cpus: 0}\n"
     "                    ^"},
    {"tasks:\n"
     "  a: {run: x, cpus: [1]}",
     "flow.yml:2:21: expected a text or number, found a list\n"
     "  a: {run: x, cpus: [1]}\n"
     "                    ^"},
    {"tasks:\n"
     "  a: {run: x, cpus: 2 compat}",
     "flow.yml:2:21: the text '2 compat' is not an amount such as 2, 0.5, '4 compact!' "
     "or all: Unexpected token `t`\n"
     "  a: {run: x, cpus: 2 compat}\n"
     "                    ^"},
    {"tasks:\n"
     "  a: {run: x, resources: {g-x: 2}}",
     "flow.yml:2:27: 'g-x' cannot be the name of a resource: letters, digits and '/' "
     "are possible, the first is a letter\n"
     "  a: {run: x, resources: {g-x: 2}}\n"
     "                          ^"},
    {"tasks:\n"
     "  a: {run: x, resources: [1]}",
     "flow.yml:2:26: expected a map of resources to amounts, found a list\n"
     "  a: {run: x, resources: [1]}\n"
     "                         ^"},
    {"tasks:\n"
     "  a: {run: x, nodes: 2, cpus: 2}",
     "flow.yml:2:22: 'nodes' cannot be used with 'cpus'\n"
     "  a: {run: x, nodes: 2, cpus: 2}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, nodes: 2, pin: omp}",
     "flow.yml:2:30: 'pin' cannot be used with 'nodes'\n"
     "  a: {run: x, nodes: 2, pin: omp}\n"
     "                             ^"},
    {"tasks:\n"
     "  a: {run: x, request: [{cpus: 1}], cpus: 2}",
     "flow.yml:2:24: 'request' cannot be used with 'cpus', 'resources', 'nodes', "
     "'weight' or 'time-request'\n"
     "  a: {run: x, request: [{cpus: 1}], cpus: 2}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, request: []}",
     "flow.yml:2:24: this list of requests is empty\n"
     "  a: {run: x, request: []}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, weight: 0}",
     "flow.yml:2:23: Resource weight has to be positive number\n"
     "  a: {run: x, weight: 0}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, weight: big}",
     "flow.yml:2:23: expected a number, found the text 'big'\n"
     "  a: {run: x, weight: big}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, time-limit: soon}",
     "flow.yml:2:27: expected a duration such as 90s, 1h 30m or 01:30:00, found the "
     "text 'soon'\n"
     "  a: {run: x, time-limit: soon}\n"
     "                          ^"},
    {"tasks:\n"
     "  a: {run: x, time-limit: 1.5}",
     "flow.yml:2:27: expected a duration such as 90s, 1h 30m or 01:30:00, found the "
     "number 1.5\n"
     "  a: {run: x, time-limit: 1.5}\n"
     "                          ^"},
    {"tasks:\n"
     "  a: {run: x, crash-limit: 0}",
     "flow.yml:2:28: Crash limit cannot be 0. Use `never-restart` or `unlimited` "
     "instead.\n"
     "  a: {run: x, crash-limit: 0}\n"
     "                           ^"},
    {"tasks:\n"
     "  a: {run: x, crash-limit: x}",
     "flow.yml:2:28: Invalid crash limit: ParseIntError { kind: InvalidDigit }\n"
     "  a: {run: x, crash-limit: x}\n"
     "                           ^"},
    {"tasks:\n"
     "  a: {run: x, priority: 1.5}",
     "flow.yml:2:25: expected a whole number, found the number 1.5\n"
     "  a: {run: x, priority: 1.5}\n"
     "                        ^"},
    {"tasks:\n"
     "  a: {run: x, priority: 3000000000}",
     "flow.yml:2:25: expected a number from -2147483648 to 2147483647, found the "
     "number 3000000000\n"
     "  a: {run: x, priority: 3000000000}\n"
     "                        ^"},
    {"tasks:\n"
     "  a: {run: x, pin: taskst}",
     "flow.yml:2:20: expected one of `none`, `taskset`, `omp`, found the text "
     "'taskst', did you mean 'taskset'?\n"
     "  a: {run: x, pin: taskst}\n"
     "                   ^"},
    {"tasks:\n"
     "  a: {run: x, membind: x}",
     "flow.yml:2:24: expected one of `preferred`, `off`, `strict`, found the text 'x'\n"
     "  a: {run: x, membind: x}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, task-dir: no}",
     "flow.yml:2:25: expected true or false, found the text 'no'\n"
     "  a: {run: x, task-dir: no}\n"
     "                        ^"},
    {"tasks:\n"
     "  a: {run: x, env: [A=1]}",
     "flow.yml:2:20: expected a map, found a list\n"
     "  a: {run: x, env: [A=1]}\n"
     "                   ^"},
    {"tasks:\n"
     "  a: {run: x, env: {A: [1]}}",
     "flow.yml:2:24: expected a text or number, found a list\n"
     "  a: {run: x, env: {A: [1]}}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, env: {A=B: 1}}",
     "flow.yml:2:21: 'A=B' cannot be the name of an environment variable\n"
     "  a: {run: x, env: {A=B: 1}}\n"
     "                    ^"},
    {"tasks:\n"
     "  a: {run: x, cwd: ''}",
     "flow.yml:2:20: this text cannot be empty\n"
     "  a: {run: x, cwd: ''}\n"
     "                   ^"},
    {"tasks:\n"
     "  a: {run: x, cwd: '%{CWD}/a'}",
     "flow.yml:2:20: Working directory path cannot contain the working directory "
     "placeholder `%{CWD}`.\n"
     "  a: {run: x, cwd: '%{CWD}/a'}\n"
     "                   ^"},
    {"tasks:\n"
     "  a: {run: x, stdout: 'a:b'}",
     "flow.yml:2:23: expected 'rm-if-finished' behind the colon\n"
     "  a: {run: x, stdout: 'a:b'}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, stdout: {path: a, on-close: rm}}",
     "flow.yml:2:43: expected `none` or `rm-if-finished`, found the text 'rm', did you "
     "mean 'rm-if-finished'?\n"
     "  a: {run: x, stdout: {path: a, on-close: rm}}\n"
     "                                          ^"},
    {"tasks:\n"
     "  a: {run: x, stdin: {fil: a}}",
     "flow.yml:2:23: unknown key 'fil' in stdin, did you mean 'file'?\n"
     "  a: {run: x, stdin: {fil: a}}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, log: a, stream: b}",
     "flow.yml:2:20: 'log' cannot be used with 'stream'\n"
     "  a: {run: x, log: a, stream: b}\n"
     "                   ^"},
    {"log: a\n"
     "stream: b\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:6: 'log' cannot be used with 'stream'\n"
     "log: a\n"
     "     ^"},
    {"max-fails: -1\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:12: expected a number from 0 to 4294967295, found the number -1\n"
     "max-fails: -1\n"
     "           ^"},
    {"name: \"a\\n"
     "b\"\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:7: name cannot have a newline or a tab\n"
     "name: \"a\\n"
     "b\"\n"
     "      ^"},
    {"defaults: {run: x}\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:12: unknown key 'run' in 'defaults', expected one of `env`, `cwd`, "
     "`stdin`, `stdout`, `stderr`, `stream`, `log`, `log-replace`, `max-output`, "
     "`max-job-output`, `task-dir`, "
     "`time-limit`, `priority`, `crash-limit`, `pin`, `membind`, `request`, `cpus`, "
     "`resources`, `nodes`, `weight`, `time-request`\n"
     "defaults: {run: x}\n"
     "           ^"},
    {"defaults: {cpus: 0}\n"
     "tasks:\n"
     "  a: {run: x, cpus: 1}",
     "flow.yml:1:18: the number 0 is not an amount such as 2, 0.5, '4 compact!' or "
     "all: Zero resources cannot be requested\n"
     "defaults: {cpus: 0}\n"
     "                 ^"},
    {"dflts: {}\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:1: unknown key 'dflts' in a workflow, did you mean 'defaults'?\n"
     "dflts: {}\n"
     "^"},
    {"params: [a]\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:9: expected a map of parameters to values, found a list\n"
     "params: [a]\n"
     "        ^"},
    {"tasks:\n"
     "  a: {run: x}\n"
     "  a: {run: y}",
     "flow.yml:3:3: duplicate key 'a', first given in line 2\n"
     "  a: {run: y}\n"
     "  ^"},
    {"tasks: &a\n"
     "  b: *a",
     "flow.yml:2:6: anchor '&a' is used inside itself\n"
     "  b: *a\n"
     "     ^"},
    {"tasks:\n"
     "  a: {run: x, resources: {mem: 1 XB}}",
     "flow.yml:2:32: the text '1 XB' is not an amount such as 2, 0.5, '4 compact!' or "
     "all: Unexpected token `X`\n"
     "  a: {run: x, resources: {mem: 1 XB}}\n"
     "                               ^"},
    {"tasks:\n"
     "  '': {run: x}",
     "flow.yml:2:3: the name of a task cannot be empty or hold a newline or a tab\n"
     "  '': {run: x}\n"
     "  ^"},
    {"tasks:\n"
     "  \"a\\tb\": {run: x}",
     "flow.yml:2:3: the name of a task cannot be empty or hold a newline or a tab\n"
     "  \"a\\tb\": {run: x}\n"
     "  ^"},
    {"params: {a: [1]}\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:13: expected a text or number, found a list\n"
     "params: {a: [1]}\n"
     "            ^"},
    {"tasks:\n"
     "  a: {run: x, time-limt: 3}",
     "flow.yml:2:15: unknown key 'time-limt' in a task, did you mean 'time-limit'?\n"
     "  a: {run: x, time-limt: 3}\n"
     "              ^"},
    {"tasks:\n"
     "  a: {run: x, time_limt: 3}",
     "flow.yml:2:15: unknown key 'time_limt' in a task, did you mean 'time-limit'?\n"
     "  a: {run: x, time_limt: 3}\n"
     "              ^"},
    {"tasks:\n"
     "  a: {run: x, cpu: 3}",
     "flow.yml:2:15: unknown key 'cpu' in a task, did you mean 'cpus'?\n"
     "  a: {run: x, cpu: 3}\n"
     "              ^"},
    {"tasks:\n"
     "  a: {run: x, need: b}",
     "flow.yml:2:15: unknown key 'need' in a task, did you mean 'needs'?\n"
     "  a: {run: x, need: b}\n"
     "              ^"},
    {"tasks:\n"
     "  a: {run: x, matrx: {}}",
     "flow.yml:2:15: unknown key 'matrx' in a task, did you mean 'matrix'?\n"
     "  a: {run: x, matrx: {}}\n"
     "              ^"},
    {"tasks:\n"
     "  a: {run: [x, [y]]}",
     "flow.yml:2:16: expected a text, found a list\n"
     "  a: {run: [x, [y]]}\n"
     "               ^"},
    {"tasks:\n"
     "  a: {run: null}",
     "flow.yml:2:12: expected a text for the shell or a list of words, found nothing\n"
     "  a: {run: null}\n"
     "           ^"},
    {"tasks:\n"
     "  a: {run: x, when: always}",
     "flow.yml:2:15: key 'when' is reserved for a later version\n"
     "  a: {run: x, when: always}\n"
     "              ^"},
    {"defaults: {retries: 1}\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:12: key 'retries' is reserved for a later version\n"
     "defaults: {retries: 1}\n"
     "           ^"},
    {"defaults: [1]\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:11: expected a map, found a list\n"
     "defaults: [1]\n"
     "          ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: [a, b]}}}",
     "flow.yml:2:36: expected a number, found the text 'a'\n"
     "  a: {run: x, matrix: {T: {range: [a, b]}}}\n"
     "                                   ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: ''}}}",
     "flow.yml:2:35: expected numbers such as 1-8, 0-100:5 or 1,4,7-9, found the text "
     "''\n"
     "  a: {run: x, matrix: {T: {range: ''}}}\n"
     "                                  ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {'%{x}': [1]}}",
     "flow.yml:2:24: '%{x}' cannot be the name of an axis: letters, digits and '_' are "
     "possible, the first is not a digit\n"
     "  a: {run: x, matrix: {'%{x}': [1]}}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, entries: []}",
     "flow.yml:2:24: this list of entries is empty\n"
     "  a: {run: x, entries: []}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, entries: 3}",
     "flow.yml:2:24: expected a list of texts, found the number 3\n"
     "  a: {run: x, entries: 3}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, entries: [a], matrix: {T: [1]}}",
     "flow.yml:2:24: 'entries' cannot be used with 'matrix'\n"
     "  a: {run: x, entries: [a], matrix: {T: [1]}}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, each-line: ''}",
     "flow.yml:2:26: this text cannot be empty\n"
     "  a: {run: x, each-line: ''}\n"
     "                         ^"},
    {"tasks:\n"
     "  a: {run: x, request: 3}",
     "flow.yml:2:24: expected a list of requests, found the number 3\n"
     "  a: {run: x, request: 3}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, request: [{cpu: 3}]}",
     "flow.yml:2:26: unknown key 'cpu' in a request, did you mean 'cpus'?\n"
     "  a: {run: x, request: [{cpu: 3}]}\n"
     "                         ^"},
    {"tasks:\n"
     "  a: {run: x, request: [{cpus: 3, nodes: 2}]}",
     "flow.yml:2:42: 'nodes' cannot be used with 'cpus'\n"
     "  a: {run: x, request: [{cpus: 3, nodes: 2}]}\n"
     "                                         ^"},
    {"tasks:\n"
     "  a: {run: x, weight: -1}",
     "flow.yml:2:23: Resource weight has to be positive number\n"
     "  a: {run: x, weight: -1}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, nodes: -1}",
     "flow.yml:2:22: expected a number from 0 to 4294967295, found the number -1\n"
     "  a: {run: x, nodes: -1}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, stdout: [a]}",
     "flow.yml:2:23: expected a text or a map, found a list\n"
     "  a: {run: x, stdout: [a]}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, stdout: {on-close: none}}",
     "flow.yml:2:23: an output file needs the key 'path'\n"
     "  a: {run: x, stdout: {on-close: none}}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, stdin: [a]}",
     "flow.yml:2:22: expected a text, {file: PATH} or {base64: BYTES}, found a list\n"
     "  a: {run: x, stdin: [a]}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, stdin: {file: a, text: b}}",
     "flow.yml:2:32: unknown key 'text' in stdin, expected `file` or `base64`\n"
     "  a: {run: x, stdin: {file: a, text: b}}\n"
     "                               ^"},
    {"tasks:\n"
     "  a: {run: x, stdin: {file: a, base64: YQ==}}",
     "flow.yml:2:22: stdin needs one of 'file' and 'base64'\n"
     "  a: {run: x, stdin: {file: a, base64: YQ==}}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, stdin: {}}",
     "flow.yml:2:22: stdin needs one of 'file' and 'base64'\n"
     "  a: {run: x, stdin: {}}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, stdin: {base64: YQ=}}",
     "flow.yml:2:31: this is no base64\n"
     "  a: {run: x, stdin: {base64: YQ=}}\n"
     "                              ^"},
    {"array: {ids: 1-3}", "flow.yml:1:8: the array needs the key 'command'\n"
                          "array: {ids: 1-3}\n"
                          "       ^"},
    {"task: []", "No tasks defined"},
    {"task: [{id: 1, command: [a]}, {id: 1, command: [a]}]",
     "Error: Task 1 is defined multiple times"},
    {"---\n"
     "tasks:\n"
     "  a: {run: x}\n"
     "---\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:4:1: a second document starts here, a file holds one\n"
     "---\n"
     "^"},
    {"tasks:\n"
     "  a: {run: x, <<: 3}",
     "flow.yml:2:19: '<<' expects a map or a list of maps, found the number 3\n"
     "  a: {run: x, <<: 3}\n"
     "                  ^"},
};

/* What only shows when keys are taken together, or when files are read. */
static const struct bad_workflow bad_meanings[] = {
    {"tasks:\n"
     "  a: {run: x, needs: b}\n"
     "  bb: {run: y}",
     "flow.yml:2:22: there is no task 'b', did you mean 'bb'?\n"
     "  a: {run: x, needs: b}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, needs: a}",
     "flow.yml:2:22: task 'a' cannot need itself\n"
     "  a: {run: x, needs: a}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, needs: c}\n"
     "  b: {run: y, needs: a}\n"
     "  c: {run: z, needs: [b]}\n"
     "  d: {run: z, needs: [c]}",
     "flow.yml:2:3: the needs of these tasks form a cycle: 'a' needs 'c' needs 'b' "
     "needs "
     "'a'\n"
     "  a: {run: x, needs: c}\n"
     "  ^"},
    {"tasks:\n"
     "  a: {run: x, needs: {b: each}}\n"
     "  b: {run: y, array: 1-3}",
     "flow.yml:2:23: 'each' wants equally many tasks, but 'a' has 1 and 'b' has 3\n"
     "  a: {run: x, needs: {b: each}}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: [1, 0]}}}",
     "flow.yml:2:35: this range is empty\n"
     "  a: {run: x, matrix: {T: {range: [1, 0]}}}\n"
     "                                  ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: [1, 2, 0]}}}",
     "flow.yml:2:42: the step of a range cannot be 0\n"
     "  a: {run: x, matrix: {T: {range: [1, 2, 0]}}}\n"
     "                                         ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: [1,.inf]}}}",
     "flow.yml:2:38: a range cannot have the bound or step '.inf': decimal numbers "
     "with up to 18 digits are possible\n"
     "  a: {run: x, matrix: {T: {range: [1,.inf]}}}\n"
     "                                     ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {A: {range: 1-100000}, B: {range: 1-100000}}}",
     "flow.yml:2:23: this matrix has too many tasks\n"
     "  a: {run: x, matrix: {A: {range: 1-100000}, B: {range: 1-100000}}}\n"
     "                      ^"},
    {"tasks:\n"
     "  a: {run: x, array: 3-1}",
     "flow.yml:2:22: expected numbers such as 1-8, 0-100:5 or 1,4,7-9, found the text "
     "'3-1': Invalid range\n"
     "  a: {run: x, array: 3-1}\n"
     "                     ^"},
    {"tasks:\n"
     "  a: {run: x, each-line: nofile}",
     "flow.yml:2:26: cannot read 'nofile': No such file or directory (os error 2)\n"
     "  a: {run: x, each-line: nofile}\n"
     "                         ^"},
    {"tasks:\n"
     "  a: {run: x, each-line: /dev/null}",
     "flow.yml:2:26: '/dev/null' has no lines\n"
     "  a: {run: x, each-line: /dev/null}\n"
     "                         ^"},
    {"tasks:\n"
     "  a: {run: x, array: 1-3, entries: [a]}",
     "flow.yml:2:36: 'array' has 3 numbers, but there are 1 entries\n"
     "  a: {run: x, array: 1-3, entries: [a]}\n"
     "                                   ^"},
    {"tasks:\n"
     "  a: {run: x, cpus: 1.00001}",
     "flow.yml:2:21: the number 1.00001 is not an amount such as 2, 0.5, '4 compact!' "
     "or all: Resource precision exceeded\n"
     "  a: {run: x, cpus: 1.00001}\n"
     "                    ^"},
    {"tasks:\n"
     "  a: {run: x, cpus: 2, resources: {cpus: 2}}",
     "flow.yml:2:21: 'cpus' is given twice, here and under 'resources'\n"
     "  a: {run: x, cpus: 2, resources: {cpus: 2}}\n"
     "                    ^"},
    {"tasks:\n"
     "  a: {run: x, request: [{nodes: 2},{cpus: 1}]}",
     "flow.yml:2:24: a multi-node request cannot have several variants\n"
     "  a: {run: x, request: [{nodes: 2},{cpus: 1}]}\n"
     "                       ^"},
    {"tasks:\n"
     "  a: {run: x, stdin: {file: nofile}}",
     "flow.yml:2:29: cannot read 'nofile': No such file or directory (os error 2)\n"
     "  a: {run: x, stdin: {file: nofile}}\n"
     "                            ^"},
    {"params: {a: }\n"
     "tasks:\n"
     "  a: {run: x}",
     "flow.yml:1:10: parameter 'a' has no default, set it with --set a=VALUE\n"
     "params: {a: }\n"
     "         ^"},
    {"params: {seeds: 8}\n"
     "tasks:\n"
     "  a: {run: 'x ${{ seed }}'}",
     "flow.yml:3:15: parameter 'seed' is not declared, did you mean 'seeds'?\n"
     "  a: {run: 'x ${{ seed }}'}\n"
     "              ^"},
    {"tasks:\n"
     "  a: {run: x, resources: {mem: 0 GiB}}",
     "flow.yml:2:32: the text '0 GiB' is not an amount such as 2, 0.5, '4 compact!' or "
     "all: Zero resources cannot be requested\n"
     "  a: {run: x, resources: {mem: 0 GiB}}\n"
     "                               ^"},
    {"tasks:\n"
     "  a: {run: x, each_line: nofile}",
     "flow.yml:2:26: cannot read 'nofile': No such file or directory (os error 2)\n"
     "  a: {run: x, each_line: nofile}\n"
     "                         ^"},
    {"params: {a: 1}\n"
     "tasks:\n"
     "  a: {run: 'x ${{ a'}",
     "flow.yml:3:15: this '${{' has no '}}'\n"
     "  a: {run: 'x ${{ a'}\n"
     "              ^"},
    {"params: {a: 1}\n"
     "tasks:\n"
     "  '${{ a }}': {run: x}",
     "flow.yml:3:3: a key cannot hold a parameter\n"
     "  '${{ a }}': {run: x}\n"
     "  ^"},
    {"params: {n: 3}\n"
     "tasks:\n"
     "  a: {run: x, cpus: '${{ n }} cpus'}",
     "flow.yml:3:21: the text '3 cpus' is not an amount such as 2, 0.5, '4 compact!' "
     "or all: Unexpected token `p`\n"
     "  a: {run: x, cpus: '${{ n }} cpus'}\n"
     "                    ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: [1, 2, -1]}}}",
     "flow.yml:2:35: this range is empty\n"
     "  a: {run: x, matrix: {T: {range: [1, 2, -1]}}}\n"
     "                                  ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: [0, 1, 1e-30]}}}",
     "flow.yml:2:42: a range cannot have the bound or step '1e-30': decimal numbers "
     "with up to 18 digits are possible\n"
     "  a: {run: x, matrix: {T: {range: [0, 1, 1e-30]}}}\n"
     "                                         ^"},
    {"tasks:\n"
     "  a: {run: x, matrix: {T: {range: [0, 1, 0.00000001]}}}",
     "flow.yml:2:35: this range has more than 1048576 values\n"
     "  a: {run: x, matrix: {T: {range: [0, 1, 0.00000001]}}}\n"
     "                                  ^"},
    {"tasks:\n"
     "  a: {run: x, array: 1-4000000000}\n"
     "  b: {run: x, array: 1-4000000000}",
     "flow.yml:3:3: from here on there are too many tasks\n"
     "  b: {run: x, array: 1-4000000000}\n"
     "  ^"},
    {"tasks:\n"
     "  a: {run: x, array: '1,1'}",
     "flow.yml:2:22: expected numbers such as 1-8, 0-100:5 or 1,4,7-9, found the text "
     "'1,1': Ranges overlap\n"
     "  a: {run: x, array: '1,1'}\n"
     "                     ^"},
};

#endif
