/* Runs a harness over the files named on the command line: seeds, corpora and findings, without libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 16 * 1024 * 1024 };

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        uint8_t *data = malloc(INPUT_BYTES_MAX);
        if (file == NULL || data == NULL) {
            (void)fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 2;
        }
        size_t size = fread(data, 1, INPUT_BYTES_MAX, file);
        (void)fclose(file);
        (void)LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    return 0;
}
