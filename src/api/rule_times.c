/* GET /workflows/times: the times in the rules now in force, so that no screen has a number of its own. */
#include "api/call.h"
#include "api/handlers.h"
#include "workflow/workflow.h"

enum http_verdict rule_times(struct http_request *request)
{
    struct error error = { 0 };
    struct json *times = workflow_times(api_of(request)->workflows, &request->arena);
    if (times == NULL) {
        (void)FAIL(&error, ERROR_TOO_LARGE, "request memory used up");
        return api_fail(request, &error);
    }
    api_respond_json(request, 200, true, times);
    return HTTP_DONE;
}
