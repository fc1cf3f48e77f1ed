/* cli_measure.h — the command line's way to the CT measurement. */
#ifndef SHANHAI_CLI_CLI_MEASURE_H
#define SHANHAI_CLI_CLI_MEASURE_H

/* `shanhai measure-ct FOLDER [--mask FILE] [--threads N]`: measures the chest CT in a folder of DICOM files and
 * prints the result as JSON. argv[0] is "measure-ct". Exit status: 0 measured, 3 unfit (the JSON says why),
 * 2 unreadable or wrong use. */
int cli_measure_ct(int argc, char **argv);

/* `shanhai worker measure`: the same for the server. Standard input: one instance a line (PATH, or PATH TAB
 * OFFSET TAB LENGTH [TAB TRANSFER_SYNTAX]); standard output: lung_measure.h "what the worker says". Exit
 * status: 0 measured, 3 unfit, 2 unreadable (the reason on standard error, one line). */
int cli_worker_measure(int argc, char **argv);

#endif
