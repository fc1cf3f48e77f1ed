/* jpeg_fuzz.c — the first bytes choose the image, the rest is its JPEG frame of 8 bits. The library ends the process on
 * an error, so each input is decoded in a child, as in a worker: it may say yes, no, or end as codec_jpeg.c does;
 * anything else is a finding. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dicom/codec_jpeg.h"
#include "dicom/pixels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    struct dicom_image image = { .rows = data[0] + 1u,
                                 .columns = data[1] + 1u,
                                 .frames_count = 1,
                                 .samples_per_pixel = (data[2] & 1) != 0 ? 3 : 1,
                                 .bits_allocated = 8,
                                 .bits_stored = 8,
                                 .high_bit = 7,
                                 .codec = DICOM_CODEC_JPEG };
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        size_t len = dicom_image_frame_bytes(&image);
        uint8_t *out = malloc(len);
        struct error error = { 0 };
        bool ok =
            codec_jpeg_decode(&image, (struct str){ (const char *)data + 4, size - 4 }, out, len, &error);
        free(out);
        _exit(ok ? 0 : 7);
    }
    int status = 0;
    while (waitpid(child, &status, 0) != child) { /* the fuzzer's own timer interrupts */
        assert(errno == EINTR);
    }
    assert(WIFEXITED(status));
    int code = WEXITSTATUS(status);
    assert(code == 0 || code == 7 || code == CODEC_JPEG_EXIT);
    return 0;
}
