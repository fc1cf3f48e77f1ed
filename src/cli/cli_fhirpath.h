/* cli_fhirpath.h — `shanhai fhirpath EXPRESSION [FILE]`: evaluates over the resource in FILE (JSON, "-" is
 * standard input; left out: over nothing) and prints one JSON array of {"type": …, "value": …}. Exit 0; 1 when the file cannot be
 * read; 2 for a syntax error; 3 for a semantic or an execution error, with the reason on standard error. */
#ifndef SHANHAI_CLI_CLI_FHIRPATH_H
#define SHANHAI_CLI_CLI_FHIRPATH_H

int cli_fhirpath(int argc, char **argv);

#endif
