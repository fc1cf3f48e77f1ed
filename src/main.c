/* The commands of the program, by name. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"
#include "cli/cli_fhirpath.h"
#include "cli/cli_measure.h"
#include "cli/cli_view.h"
#include "cli/cli_validate.h"
#include "dicom/worker.h"

static int run_worker(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "decode") == 0) {
        return worker_decode_main();
    }
    if (argc > 1 && strcmp(argv[1], "measure") == 0) {
        return cli_worker_measure(argc - 1, argv + 1);
    }
    (void)fputs("shanhai worker is started by the server itself\n", stderr);
    return 2;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; /* NULL: not for people */
} commands[] = {
    { "serve", cli_serve, "the server: screens, FHIR, DICOMweb, DICOM" },
    { "config", cli_config, "the settings of serve, and where each comes from" },
    { "init", cli_init, "a first hospital with its administrator" },
    { "user", cli_people, "people, posts, passwords, tokens" },
    { "key", cli_people, "signing keys" },
    { "app", cli_people, "apps of others (SMART): registration" },
    { "backup", cli_backup, "everything as one encrypted file, also while the server runs" },
    { "restore", cli_restore, "a backup as a folder of data again" },
    { "check", cli_check, "verify the store, the images and the audit chain" },
    { "measure-ct", cli_measure_ct, "measure the chest CT in a folder, as JSON" },
    { "fhirpath", cli_fhirpath, "evaluate a FHIRPath expression on a file" },
    { "view", cli_view, "rows of a SQL-on-FHIR view over NDJSON, as JSON" },
    { "validate", cli_validate, "validate FHIR resources in files" },
    { "worker", run_worker, NULL },
};

enum { COMMANDS_COUNT = sizeof commands / sizeof *commands };

static void print_help(void)
{
    (void)printf("Shanhai 山海 %s: paired medical assistance in one program\n\n", SHANHAI_VERSION);
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (commands[i].help != NULL) {
            (void)printf("  shanhai %-12s %s\n", commands[i].name, commands[i].help);
        }
    }
    (void)puts("\nEach command explains itself with --help.");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    memory_setup();
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        (void)puts(SHANHAI_VERSION);
        return 0;
    }
    print_help();
    bool asked = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    return asked ? 0 : 2;
}
