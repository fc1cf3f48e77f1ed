/* dicomweb.h — DICOMweb (PS3.18: STOW-RS, QIDO-RS, WADO-RS) over the image archive (docs/modules/dicom.md). Every
 * row asks the session's right first ("dicom-send" or "dicom-read"), every handler then whether the session may see
 * the study: an unseen one is 404, and lists do not hold it. All handlers run in the pool. */
#ifndef SHANHAI_API_DICOMWEB_H
#define SHANHAI_API_DICOMWEB_H

#include "api/call.h"
#include "dicom/archive.h"

/* dicomweb.c: shared */

/* The UIDs of the path; ERROR_INPUT when one is not well formed. Absent parameters are STR_NONE. */
struct dicomweb_path {
    struct str study;
    struct str series;
    struct str sop;
};
bool dicomweb_path(struct http_request *request, struct dicomweb_path *path, struct error *error) MUST_CHECK;

/* The path, the archive, and whether the session may see the study (ERROR_NOT_FOUND); writes the audit record. */
bool dicomweb_open(struct http_request *request, struct dicomweb_path *path, struct error *error) MUST_CHECK;

/* An instance of the path, after dicomweb_open. */
bool dicomweb_instance(struct http_request *request, struct archive_instance *instance,
                       struct error *error) MUST_CHECK;

/* True when If-None-Match has the tag: 304 is set. Else ETag and Cache-Control are added to the answer to come. */
bool dicomweb_not_modified(struct http_request *request, struct str etag);

/* Sends DICOM JSON, gzip-compressed when the client takes that. Exactly one of `gzip` and `plain` is given. */
void dicomweb_respond_json(struct http_request *request, int status, struct str gzip, struct str plain);

#endif
