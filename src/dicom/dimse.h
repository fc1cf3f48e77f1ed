/* dimse.h — one DICOM association on the accepting side as a pure machine (PS3.8 section 9, PS3.7 sections 9 and
 * annex D): PDUs go in, PDUs come out, and a complete C-STORE is handed to `store`. It knows no socket and no
 * archive, so that it can be tested and fuzzed alone; dimse_server.h gives it both.
 *
 * Offered: Verification (C-ECHO) and Storage (C-STORE) of every storage class of the standard in every transfer
 * syntax of syntax.h. Bounds: PDU size, contexts, sizes of command and data set. One thread at a time. */
#ifndef SHANHAI_DICOM_DIMSE_H
#define SHANHAI_DICOM_DIMSE_H

#include "base/buf.h"
#include "dicom/dataset.h"

enum {
    DIMSE_PDU_BYTES_MAX = 131072, /* announced; what a peer may send in one P-DATA-TF */
    DIMSE_PDU_HEADER_BYTES = 6,
    DIMSE_PDU_SLACK_BYTES = 1024, /* an A-ASSOCIATE-RQ may be a little longer */
    DIMSE_COMMAND_BYTES_MAX = 16384,
    DIMSE_CONTEXTS_MAX = 128,
    DIMSE_AE_BYTES = 17,     /* 16 and NUL */
    DIMSE_COMMENT_BYTES = 64 /* LO of Error Comment */
};

enum dimse_pdu {
    DIMSE_ASSOCIATE_RQ = 1,
    DIMSE_ASSOCIATE_AC = 2,
    DIMSE_ASSOCIATE_RJ = 3,
    DIMSE_DATA = 4,
    DIMSE_RELEASE_RQ = 5,
    DIMSE_RELEASE_RP = 6,
    DIMSE_ABORT = 7
};

enum dimse_status {
    DIMSE_SUCCESS = 0x0000,
    DIMSE_PROCESSING_FAILURE = 0x0110,
    DIMSE_CLASS_NOT_SUPPORTED = 0x0122,
    DIMSE_NOT_AUTHORIZED = 0x0124,
    DIMSE_UNRECOGNIZED_OPERATION = 0x0211,
    DIMSE_OUT_OF_RESOURCES = 0xA700,
    DIMSE_NOT_THAT_CLASS = 0xA900, /* data set does not match SOP class */
    DIMSE_CANNOT_UNDERSTAND = 0xC000,
    DIMSE_OTHER_CONTENT = 0xC111 /* ours: the UID is stored with other bytes */
};

/* Why a caller is refused (PS3.8 table 9-21). */
enum dimse_verdict {
    DIMSE_WELCOME,
    DIMSE_CALLING_UNKNOWN, /* permanent, calling AE title not recognised */
    DIMSE_CALLED_UNKNOWN,  /* permanent, called AE title not recognised */
    DIMSE_TOO_MANY         /* transient, local limit */
};

struct dimse_store {
    struct str class_uid;
    struct str sop;
    struct str bytes; /* bare data set */
    const struct dicom_syntax *syntax;
};

struct dimse_host {
    void *context;
    /* Who calls: titles without padding. */
    enum dimse_verdict (*greet)(void *context, const char *calling, const char *called);
    /* Stores and waits until it is durable. Returns a dimse_status; `comment` may be filled (no patient data). */
    uint16_t (*store)(void *context, const struct dimse_store *store, char comment[DIMSE_COMMENT_BYTES]);
};

struct dimse_context {
    const struct dicom_syntax *syntax; /* NULL: refused */
    bool is_verification;
    char class_uid[DICOM_UID_BYTES_MAX + 1];
};

struct dimse_association {
    const struct dimse_host *host;
    bool is_open; /* accepted */
    bool is_over; /* close after the answer is sent */
    uint32_t peer_pdu_bytes_max;
    struct dimse_context contexts[DIMSE_CONTEXTS_MAX]; /* of id 2 i + 1 */
    struct buf command;                                /* of the message that is coming in */
    struct buf data;
    unsigned message_context; /* id; 0: no message */
    bool command_is_whole;
    bool data_is_lost; /* longer than data.bytes_max: dropped to its end, then answered with A700 */
    uint64_t stored_count;
    char calling[DIMSE_AE_BYTES];
    char called[DIMSE_AE_BYTES];
};

void dimse_init(struct dimse_association *association, const struct dimse_host *host);
void dimse_deinit(struct dimse_association *association);

/* Length of the body of the PDU whose header this is. False: no PDU, or too long (`answer` gets an A-ABORT). */
bool dimse_pdu_header(struct dimse_association *association, const char header[DIMSE_PDU_HEADER_BYTES],
                      uint8_t *type, uint32_t *length, struct buf *answer) MUST_CHECK;

/* One PDU. What is to be sent is appended to `answer`. After is_over nothing more is taken. */
void dimse_take_pdu(struct dimse_association *association, uint8_t type, struct str body, struct buf *answer);

#endif
