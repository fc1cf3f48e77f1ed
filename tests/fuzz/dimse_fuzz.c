/* dimse_fuzz.c — any bytes as what a peer sends: cut into PDUs as the listener does, taken by the machine. */
#include <assert.h>

#include "dicom/dimse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum dimse_verdict greet(void *context, const char *calling, const char *called)
{
    (void)context;
    assert(strlen(calling) < DIMSE_AE_BYTES);
    return called[0] == '!' ? DIMSE_CALLED_UNKNOWN : DIMSE_WELCOME;
}

static uint16_t store(void *context, const struct dimse_store *request, char comment[DIMSE_COMMENT_BYTES])
{
    (void)context;
    assert(dicom_uid_is_valid(request->sop));
    assert(request->syntax != NULL);
    comment[0] = 'x';
    return DIMSE_CANNOT_UNDERSTAND;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dimse_host host = { .greet = greet, .store = store };
    struct dimse_association association;
    struct buf answer = { .bytes_max = 8u << 20 };
    size_t at = 0;
    dimse_init(&association, &host);
    while (!association.is_over && size - at >= DIMSE_PDU_HEADER_BYTES) {
        uint8_t type;
        uint32_t length;
        if (!dimse_pdu_header(&association, (const char *)data + at, &type, &length, &answer)) {
            assert(association.is_over);
            break;
        }
        at += DIMSE_PDU_HEADER_BYTES;
        length = length > size - at ? (uint32_t)(size - at) : length;
        dimse_take_pdu(&association, type, (struct str){ (const char *)data + at, length }, &answer);
        at += length;
    }
    buf_deinit(&answer);
    dimse_deinit(&association);
    return 0;
}
