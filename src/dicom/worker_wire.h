/* worker_wire.h — what the server and a decode worker say to each other: a header of fixed size and the
 * bytes it announces. Both ends are the same program on the same machine, so structs travel as they are;
 * the server still believes nothing that comes back. */
#ifndef SHANHAI_DICOM_WORKER_WIRE_H
#define SHANHAI_DICOM_WORKER_WIRE_H

#include "dicom/render.h"

#define WORKER_MAGIC 0x53484450u

enum worker_operation { WORKER_DECODE = 1, WORKER_RENDER = 2 };

struct worker_request {
    uint32_t magic;
    uint32_t operation;
    uint64_t frame_bytes;
    uint64_t overlay_bytes;
    struct dicom_image image;
    struct dicom_render render;
};

struct worker_answer {
    uint32_t magic;
    uint32_t kind; /* enum error_kind; ERROR_NONE: `bytes` follow */
    uint64_t bytes;
    char text[192];
};

#endif
