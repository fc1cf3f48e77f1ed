/* cli.h — the commands of the program. Each takes its own name as argv[0] and returns the exit status: 0 done, 1 it
 * did not work (the reason on standard error), 2 wrong use. */
#ifndef SHANHAI_CLI_CLI_H
#define SHANHAI_CLI_CLI_H

int cli_serve(int argc, char **argv);
int cli_config(int argc, char **argv); /* the settings of serve */
int cli_init(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_restore(int argc, char **argv);
int cli_people(int argc, char **argv); /* "user" and "key" */

#endif
