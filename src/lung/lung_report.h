/* lung_report.h — from the JSON of a measurement (lung_measure.h) to FHIR R4 resources and to lines of text for
 * the screen. The server calls it with the worker's answer; no pixels here. Numbers keep the digits of the JSON.
 * Codes are those of `urn:shanhai:codes:ct-measurement` (definitions/codesystems/ct-measurement.json). Trees live
 * in the arena and point into the result's source text. Any thread. */
#ifndef SHANHAI_LUNG_LUNG_REPORT_H
#define SHANHAI_LUNG_LUNG_REPORT_H

#include "json/json.h"

#define LUNG_CODE_SYSTEM "urn:shanhai:codes:ct-measurement"
/* The Device of this version of the method has one id wherever it is stored: PUT it, never POST. */
#define LUNG_DEVICE_ID "shanhai-lung-threshold-1-0-0"

enum lung_language { LUNG_CHINESE, LUNG_ENGLISH };

/* References as they stand in the store; an absent one is left out, only `patient` is needed. */
struct lung_report_context {
    struct str patient;       /* "Patient/…" */
    struct str imaging_study; /* "ImagingStudy/…" */
    struct str organization;  /* "Organization/…": whose images they are (performer) */
    struct str device;        /* "Device/…"; absent: "Device/" LUNG_DEVICE_ID */
    struct str effective;     /* dateTime of the scan */
};

struct lung_report {
    struct json *device;       /* resource with id LUNG_DEVICE_ID */
    struct json *observations; /* array of resources, each with an id, status preliminary */
    struct json *report;       /* DiagnosticReport, status preliminary, that names them; no id */
    struct str conclusion;     /* Chinese */
    struct str conclusion_en;
};

/* Builds all of it. ERROR_INPUT when the result is not one of a measured CT (unfit: lung_report_reasons). */
bool lung_report_build(struct arena *arena, const struct json *result,
                       const struct lung_report_context *context, struct lung_report *report,
                       struct error *error) MUST_CHECK;

/* "measured" or "unfit"; absent for anything else. */
struct str lung_report_status(struct arena *arena, const struct json *result);

/* Lines for the screen: volumes, densities, score, what to be careful about, the method. Array of strings, or
 * NULL when memory ran out. */
struct json *lung_report_lines(struct arena *arena, const struct json *result, enum lung_language language);

/* Why a CT was not measured: array of strings. */
struct json *lung_report_reasons(struct arena *arena, const struct json *result, enum lung_language language);

#endif
