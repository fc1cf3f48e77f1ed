// One signed-in person over the public interfaces, as a browser would: cookie, CSRF token, same origin.
export class Person {
  constructor(base, name) {
    this.base = base;
    this.name = name;
    this.cookie = '';
    this.csrf = '';
  }

  async request(method, path, body, headers = {}) {
    const unsafe = method !== 'GET';
    const type = path.startsWith('/fhir') ? 'application/fhir+json' : 'application/json';
    const response = await fetch(this.base + path, {
      method,
      redirect: 'manual',
      headers: {
        Accept: type,
        'Accept-Language': 'zh-CN',
        ...(this.cookie && { Cookie: this.cookie }),
        ...(unsafe && { Origin: this.base, 'X-CSRF-Token': this.csrf }),
        ...(body !== undefined && typeof body !== 'string' && { 'Content-Type': type }),
        ...headers,
      },
      body: body === undefined ? undefined : typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    });
    for (const cookie of response.headers.getSetCookie()) this.cookie = cookie.split(';')[0];
    const text = await response.text();
    const isJson = /json\b/.test((response.headers.get('content-type') ?? '').replace('ndjson', ''));
    return { status: response.status, headers: response.headers, text, json: isJson && text ? JSON.parse(text) : undefined };
  }

  // The answer's JSON, or an error that says what the server said.
  async must(method, path, body, headers) {
    const answer = await this.request(method, path, body, headers);
    if (answer.status >= 300) {
      const issues = (answer.json?.issue ?? []).map((i) => `${(i.expression ?? []).join()} ${i.details?.text ?? i.diagnostics}`);
      throw new Error(`${this.name}: ${method} ${path.split('?')[0]} → ${answer.status} ${issues.join('; ') || answer.text.slice(0, 300)}`);
    }
    return answer.json;
  }

  async signIn(password) {
    this.password = password;
    this.session = await this.must('POST', '/session', { name: this.name, password });
    this.csrf = this.session.csrf;
    return this;
  }

  async changePassword(password) {
    const info = await this.must('POST', '/session/password', { old: this.password, new: password });
    this.password = password;
    this.session = info ?? this.session;
    this.csrf = info?.csrf ?? this.csrf;
  }

  get post() {
    return `PractitionerRole/${this.session.post.id}`;
  }

  get organization() {
    return `Organization/${this.session.post.organization.id}`;
  }

  read(reference) {
    return this.must('GET', `/fhir/${reference}`);
  }

  create(resource) {
    return this.must('POST', `/fhir/${resource.resourceType}`, resource);
  }

  update(resource) {
    return this.must('PUT', `/fhir/${resource.resourceType}/${resource.id}`, resource);
  }

  async search(type, parameters = {}) {
    const form = new URLSearchParams(parameters).toString();
    const bundle = await this.must('POST', `/fhir/${type}/_search`, form, { 'Content-Type': 'application/x-www-form-urlencoded' });
    return (bundle.entry ?? []).filter((e) => e.search?.mode !== 'include').map((e) => e.resource);
  }

  async transitions(task) {
    const parameters = await this.must('GET', `/fhir/Task/${task}/$transitions`);
    return (parameters.parameter ?? []).map((p) => {
      const parts = Object.fromEntries(p.part.map((x) => [x.name, Object.entries(x).find(([k]) => k.startsWith('value'))?.[1]]));
      return { ...parts, reasons: p.part.filter((x) => x.name === 'reason').map((x) => x.valueString) };
    });
  }

  // Inputs: strings become valueString unless the name says code, Reference …; see `values`.
  takeAnswer(task, transition, inputs = {}) {
    const parameter = [{ name: 'transition', valueCode: transition }];
    for (const [name, value] of Object.entries(inputs)) {
      for (const one of Array.isArray(value) ? value : [value]) parameter.push({ name, ...one });
    }
    return this.request('POST', `/fhir/Task/${task}/$transition`, { resourceType: 'Parameters', parameter });
  }

  async take(task, transition, inputs) {
    const answer = await this.takeAnswer(task, transition, inputs);
    if (answer.status !== 200) {
      const issues = (answer.json?.issue ?? []).map((i) => i.details?.text ?? i.diagnostics);
      throw new Error(`${this.name}: ${transition} → ${answer.status} ${issues.join('；') || answer.text.slice(0, 400)}`);
    }
    return answer.json;
  }
}

export const text = (value) => ({ valueString: value });
export const code = (value) => ({ valueCode: value });
export const time = (value) => ({ valueDateTime: value });
export const reference = (value) => ({ valueReference: { reference: value } });
export const identity = (kind, value) => ({ part: [{ name: 'kind', valueCode: kind }, { name: 'value', valueString: value }] });
export const stateOf = (task) => task.businessStatus.coding[0].code;
