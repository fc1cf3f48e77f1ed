/* jpeg_fuzz.c — a JPEG frame of 8 bits. The library ends the process on an error, so each input is decoded in a child,
 * as in a worker: it may say yes, no, or end as codec_jpeg.c does; anything else is a finding. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dicom/codec_jpeg.h"
#include "frame_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FRAME_AT) {
        return 0;
    }
    struct dicom_image image = frame_image(data, DICOM_CODEC_JPEG);
    image.bits_allocated = 8;
    image.bits_stored = 8;
    image.high_bit = 7;
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        struct error error = { 0 };
        bool ok = frame_decode(&image, codec_jpeg_decode, data, size, &error);
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
