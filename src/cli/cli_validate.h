/* cli_validate.h — `shanhai validate`. */
#ifndef SHANHAI_CLI_CLI_VALIDATE_H
#define SHANHAI_CLI_CLI_VALIDATE_H

/* Prints one OperationOutcome a file, each on a line of its own. 0 when all are valid, 1 when one has an error, 2 for
 * wrong use and for a file that cannot be read. */
int cli_validate(int argc, char **argv);

#endif
