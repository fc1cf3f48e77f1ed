/* handlers.h — the handlers of the route table (routes.c), by file. */
#ifndef SHANHAI_API_HANDLERS_H
#define SHANHAI_API_HANDLERS_H

#include "http/http.h"

/* fhir_read.c */
enum http_verdict fhir_read(struct http_request *request);
enum http_verdict fhir_vread(struct http_request *request);

/* fhir_write.c */
enum http_verdict fhir_create(struct http_request *request);
enum http_verdict fhir_update(struct http_request *request);
enum http_verdict fhir_patch(struct http_request *request);
enum http_verdict fhir_delete(struct http_request *request);

/* bulk.c (pool) */
enum http_verdict bulk_export_ask(struct http_request *request);
enum http_verdict bulk_views_ask(struct http_request *request);
bool bulk_import_take(struct http_request *request);
bool bulk_import_data(struct http_request *request, struct str piece, struct error *error);
enum http_verdict bulk_import_ask(struct http_request *request);
enum http_verdict bulk_status_get(struct http_request *request);
enum http_verdict bulk_file_get(struct http_request *request);
enum http_verdict bulk_delete(struct http_request *request);

/* fhir_meta.c, fhir_everything.c, fhir_document.c, fhir_lastn.c (pool) */
enum http_verdict fhir_meta(struct http_request *request);
enum http_verdict fhir_meta_all(struct http_request *request); /* fhir_meta_all.c */
enum http_verdict fhir_meta_add(struct http_request *request);
enum http_verdict fhir_meta_delete(struct http_request *request);
enum http_verdict fhir_everything(struct http_request *request);
enum http_verdict fhir_document(struct http_request *request);
enum http_verdict fhir_lastn(struct http_request *request);

/* fhir_terminology.c (pool) */
enum http_verdict fhir_expand(struct http_request *request);
enum http_verdict fhir_validate_code(struct http_request *request);
enum http_verdict fhir_validate_code_system(struct http_request *request);
enum http_verdict fhir_lookup(struct http_request *request);
enum http_verdict fhir_subsumes(struct http_request *request);

/* fhir_translate.c (pool) */
enum http_verdict fhir_translate(struct http_request *request);

/* fhir_validate.c (pool) */
enum http_verdict fhir_validate(struct http_request *request);

/* fhir_search.c (pool) */
enum http_verdict fhir_search(struct http_request *request);

/* view_run.c (pool) */
enum http_verdict view_run(struct http_request *request);

/* fhir_history.c (pool) */
enum http_verdict fhir_history(struct http_request *request);

/* fhir_bundle.c (pool) */
enum http_verdict fhir_bundle(struct http_request *request);
enum http_verdict fhir_transitions(struct http_request *request);
enum http_verdict fhir_transition(struct http_request *request);
enum http_verdict fhir_break_glass(struct http_request *request);
enum http_verdict verify_document(struct http_request *request);

/* metadata.c (pool) */
enum http_verdict fhir_metadata(struct http_request *request);

/* session.c (pool) */
enum http_verdict session_sign_in(struct http_request *request);
enum http_verdict session_get(struct http_request *request);
enum http_verdict session_post(struct http_request *request);
enum http_verdict session_password(struct http_request *request);
enum http_verdict session_delete(struct http_request *request);

/* smart.c, smart_token.c (pool) */
enum http_verdict smart_configuration(struct http_request *request);
enum http_verdict smart_openid_configuration(struct http_request *request);
enum http_verdict smart_keys(struct http_request *request);
enum http_verdict smart_authorize(struct http_request *request);
enum http_verdict smart_consent_get(struct http_request *request);
enum http_verdict smart_consent(struct http_request *request);
enum http_verdict smart_apps(struct http_request *request);
enum http_verdict smart_launch(struct http_request *request);
enum http_verdict smart_token(struct http_request *request);
enum http_verdict smart_introspect(struct http_request *request);
enum http_verdict smart_revoke(struct http_request *request);

/* accounts.c (pool) */
enum http_verdict audit_events(struct http_request *request);
enum http_verdict accounts_list(struct http_request *request);
enum http_verdict accounts_add(struct http_request *request);
enum http_verdict accounts_act(struct http_request *request);

/* figures.c (pool) */
enum http_verdict figures_list(struct http_request *request);
enum http_verdict figures_drill(struct http_request *request);
enum http_verdict reports_get(struct http_request *request);

/* studies.c (pool) */
enum http_verdict studies_held(struct http_request *request);
enum http_verdict studies_match(struct http_request *request);
enum http_verdict studies_reject(struct http_request *request);
enum http_verdict studies_measurement(struct http_request *request);
enum http_verdict studies_measure(struct http_request *request);

/* photos.c (pool) */
enum http_verdict photos_add(struct http_request *request);
enum http_verdict photos_get(struct http_request *request);

/* studies_zip.c (pool, stream) */
bool studies_zip_begin(struct http_request *request);
bool studies_zip_data(struct http_request *request, struct str piece, struct error *error);
enum http_verdict studies_zip(struct http_request *request);

/* subscriptions.c (pool) */
enum http_verdict subscriptions_status(struct http_request *request);
enum http_verdict subscriptions_events(struct http_request *request);
enum http_verdict subscriptions_stream(struct http_request *request);
enum http_verdict subscription_topics(struct http_request *request);

/* events.c */
enum http_verdict events_open(struct http_request *request);
/* live.c (pool) */
enum http_verdict live_say(struct http_request *request);
/* rule_times.c (pool) */
enum http_verdict rule_times(struct http_request *request);

/* dicomweb_query.c, dicomweb_read.c, dicomweb_rendered.c, dicomweb_store.c (pool) */
enum http_verdict dicomweb_query(struct http_request *request);
enum http_verdict dicomweb_metadata(struct http_request *request);
enum http_verdict dicomweb_instances(struct http_request *request);
enum http_verdict dicomweb_frames(struct http_request *request);
enum http_verdict dicomweb_bulk(struct http_request *request);
enum http_verdict dicomweb_rendered(struct http_request *request);
enum http_verdict dicomweb_store(struct http_request *request);
bool dicomweb_store_begin(struct http_request *request);
bool dicomweb_store_data(struct http_request *request, struct str piece, struct error *error);

/* assets.c */
enum http_verdict assets_get(struct http_request *request);

/* jobs.c (pool) */
enum http_verdict erasures_ask(struct http_request *request);
enum http_verdict erasures_list(struct http_request *request);
enum http_verdict erasures_decide(struct http_request *request);
enum http_verdict jobs_list(struct http_request *request);
enum http_verdict jobs_act(struct http_request *request);

/* metrics.c (pool) */
enum http_verdict api_metrics(struct http_request *request);

/* routes.c */
enum http_verdict api_health(struct http_request *request);
enum http_verdict api_nothing_here(struct http_request *request);

#endif
