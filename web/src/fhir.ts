// The one client of the server. Every request of the screens goes out here, so that the cross-site token, the language,
// and the reading of an OperationOutcome stand in one place.
import type { Bundle, BundleEntry, OperationOutcome, OperationOutcomeIssue, Parameter, Parameters, Resource, Task } from './fhir-types';

let csrfToken = '';
let language = 'zh';
let onSignedOut: () => void = () => undefined;

export function configureClient(options: { csrf?: string; language?: string; onSignedOut?: () => void }): void {
  csrfToken = options.csrf ?? csrfToken;
  language = options.language ?? language;
  onSignedOut = options.onSignedOut ?? onSignedOut;
}

/** What went wrong, in words for a person: `issues` has one line for each gap that the server told. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly issues: OperationOutcomeIssue[],
  ) {
    super(issues.map(issueText).filter(Boolean).join('; ') || `HTTP ${status}`);
    this.name = 'ApiError';
  }
}

/** The server tells in the language that it was asked in; English sentences of programs begin small. */
export function issueText(issue: OperationOutcomeIssue): string {
  const text = issue.details?.text ?? issue.diagnostics ?? issue.code;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The server was not reached: a weak line, or it is not running. */
export class LineError extends Error {
  constructor() {
    super('line');
    this.name = 'LineError';
  }
}

/** A failure that goes by: the line, or a server that is busy or being started again. */
export const isPassing = (error: unknown): boolean => error instanceof LineError || (error instanceof ApiError && [429, 502, 503, 504].includes(error.status));

interface CallOptions {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Sign-in itself answers 401 without meaning that a session has ended. */
  keepSession?: boolean;
}

export async function call(path: string, options: CallOptions = {}): Promise<Response> {
  const method = options.method ?? 'GET';
  const headers: Record<string, string> = { 'Accept-Language': language, ...options.headers };
  if (method !== 'GET' && method !== 'HEAD') headers['X-CSRF-Token'] = csrfToken;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: options.body as BodyInit | undefined,
      signal: options.signal,
      credentials: 'same-origin',
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new LineError();
  }
  if (response.ok) return response;
  if (response.status === 401 && !options.keepSession) onSignedOut();
  throw new ApiError(response.status, await issuesOf(response));
}

/** A large body with progress in bytes, which fetch does not tell. Errors are those of `call`. */
export function send(path: string, body: Blob, type: string, onSent: (bytes: number) => void, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path);
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('Accept-Language', language);
    request.setRequestHeader('Content-Type', type);
    request.setRequestHeader('X-CSRF-Token', csrfToken);
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onerror = () => reject(new LineError());
    request.onabort = () => reject(new DOMException('aborted', 'AbortError'));
    request.onload = () => {
      const answer = new Response(request.responseText, { status: request.status });
      if (answer.ok) answer.json().then(resolve, () => resolve(undefined));
      else void issuesOf(answer).then((issues) => reject(new ApiError(request.status, issues)));
      if (request.status === 401) onSignedOut();
    };
    signal.addEventListener('abort', () => request.abort());
    request.send(body);
  });
}

async function issuesOf(response: Response): Promise<OperationOutcomeIssue[]> {
  try {
    const body = (await response.json()) as Partial<OperationOutcome> & { error?: string };
    if (body.issue) return body.issue;
    if (body.error) return [{ severity: 'error', code: 'processing', diagnostics: body.error }];
  } catch {
    // An answer without a readable body still has its status.
  }
  return [];
}

