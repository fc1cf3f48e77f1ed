// What endpoint-fuzz.test.mjs asks with: a generator of requests that are nearly right, from the program's own route table and
// /metadata. The same seed gives the same requests.

// xorshift
export class Chance {
  constructor(seed) { this.state = seed >>> 0 || 1; }

  below(count) {
    this.state ^= this.state << 13; this.state ^= this.state >>> 17; this.state ^= this.state << 5;
    return (this.state >>> 0) % count;
  }

  pick(list) { return list[this.below(list.length)]; }

  one(in_) { return this.below(in_) === 0; }

  times(most) { return Array.from({ length: this.below(most + 1) }); }
}

const ODD_TEXTS = ['', ' ', 'x', '山', '\u0000', '\ud800', '𝔘', 'a'.repeat(5000), '<div/>', '"', '\\', '%', '../..', 'urn:uuid:', 'http://', '#', '#x', 'Patient/', 'Patient/x/_history/0',
  '2020-02-30', '9999-12-31T24:00:00Z', '0000', '-', '|', '$', ',', '=', '1e400', "'", '${}', '\u202e', '\n', 'true', 'null'];
const ODD_NUMBERS = ['0', '-0', '-1', '1.0', '1e400', '-1e-400', '99999999999999999999', '2147483648', '0.1234567890123456789012345678901234567890', '1E+5'];

export class Fuzz {
  constructor(chance, { statement, ids, resources }) {
    Object.assign(this, { chance, ids, resources });
    this.parameters = Object.fromEntries(statement.rest[0].resource.map((r) => [r.type, r.searchParam ?? []]));
    this.all = Object.keys(this.parameters).filter((type) => this.parameters[type].length > 0);
    this.types = this.all;
  }

  type() { return this.chance.one(12) ? this.chance.pick(this.all) : this.chance.one(20) ? this.chance.pick(['Nothing', 'patient', '', '*', 'Resource', 'DomainResource']) : this.chance.pick(this.types); }

  id(type) { return this.chance.one(3) ? this.chance.pick(['none', 'x'.repeat(64), 'x'.repeat(65), '..', '%00', '山', '$x', '_history', 'a.b-c']) : this.chance.pick(this.ids[type] ?? Object.values(this.ids).flat()); }

  // ---- query strings ----

  token() { return this.chance.pick(['male', 'final', 'http://loinc.org|8302-2', '|x', 'x|', '|', 'a|b|c', 'active', 'urn:shanhai:codes:report-kind|x', this.chance.pick(ODD_TEXTS)]); }

  date() { return this.chance.pick(['', 'eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap', 'zz']) + this.chance.pick(['2020', '2020-02', '2020-02-29', '2021-02-29', '2020-02-11T14:30', '2020-02-11T14:30:00Z', '2020-02-11T14:30:00.123456789+08:00', '0001', '9999-12-31', '', 'now']); }

  number() { return this.chance.pick(['', 'gt', 'le', 'ap', 'ne']) + this.chance.pick(ODD_NUMBERS); }

  value(kind) {
    const { chance } = this;
    if (chance.one(8)) return chance.pick(ODD_TEXTS);
    const of = {
      token: () => this.token(),
      string: () => chance.pick(['zhang', '张', 'z s', 'é', 'ﬁ', ...ODD_TEXTS]),
      date: () => this.date(),
      number: () => this.number(),
      quantity: () => `${this.number()}${chance.pick(['', '|http://unitsofmeasure.org|mg', '||kg', '|', '|x', '|http://unitsofmeasure.org|((m', '|http://unitsofmeasure.org|10*100'])}`,
      reference: () => chance.pick([`Patient/${this.id('Patient')}`, this.id('Patient'), 'http://x.example/fhir/Patient/1', 'Patient/', 'urn:uuid:x', '|1', `Patient/${this.id('Patient')}/_history/1`]),
      uri: () => chance.pick(['http://x', 'urn:oid:1.2', '', ':']),
      composite: () => `${this.token()}$${chance.pick([this.number(), this.token(), this.date(), '$'])}`,
      special: () => chance.pick(['29.3|108.1|50|km', '91|181', '1|2|3|4|5', 'NaN|0', `${this.filter('Patient', 0)}`]),
    }[kind] ?? (() => this.token());
    const values = [of(), ...chance.times(3).map(() => of())];
    return values.join(chance.one(6) ? '\\,' : ',');
  }

