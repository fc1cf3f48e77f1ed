#include <stdio.h>
#include <string.h>

#include "cli/cli_measure.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "measure-ct") == 0) {
        return cli_measure_ct(argc - 1, argv + 1);
    }
    if (argc > 2 && strcmp(argv[1], "worker") == 0 && strcmp(argv[2], "measure") == 0) {
        return cli_worker_measure(argc - 2, argv + 2);
    }
    (void)puts("shanhai");
    return 0;
}