export async function callJson<T>(path: string, options: CallOptions = {}): Promise<T> {
  const accept = { Accept: 'application/json', ...options.headers };
  const response = await call(path, { ...options, headers: accept });
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export function sendJson<T>(path: string, method: string, body: unknown, options: CallOptions = {}): Promise<T> {
  const headers = { 'Content-Type': 'application/json', ...options.headers };
  return callJson<T>(path, { ...options, method, headers, body: JSON.stringify(body) });
}

const FHIR_JSON = 'application/fhir+json';

async function fhir<T>(path: string, options: CallOptions = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: FHIR_JSON, ...options.headers };
  if (options.body !== undefined && !headers['Content-Type']) headers['Content-Type'] = FHIR_JSON;
  const response = await call(`/fhir${path}`, { ...options, headers });
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

const ifMatch = (resource: Resource) => ({ 'If-Match': `W/"${resource.meta?.versionId ?? ''}"` });

export const read = <T extends Resource>(reference: string, signal?: AbortSignal) => fhir<T>(`/${reference}`, { signal });

export const create = <T extends Resource>(resource: T) =>
  fhir<T>(`/${resource.resourceType}`, { method: 'POST', body: JSON.stringify(resource), headers: { Prefer: 'return=representation' } });

/** Writes back what was read; a resource that has moved since is refused with 412. */
export const update = <T extends Resource>(resource: T) =>
  fhir<T>(`/${resource.resourceType}/${resource.id ?? ''}`, {
    method: 'PUT',
    body: JSON.stringify(resource),
    headers: { ...ifMatch(resource), Prefer: 'return=representation' },
  });

export const remove = (reference: string) => fhir<undefined>(`/${reference}`, { method: 'DELETE' });

export const transaction = (entry: BundleEntry[]) =>
  fhir<Bundle>('', { method: 'POST', body: JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry }) });

export type SearchParameters = Record<string, string | number | string[] | undefined>;

export function searchQuery(parameters: SearchParameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== '') query.append(name, String(one));
    }
  }
  return query.toString();
}

/** Searches go by POST: what is asked about a patient must not stand in an address or a log. */
export const search = (type: string, parameters: SearchParameters, signal?: AbortSignal) =>
  fhir<Bundle>(`/${type}/_search`, {
    method: 'POST',
    body: searchQuery(parameters),
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    signal,
  });

/** Follows the server's own page link, which is bound to this session. */
export const nextPage = (url: string) => {
  const address = new URL(url, window.location.origin);
  return fhir<Bundle>(address.pathname.replace(/^.*?\/fhir/, '') + address.search);
};

/** Several searches in one round trip. A part that this person may not ask answers as an empty list. */
export async function searchMany(requests: { type: string; parameters: SearchParameters }[]): Promise<Resource[][]> {
  const entry = requests.map((request) => ({
    request: { method: 'GET', url: `${request.type}?${searchQuery(request.parameters)}` },
  }));
  const answer = await fhir<Bundle>('', {
    method: 'POST',
    body: JSON.stringify({ resourceType: 'Bundle', type: 'batch', entry }),
  });
  return requests.map((_, index) => {
    const bundle = answer.entry?.[index]?.resource as Bundle | undefined;
    return bundle?.resourceType === 'Bundle' ? resourcesOf(bundle) : [];
  });
}

export function resourcesOf<T extends Resource = Resource>(bundle: Bundle | undefined, type?: string): T[] {
  const resources = (bundle?.entry ?? []).flatMap((entry) => (entry.resource ? [entry.resource] : []));
  return resources.filter((resource) => type === undefined || resource.resourceType === type) as T[];
}

export const transitionsOf = (taskId: string) => fhir<Parameters>(`/Task/${taskId}/$transitions`);

export const takeTransition = (task: Task, parameters: Parameters) =>
  fhir<Task>(`/Task/${task.id ?? ''}/$transition`, { method: 'POST', body: JSON.stringify(parameters), headers: ifMatch(task) });

/** A step that leaves the Task as it is: no version of it is asked for. */
export const takeQuietly = (taskId: string, transition: string, parameter: Parameter[] = []) =>
  fhir<Task>(`/Task/${taskId}/$transition`, { method: 'POST', body: JSON.stringify({ resourceType: 'Parameters', parameter: [{ name: 'transition', valueCode: transition }, ...parameter] }) });

/** Leaves the session, also while the page is being closed: nobody waits for the answer. */
export function sayLeave(taskId: string): void {
  void fetch(`/fhir/Task/${taskId}/$transition`, {
    method: 'POST', keepalive: true, credentials: 'same-origin', headers: { 'Content-Type': FHIR_JSON, 'X-CSRF-Token': csrfToken },
    body: JSON.stringify({ resourceType: 'Parameters', parameter: [{ name: 'transition', valueCode: 'leave' }] }),
  }).catch(() => undefined);
}

/** 紧急调阅: opens the record of a patient who is named exactly; both hospitals' heads are told. */
export const openGlass = (asked: { name: string; identifier: string; reason: string }) =>
  fhir<Task>('/Patient/$break-glass', {
    method: 'POST',
    body: JSON.stringify({ resourceType: 'Parameters', parameter: Object.entries(asked).map(([name, value]) => ({ name, valueString: value.trim() })) }),
  });