  modifier() { return this.chance.one(3) ? this.chance.pick([':missing', ':exact', ':contains', ':not', ':text', ':in', ':not-in', ':below', ':above', ':identifier', ':of-type', ':Patient', ':Nothing', ':', ':iterate', '::']) : ''; }

  parameter(type) {
    const list = this.parameters[type] ?? [];
    return list.length > 0 && !this.chance.one(12) ? this.chance.pick(list) : { name: this.chance.pick(['_id', '_lastUpdated', '_content', 'nothing', '', '_', '_has', '_list', '_query']), type: 'token' };
  }

  chained(type, depth) {
    const { chance } = this;
    const { name, type: kind } = this.parameter(type);
    if (depth > 0 && chance.one(2)) {
      const [next, value] = this.chained(this.type(), depth - 1);
      return chance.one(2) ? [`${name}${chance.one(2) ? `:${this.type()}` : ''}.${next}`, value] : [`_has:${this.type()}:${this.parameter(this.type()).name}:${next}`, value];
    }
    return [name + this.modifier(), /missing/.test(name) ? 'true' : this.value(kind)];
  }

  filter(type, depth) {
    const { chance } = this;
    if (depth > 0 && chance.one(2)) {
      const inner = () => this.filter(type, depth - 1);
      return chance.pick([() => `(${inner()})`, () => `not (${inner()})`, () => `${inner()} and ${inner()}`, () => `${inner()} or (${inner()})`, () => `(${inner()}`, () => `${inner()})`])();
    }
    const { name, type: kind } = this.parameter(type);
    const value = this.value(kind);
    return `${name} ${chance.pick(['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'lt', 'ge', 'le', 'ap', 'sa', 'eb', 'pr', 'in', 'ni', 're', 'po', 'ss', 'sb', 'zz'])} ${chance.one(2) ? `"${value}"` : value}`;
  }

  pair(type) {
    const { chance } = this;
    const reference = () => chance.pick((this.parameters[type] ?? []).filter((p) => p.type === 'reference').map((p) => p.name).concat('*', 'x'));
    return chance.pick([
      () => this.chained(type, chance.below(4)), () => this.chained(type, 0), () => this.chained(type, 0),
      () => ['_sort', Array.from({ length: 1 + chance.below(4) }, () => `${chance.pick(['', '-'])}${this.parameter(type).name}`).join(',')],
      () => [chance.pick(['_include', '_revinclude', '_include:iterate', '_revinclude:iterate', '_include:x']), `${chance.pick([type, this.type(), '*'])}:${reference()}${chance.pick(['', ':Patient', ':x', ':'])}`],
      () => ['_filter', this.filter(type, chance.below(5))],
      () => ['_count', chance.pick(ODD_NUMBERS.concat('5', '0', 'x'))],
      () => ['_cursor', chance.pick(['x', '0'.repeat(96), 'f'.repeat(96), '17.', '1.x'])],
      () => [chance.pick(['_summary', '_total', '_elements', '_format', '_pretty', '_type', '_contained', '_containedType', '_since', '_at', '_list', 'url', 'code', 'system', 'filter', 'start', 'end', 'mode', 'profile']),
        chance.pick(['true', 'false', 'data', 'text', 'count', 'accurate', 'json', 'Patient,Observation', 'both', 'container', 'id', ...ODD_TEXTS])],
    ])();
  }

