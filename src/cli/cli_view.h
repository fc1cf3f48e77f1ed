/* cli_view.h — `shanhai view VIEW.json RESOURCES.ndjson`: turns resources into the rows of a SQL-on-FHIR
 * ViewDefinition and prints them as one JSON array. "-" is standard input. Exit 0; 1 when a file cannot be read or a
 * line is no JSON; 2 for an invalid view, also one that turns out so on a resource (several values for a column
 * that holds one); 3 when the cost limit ends it. The reason is on standard error. */
#ifndef SHANHAI_CLI_CLI_VIEW_H
#define SHANHAI_CLI_CLI_VIEW_H

int cli_view(int argc, char **argv);

#endif