  query(type) {
    const text = this.chance.times(4).map(() => this.pair(type)).map(([name, value]) => `${this.chance.one(30) ? name : encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(String(value).toWellFormed())}`).join('&');
    return text && `?${text.slice(0, 9000)}`;
  }

  // ---- FHIRPath ----

  path(depth = 4) {
    const { chance } = this;
    const inner = () => this.path(depth - 1);
    if (depth <= 0) return chance.pick(['$this', '%resource', 'name', 'given', '1', "'x'", '{}', '@2020-02', '@T12:00', "4 'mg'", 'true', '$index', '$total', '%context', 'Patient', 'id', '0.1', '%x', '`a b`', '-1', '1e5', "'\\u00zz'"]);
    return chance.pick([
      () => `${inner()}.${chance.pick(['name', 'given', 'value', 'extension', 'children()', 'descendants()', 'first()', 'count()', 'not()', 'toString()', 'toInteger()', 'toQuantity()', 'distinct()', 'sort()', 'resolve()', 'lowBoundary()', 'type()', 'as(string)', 'zzz()', 'length()', 'toChars()'])}`,
      () => `${inner()}.${chance.pick(['where', 'select', 'all', 'exists', 'repeat', 'repeatAll', 'aggregate', 'combine', 'union', 'intersect', 'exclude', 'subsetOf', 'skip', 'take', 'join', 'split', 'matches', 'replaceMatches', 'indexOf', 'substring', 'iif', 'trace', 'round', 'power', 'toQuantity', 'memberOf', 'conformsTo', 'encode', 'ofType'])}(${inner()}${chance.one(3) ? `, ${inner()}` : ''})`,
      () => `(${inner()} ${chance.pick(['+', '-', '*', '/', 'div', 'mod', '&', '|', '=', '!=', '~', '!~', '<', '>', '<=', 'and', 'or', 'xor', 'implies', 'in', 'contains', 'is', 'as', '??'])} ${inner()})`,
      () => `${inner()}[${inner()}]`, () => `-${inner()}`, () => `(${inner()}`, () => `${inner()}${chance.pick([')', '.', "'", '`', '/*', '//', '@', '%'])}`,
    ])();
  }

  // ---- JSON ----

  odd() {
    return this.chance.pick([() => null, () => true, () => ({}), () => [], () => [[]], () => ({ a: { b: 1 } }), () => this.chance.pick(ODD_TEXTS), () => Number(this.chance.pick(ODD_NUMBERS)),
      () => ({ reference: `Patient/${this.id('Patient')}` }), () => ({ resourceType: this.type() }), () => this.chance.pick(this.resources)])();
  }

  // One place of the tree changed: taken away, doubled, replaced, moved, renamed, wrapped.
  mutate(tree) {
    const { chance } = this;
    const places = [];
    const walk = (node) => {
      for (const key of Object.keys(node)) {
        places.push([node, key]);
        if (node[key] !== null && typeof node[key] === 'object') walk(node[key]);
      }
    };
    walk(tree);
    if (places.length === 0) return tree;
    const [node, key] = chance.pick(places);
    const [other, otherKey] = chance.pick(places);
    const value = node[key];
    chance.pick([
      () => { delete node[key]; }, () => { node[key] = this.odd(); }, () => { node[key] = [value]; }, () => { node[key] = [value, structuredClone(value)]; },
      () => { node[key] = structuredClone(other[otherKey]); }, () => { if (!Array.isArray(node)) node[chance.pick(['_', 'x', 'value', 'valueString', 'extension', 'contained', 'resourceType', 'id']) + chance.pick(['', key])] = value; },
      () => { node[`_${key}`] = { extension: [{ url: 'x', valueString: 'x' }] }; }, () => { if (typeof value === 'string') node[key] = value.slice(0, chance.below(value.length + 1)) + chance.pick(ODD_TEXTS); },
      () => { if (typeof value === 'number') node[key] = -value * 1e9; }, () => { if (Array.isArray(value)) value.reverse(); },
    ])();
    return tree;
  }

  resource(type) {
    const { chance } = this;
    const fitting = this.resources.filter((r) => r.resourceType === type);
    let tree = structuredClone(chance.pick(fitting.length > 0 && !chance.one(5) ? fitting : this.resources));
    for (let i = chance.one(3) ? 0 : chance.below(4); i > 0 && tree !== null && typeof tree === 'object'; i--) tree = this.mutate(tree);
    return tree;
  }

  patch() {
    const { chance } = this;
    if (chance.one(2)) {
      const pointer = () => chance.times(4).map(() => `/${chance.pick(['name', '0', '-', '99', 'given', 'id', 'meta', '~0', '~1', '~', '', 'extension', 'resourceType'])}`).join('');
      return { type: 'application/json-patch+json', body: Array.from({ length: 1 + chance.below(3) }, () => ({ op: chance.pick(['add', 'remove', 'replace', 'move', 'copy', 'test', 'zz']), path: pointer(), from: pointer(), value: this.odd() })) };
    }
    const part = (name, value) => ({ name, ...value });
    return { type: 'application/fhir+json', body: this.mutate({ resourceType: 'Parameters', parameter: [{ name: 'operation', part: [part('type', { valueCode: chance.pick(['add', 'insert', 'delete', 'replace', 'move', 'zz']) }),
      part('path', { valueString: chance.pick(['Patient.name', 'Patient', 'Patient.name[0].given', this.path(3)]) }), part('name', { valueString: chance.pick(['gender', 'name', 'id', 'x']) }), part('value', { valueString: chance.pick(ODD_TEXTS) }),
      part('index', { valueInteger: chance.pick([0, 1, -1, 99]) }), part('source', { valueInteger: 0 }), part('destination', { valueInteger: 5 })] }] }) };
  }

  view() {
    const { chance } = this;
    const column = () => ({ name: chance.pick(['id', 'a', 'b', 'a b', '']), path: this.path(3), type: chance.pick(['string', 'integer', undefined]) });
    const node = (depth) => ({ ...(chance.one(2) && { column: [column(), column()] }), ...(chance.one(3) && { forEach: this.path(2) }), ...(chance.one(4) && { forEachOrNull: this.path(2) }), ...(chance.one(6) && { repeat: [this.path(2)] }),
      ...(depth > 0 && chance.one(2) && { select: [node(depth - 1)] }), ...(depth > 0 && chance.one(4) && { unionAll: [node(depth - 1), node(depth - 1)] }) });
    const view = { resourceType: 'ViewDefinition', status: 'active', name: 'v', resource: chance.pick(['Patient', this.type()]), select: [node(3)], where: chance.times(1).map(() => ({ path: this.path(3) })), constant: chance.times(1).map(() => ({ name: 'x', valueString: 'y' })) };
    return { resourceType: 'Parameters', parameter: [{ name: 'viewResource', resource: view }, { name: 'resource', resource: this.resource('Patient') }] };
  }

  bundle() {
    const { chance } = this;
    const entry = () => {
      const type = this.type();
      const method = chance.pick(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', '']);
      const url = chance.pick([type, `${type}/${this.id(type)}`, `${type}${this.query(type)}`, `${type}/${this.id(type)}/_history/1`, `${type}/$validate`, 'urn:x', '', '/', `${type}/${this.id(type)}/$meta`, 'metadata']);
      return { fullUrl: chance.pick(['urn:uuid:6a2c5e37-940e-4089-8d0b-ab0a036b2c36', `http://x/${type}/1`, '', undefined]), resource: method === 'GET' ? undefined : chance.one(8) ? this.patch().body : this.resource(type),
        request: { method, url, ifMatch: chance.one(4) ? chance.pick(['W/"1"', '"', 'W/']) : undefined, ifNoneExist: chance.one(4) ? this.query(type).slice(1) : undefined, ifNoneMatch: chance.one(6) ? '*' : undefined } };
    };
    const bundle = { resourceType: 'Bundle', type: chance.pick(['batch', 'transaction', 'transaction', 'history', 'collection']), entry: [entry(), ...chance.times(4).map(entry)] };
    return chance.one(3) ? this.mutate(bundle) : bundle;
  }

  operation(path) {
    const { chance } = this;
    const system = { name: 'system', valueUri: 'http://hl7.org/fhir/administrative-gender' };
    const parameters = { resourceType: 'Parameters', parameter: [system, { name: 'code', valueCode: 'male' }, { name: 'url', valueUri: chance.pick(['http://hl7.org/fhir/ValueSet/administrative-gender', 'http://x']) },
      { name: 'codeA', valueCode: 'male' }, { name: 'codeB', valueCode: 'x' }, { name: 'coding', valueCoding: { system: 'x', code: 'y' } }, { name: 'meta', valueMeta: { tag: [{ code: 'fuzz' }] } }, { name: 'resource', resource: this.resource(this.type()) },
      { name: 'valueSet', resource: this.resource('ValueSet') }, { name: 'mode', valueCode: 'create' }, { name: 'transition', valueCode: 'submit' }, { name: 'reason', valueString: '抢救' }].filter(() => !chance.one(4)) };
    for (let i = chance.below(3); i > 0; i--) this.mutate(parameters);
    return /ViewDefinition/.test(path) ? this.view() : parameters;
  }

  // ---- a request ----

  request(route) {
    const { chance } = this;
    const types = [];
    const path = route.path.replace(/\{(\w+)\*?\}/g, (_, name) => {
      if (name === 'type' || name === 'compartment') {
        types.push(chance.one(3) ? this.type() : chance.pick(Object.keys(this.ids))); // of some there is something
        return types.at(-1);
      }
      if (name === 'id') return this.id(types.at(-1) ?? /fhir\/(\w+)/.exec(route.path)?.[1]);
      if (name === 'version') return chance.pick(['1', '0', '99', 'x', '18446744073709551616']);
      return chance.pick(['x', 'a/b', '$x', '']);
    });
    const type = types.at(-1) ?? /^\/fhir\/([A-Z]\w+)/.exec(path)?.[1] ?? 'Patient';
    const headers = {};
    if (chance.one(6)) headers[chance.pick(['If-Match', 'If-None-Match', 'If-Modified-Since', 'If-None-Exist', 'Prefer', 'Accept', 'X-Forwarded-For'])] = chance.pick(['W/"1"', '*', 'return=minimal', 'handling=lenient', 'return=OperationOutcome', 'Sun, 22 Nov 2026 10:00:00 GMT', 'name=x', 'nonsense', '*/*', 'application/xml', '"']);
    if (route.method === 'GET' || route.method === 'DELETE') return { method: route.method, path: path + this.query(type), headers };
    if (/_search$/.test(path)) return { method: 'POST', path, headers: { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' }, body: this.query(type).slice(1) };
    if (route.method === 'PATCH') {
      const { type: media, body } = this.patch();
      return { method: 'PATCH', path: path + (chance.one(4) ? this.query(type) : ''), headers: { ...headers, 'Content-Type': media }, body: JSON.stringify(body) };
    }
    const tree = /\$/.test(path) ? this.operation(path) : /^\/fhir\/?$/.test(path) ? this.bundle() : this.resource(type);
    let body = JSON.stringify(tree) ?? 'null';
    if (chance.one(10)) body = body.slice(0, chance.below(body.length + 1));
    if (chance.one(10)) body = body.replace(/:(\d+)/, () => `:${chance.pick(ODD_NUMBERS)}`);
    const media = /import/.test(path) ? 'application/fhir+ndjson' : chance.one(30) ? chance.pick(['text/plain', 'application/xml', '']) : 'application/fhir+json';
    return { method: route.method, path: path + (chance.one(4) ? this.query(type) : ''), headers: { ...headers, 'Content-Type': media }, body };
  }
}
